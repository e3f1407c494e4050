//! Embeddings of a data set's images by name, in memory and in a file that grows with them: an interrupted evaluation
//! resumes and ends with the same numbers.
//!
//! The file is a [store](crate::store) whose keys are names and whose values are rows of f32. A file of another model,
//! number type or data is refused and left unchanged.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::store::{Store, bytes_of, row_of};

/// What made embeddings. Two files with the same origin have the same rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The model's name, for people.
    pub model: String,
    /// What distinguishes its weights, and how they are computed with, from others.
    pub identity: String,
    /// The numbers it computes with.
    pub dtype: String,
    /// How images are read, if that isn't the default.
    pub reading: String,
    /// The data as named, for people.
    pub data: String,
    /// How many images it has. Earlier versions wrote it as `n_pictures`.
    #[serde(alias = "n_pictures")]
    pub n_images: usize,
    /// What distinguishes its images from others.
    pub fingerprint: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    embed_dim: usize,
    origin: Origin,
}

/// Rows of images, `(embed_dim,)` each, f32, not normalised.
pub struct Embeddings {
    embed_dim: usize,
    places: HashMap<String, usize>,
    values: Vec<f32>,
    store: Option<Store>,
}

impl Embeddings {
    /// None yet, in memory only.
    pub fn in_memory(embed_dim: usize) -> Self {
        Embeddings {
            embed_dim,
            places: HashMap::new(),
            values: Vec::new(),
            store: None,
        }
    }

    /// Those that a file holds; the file grows with those that are added. It is created if there is none.
    ///
    /// # Errors
    /// [`Error::Usage`] if the file does not hold embeddings, or those of another model, type or data;
    /// [`Error::Read`], [`Error::Write`].
    pub fn open(path: &Path, origin: &Origin, embed_dim: usize) -> Result<Self> {
        let mut embeddings = Embeddings::in_memory(embed_dim);
        let kept = Kept {
            embed_dim,
            origin: origin.clone(),
        };
        let refuse_other = |there: &Kept| refuse_other(path, there, &kept);
        let store = Store::open(path, "the embeddings of an evaluation", &kept, refuse_other)?;
        store.records(|_, name, value| {
            let row = row_of(value).filter(|row| row.len() == embed_dim);
            if let (Ok(name), Some(row)) = (str::from_utf8(name), row) {
                embeddings.hold(name, &row);
            }
        })?;
        embeddings.store = Some(store);
        Ok(embeddings)
    }

    /// As [`Embeddings::open`], or in memory if no file is to keep them.
    ///
    /// # Errors
    /// As [`Embeddings::open`].
    pub fn kept_in(path: Option<&Path>, origin: &Origin, embed_dim: usize) -> Result<Self> {
        match path {
            Some(path) => Embeddings::open(path, origin, embed_dim),
            None => Ok(Embeddings::in_memory(embed_dim)),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Numbers per row.
    pub fn embed_dim(&self) -> usize {
        self.embed_dim
    }

    /// Bytes at the end of the file that were dropped because they were not a whole record.
    pub fn dropped_bytes(&self) -> u64 {
        self.store.as_ref().map_or(0, Store::dropped_bytes)
    }

    /// An image's row, if it is there.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        let place = *self.places.get(name)?;
        Some(&self.values[place * self.embed_dim..(place + 1) * self.embed_dim])
    }

    /// Adds an image's row; one that is there already stays. It is in the file after the next [`Embeddings::flush`].
    ///
    /// # Panics
    /// If the row has another length.
    pub fn add(&mut self, name: &str, row: &[f32]) {
        assert_eq!(row.len(), self.embed_dim, "a row of this model");
        if self.places.contains_key(name) {
            return;
        }
        if let Some(store) = &mut self.store {
            store.add(name.as_bytes(), &bytes_of(row));
        }
        self.hold(name, row);
    }

    /// What was added is in the file.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn flush(&mut self) -> Result<()> {
        self.store.as_mut().map_or(Ok(()), Store::flush)
    }

