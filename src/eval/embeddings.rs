//! Embeddings of a data set's pictures, by name: in memory, and in a file that grows with them, so that an evaluation
//! that was interrupted goes on where it was and ends with the same numbers.
//!
//! ```text
//! {"format": "longclip embeddings 1", ...}\n     what made them ([`Origin`])
//! length u32 | name | embed_dim × f32 | check    a record a picture, little-endian, in any order
//! ```
//!
//! The check is the beginning of a SHA-256 over the record. What a kill left half written behind the last whole record is
//! dropped; a file of another model, number type or data is refused by name and left as it is. Nothing but whole rows
//! is ever given out, to the bit as they were computed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::files::{Destination, Target};

const FORMAT: &str = "longclip embeddings 1";
const CHECK_BYTES: usize = 8;
/// The most bytes of a name: paths have at most 4,096, members of archives some more.
const NAME_BYTES_MAX: usize = 1 << 16;
/// The most bytes of the first line.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// What made embeddings: the same of two files says that their rows are the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The model's name, for people.
    pub model: String,
    /// What tells its weights and how they are computed with from others.
    pub identity: String,
    /// The numbers it computes with.
    pub dtype: String,
    /// How pictures are read, where that isn't as always.
    pub reading: String,
    /// The data as named, for people.
    pub data: String,
    /// How many pictures it has.
    pub n_pictures: usize,
    /// What tells its pictures from others.
    pub fingerprint: String,
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: String,
    embed_dim: usize,
    #[serde(flatten)]
    origin: Origin,
}

/// Rows of pictures, `(embed_dim,)` each, f32, not normalised.
pub struct Embeddings {
    embed_dim: usize,
    places: HashMap<String, usize>,
    values: Vec<f32>,
    journal: Option<Destination>,
    dropped_bytes: u64,
}

impl Embeddings {
    /// None yet, and none to be kept.
    pub fn in_memory(embed_dim: usize) -> Self {
        Embeddings {
            embed_dim,
            places: HashMap::new(),
            values: Vec::new(),
            journal: None,
            dropped_bytes: 0,
        }
    }

    /// Those that a file holds, and a file to go on with; a new one where there is none.
    ///
    /// # Errors
    /// [`Error::Usage`] where the file is none of embeddings, or of another model, type or data;
    /// [`Error::Read`], [`Error::Write`].
    pub fn open(path: &Path, origin: &Origin, embed_dim: usize) -> Result<Self> {
        let mut journal = Destination::growing(&Target::at(path)?)?;
        let mut embeddings = Embeddings::in_memory(embed_dim);
        let end = embeddings.read(path, origin)?;
        journal.keep(end)?;
        if end == 0 {
            let header = Header {
                format: FORMAT.to_owned(),
                embed_dim,
                origin: origin.clone(),
            };
            let line = serde_json::to_string(&header).expect("texts and numbers are JSON");
            writeln!(journal, "{line}")
                .and_then(|()| journal.flush())
                .map_err(|source| journal.error(source))?;
        }
        embeddings.journal = Some(journal);
        Ok(embeddings)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Numbers a row.
    pub fn embed_dim(&self) -> usize {
        self.embed_dim
    }

    /// Bytes of the file that were no whole record, and were dropped.
    pub fn dropped_bytes(&self) -> u64 {
        self.dropped_bytes
    }

    /// A picture's row, if it is there.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        let place = *self.places.get(name)?;
        Some(&self.values[place * self.embed_dim..(place + 1) * self.embed_dim])
    }

    /// Adds a picture's row; one that is there already stays.
    ///
    /// # Errors
    /// [`Error::Write`].
    ///
    /// # Panics
    /// If the row is of another length.
    pub fn add(&mut self, name: &str, row: &[f32]) -> Result<()> {
        assert_eq!(row.len(), self.embed_dim, "a row of this model");
        if self.places.contains_key(name) {
            return Ok(());
        }
        if let Some(journal) = &mut self.journal {
            let record = record(name, row);
            journal.write_all(&record).map_err(|source| journal.error(source))?;
        }
        self.hold(name.to_owned(), row);
        Ok(())
    }

    /// What was added is in the file.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn flush(&mut self) -> Result<()> {
        match &mut self.journal {
            Some(journal) => journal.flush().map_err(|source| journal.error(source)),
            None => Ok(()),
        }
    }

    fn hold(&mut self, name: String, row: &[f32]) {
        let place = self.places.len();
        if self.places.insert(name, place).is_none() {
            self.values.extend_from_slice(row);
        }
    }

    /// Takes what a file holds; gives the place behind its last whole record, 0 where it has nothing yet.
    fn read(&mut self, path: &Path, origin: &Origin) -> Result<u64> {
        let failed = Error::read(path);
        let file = File::open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let mut line = Vec::new();
        let header_bytes = (&mut reader)
            .take(HEADER_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .map_err(failed)?;
        if line.is_empty() || is_half_a_header(&line) {
            return Ok(0);
        }
        self.check(path, &line, origin)?;
        let mut end = header_bytes as u64;
        while let Some((name, row)) = self.next_record(&mut reader).map_err(failed)? {
            end += (4 + name.len() + row.len() * 4 + CHECK_BYTES) as u64;
            if !self.places.contains_key(&name) {
                self.hold(name, &row);
            }
        }
        self.dropped_bytes = length.saturating_sub(end);
        Ok(end)
    }

    /// Refuses a file that something else made.
    fn check(&self, path: &Path, line: &[u8], origin: &Origin) -> Result<()> {
        let refused = |problem: String| {
            Error::usage(
                format!("`{}` {problem}", path.display()),
                "name another file by `--embeddings`, or remove this one",
            )
        };
        let header: Header = match serde_json::from_slice(line) {
            Ok(Header { format, .. }) if format != FORMAT => {
                return Err(refused(format!(
                    "is of the format `{format}`; this version reads `{FORMAT}`"
                )));
            }
            Ok(header) => header,
            Err(_) => return Err(refused("is no file of embeddings".into())),
        };
        let (there, here) = (&header.origin, origin);
        let made = |there: &str, here: &str| Err(refused(format!("was made with {there}; this run has {here}")));
        if (&there.model, &there.dtype) != (&here.model, &here.dtype) {
            return made(
                &format!("the model `{}` in {}", there.model, there.dtype),
                &format!("`{}` in {}", here.model, here.dtype),
            );
        }
        if there.identity != here.identity || header.embed_dim != self.embed_dim {
            let problem = format!(
                "was made with another file, device or version of the model `{}`",
                there.model
            );
            return Err(refused(problem));
        }
        if there.reading != here.reading {
            return made(
                &format!("pictures read {}", there.reading),
                &format!("them read {}", here.reading),
            );
        }
        if there.fingerprint != here.fingerprint {
            return made(
                &format!("other data, `{}` of {} pictures", there.data, there.n_pictures),
                &format!("`{}` of {}, or some of them have changed", here.data, here.n_pictures),
            );
        }
        Ok(())
    }

    /// A whole record; none at the end, and where what follows is damaged.
    fn next_record(&self, reader: &mut impl Read) -> io::Result<Option<(String, Vec<f32>)>> {
        let mut length = [0; 4];
        if !is_filled(reader, &mut length)? {
            return Ok(None);
        }
        let name_bytes = u32::from_le_bytes(length) as usize;
        if name_bytes > NAME_BYTES_MAX {
            return Ok(None);
        }
        let mut rest = vec![0; name_bytes + self.embed_dim * 4 + CHECK_BYTES];
        if !is_filled(reader, &mut rest)? {
            return Ok(None);
        }
        let (name, rest) = rest.split_at(name_bytes);
        let (numbers, check) = rest.split_at(self.embed_dim * 4);
        let Ok(name) = String::from_utf8(name.to_vec()) else {
            return Ok(None);
        };
        let row: Vec<f32> = numbers
            .as_chunks()
            .0
            .iter()
            .map(|number| f32::from_le_bytes(*number))
            .collect();
        Ok((check == check_of(&name, numbers)).then_some((name, row)))
    }
}