    fn hold(&mut self, name: &str, row: &[f32]) {
        if !self.places.contains_key(name) {
            self.places.insert(name.to_owned(), self.places.len());
            self.values.extend_from_slice(row);
        }
    }
}

/// Refuses a file that another model or other data made.
fn refuse_other(path: &Path, there: &Kept, here: &Kept) -> Result<()> {
    let refused = |problem: String| {
        Error::usage(
            format!("`{}` {problem}", path.display()),
            "name another file, or remove this one",
        )
    };
    let is_of_these_sizes = there.embed_dim == here.embed_dim;
    let (there, here) = (&there.origin, &here.origin);
    let made = |there: &str, here: &str| Err(refused(format!("was made with {there}; this run has {here}")));
    if (&there.model, &there.dtype) != (&here.model, &here.dtype) {
        return made(
            &format!("the model `{}` in {}", there.model, there.dtype),
            &format!("`{}` in {}", here.model, here.dtype),
        );
    }
    if there.identity != here.identity || !is_of_these_sizes {
        let problem = format!(
            "was made with another file, device or version of the model `{}`",
            there.model
        );
        return Err(refused(problem));
    }
    if there.reading != here.reading {
        return made(
            &format!("images read {}", there.reading),
            &format!("them read {}", here.reading),
        );
    }
    if there.fingerprint != here.fingerprint {
        return made(
            &format!("other data, `{}` of {} images", there.data, there.n_images),
            &format!("`{}` of {}, or some of them have changed", here.data, here.n_images),
        );
    }
    Ok(())
}

/// Where embeddings of another model on the same data are kept: next to the first one's.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{ending}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const DIM: usize = 3;

    fn origin() -> Origin {
        Origin {
            model: "nano".into(),
            identity: "0123".into(),
            dtype: "f32".into(),
            reading: "as always".into(),
            data: "photos".into(),
            n_images: 2,
            fingerprint: "4567".into(),
        }
    }

    /// A file of two images, and its bytes.
    fn two(dir: &tempfile::TempDir) -> (PathBuf, Vec<u8>) {
        let path = dir.path().join("kept");
        let mut made = Embeddings::open(&path, &origin(), DIM).unwrap();
        made.add("a.jpg", &[1.0, f32::MIN_POSITIVE, -0.0]);
        made.add("b.jpg", &[0.1, 0.2, 0.3]);
        made.flush().unwrap();
        drop(made);
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    }

    #[test]
    fn rows_come_back_to_the_bit_and_half_a_row_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (path, whole) = two(&dir);
        let again = Embeddings::open(&path, &origin(), DIM).unwrap();
        assert_eq!(again.len(), 2);
        let bits = |row: &[f32]| row.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(again.get("a.jpg").unwrap()), bits(&[1.0, f32::MIN_POSITIVE, -0.0]));
        assert_eq!(again.get("c.jpg"), None);
        drop(again);
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let cut = Embeddings::open(&path, &origin(), DIM).unwrap();
        assert!(cut.len() == 1 && cut.dropped_bytes() > 0);
    }

    #[test]
    fn another_model_type_or_data_is_refused_by_name_and_changes_nothing() {
        #[track_caller]
        fn check(change: impl FnOnce(&mut Origin), expected: &str) {
            let dir = tempfile::tempdir().unwrap();
            let (path, whole) = two(&dir);
            let mut other = origin();
            change(&mut other);
            let error = Embeddings::open(&path, &other, DIM).err().unwrap();
            assert!(error.to_string().ends_with(expected), "{error}");
            assert!(error.hint().is_some());
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
        check(
            |other| other.model = "longclip-b".into(),
            "was made with the model `nano` in f32; this run has `longclip-b` in f32",
        );
        check(
            |other| other.dtype = "bf16".into(),
            "was made with the model `nano` in f32; this run has `nano` in bf16",
        );
        check(
            |other| other.identity = "9".into(),
            "was made with another file, device or version of the model `nano`",
        );
        check(
            |other| other.fingerprint = "9".into(),
            "was made with other data, `photos` of 2 images; this run has `photos` of 2, or some of them have changed",
        );
    }
}