/// Whether a run was ended while it wrote the first line.
fn is_half_a_header(line: &[u8]) -> bool {
    let beginning = format!("{{\"format\":\"{FORMAT}\"");
    let beginning = beginning.as_bytes();
    line.last() != Some(&b'\n') && (beginning.starts_with(line) || line.starts_with(beginning))
}

/// Fills a buffer; false where the input ends before.
fn is_filled(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn record(name: &str, row: &[f32]) -> Vec<u8> {
    let numbers: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
    let length = u32::try_from(name.len()).expect("a name of less than 4 GiB");
    let mut record = length.to_le_bytes().to_vec();
    record.extend(name.as_bytes());
    record.extend(&numbers);
    record.extend(check_of(name, &numbers));
    record
}

fn check_of(name: &str, numbers: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hash = Sha256::new();
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name);
    hash.update(numbers);
    let hash = hash.finalize();
    std::array::from_fn(|i| hash[i])
}

/// Where embeddings of another model on the same data are kept: beside the first one's.
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
            n_pictures: 2,
            fingerprint: "4567".into(),
        }
    }

    /// A file of two pictures, and its bytes.
    fn two(dir: &tempfile::TempDir) -> (PathBuf, Vec<u8>) {
        let path = dir.path().join("kept");
        let mut made = Embeddings::open(&path, &origin(), DIM).unwrap();
        made.add("a.jpg", &[1.0, f32::MIN_POSITIVE, -0.0]).unwrap();
        made.add("b.jpg", &[0.1, 0.2, 0.3]).unwrap();
        made.flush().unwrap();
        drop(made);
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    }

    #[test]
    fn rows_come_back_to_the_bit() {
        let dir = tempfile::tempdir().unwrap();
        let (path, _) = two(&dir);
        let again = Embeddings::open(&path, &origin(), DIM).unwrap();
        assert_eq!(again.len(), 2);
        let bits = |row: &[f32]| row.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(again.get("a.jpg").unwrap()), bits(&[1.0, f32::MIN_POSITIVE, -0.0]));
        assert_eq!(again.get("c.jpg"), None);
    }

    #[test]
    fn whatever_a_kill_left_the_rest_is_added_and_the_file_is_the_same_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let (path, whole) = two(&dir);
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            let mut again = Embeddings::open(&path, &origin(), DIM).unwrap_or_else(|error| panic!("{length}: {error}"));
            again.add("a.jpg", &[1.0, f32::MIN_POSITIVE, -0.0]).unwrap();
            again.add("b.jpg", &[0.1, 0.2, 0.3]).unwrap();
            again.flush().unwrap();
            drop(again);
            assert_eq!(fs::read(&path).unwrap(), whole, "{length} bytes were left");
        }
    }

    #[test]
    fn a_damaged_record_is_never_given_out() {
        let dir = tempfile::tempdir().unwrap();
        let (path, whole) = two(&dir);
        let header = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let rows = [("a.jpg", [1.0, f32::MIN_POSITIVE, -0.0]), ("b.jpg", [0.1, 0.2, 0.3])];
        for at in header..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x10;
            fs::write(&path, bytes).unwrap();
            let found = Embeddings::open(&path, &origin(), DIM).unwrap();
            assert!(found.len() < 2 && found.dropped_bytes() > 0, "byte {at}");
            for (name, row) in &rows {
                assert!(found.get(name).is_none_or(|found| found == row), "byte {at}");
            }
        }
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
            "was made with other data, `photos` of 2 pictures; this run has `photos` of 2, or some of them have changed",
        );
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept");
        for other in [
            "{\"path\":\"a.jpg\"}\n",
            "words",
            "{\"format\":\"longclip embeddings 9\"}\n",
        ] {
            fs::write(&path, other).unwrap();
            let error = Embeddings::open(&path, &origin(), DIM).err().unwrap();
            assert!(error.to_string().contains("is no file of embeddings"), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
    }
}
