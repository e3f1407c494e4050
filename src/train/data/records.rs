//! Records as samples: `path` or `image`, relative to the file or to the folder given; `long`, `text` or `caption`;
//! perhaps `short` and `class`; or ShareGPT4V's own (`input/records.rs`).

use std::path::{Path, PathBuf};

use sha2::Sha256;

use super::{DataOptions, Sample, Source, Unusable, read_range, unusable};
use crate::error::{Error, Result};
use crate::input::content::LARGEST_BYTES;
use crate::input::records::{Record, RecordFile, answer, text};
use crate::text::first_sentence;

pub(super) struct Records {
    file: RecordFile,
    /// Where pictures' paths start from.
    images: PathBuf,
}

pub(super) fn open(path: &Path, options: &DataOptions, skipped: &mut Vec<Unusable>) -> Result<Records> {
    let (file, damage) = RecordFile::open(path)?;
    if let Some(error) = damage {
        let sample = match &error {
            Error::Sample { name, .. } => name.clone(),
            other => other.to_string(),
        };
        skipped.push(Unusable { sample, error });
    }
    let beside = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok(Records {
        file,
        images: options.images.clone().unwrap_or(beside),
    })
}

impl Records {
    fn sample(&self, name: &str, record: &Record) -> Result<Sample> {
        let path = text(name, record, &["path", "image"])?
            .ok_or_else(|| unusable(name, "it names no picture as `path` or `image`"))?;
        let long = match answer(name, record)? {
            Some(answer) => answer,
            None => text(name, record, &["long", "text", "caption"])?
                .ok_or_else(|| unusable(name, "it has no caption as `long`, `text` or `caption`"))?,
        };
        let short = text(name, record, &["short"])?.unwrap_or_else(|| first_sentence(&long).to_owned());
        let path = self.images.join(path);
        Ok(Sample {
            name: path.display().to_string(),
            picture: read_picture(&path)?,
            long,
            short,
            class: text(name, record, &["class"])?,
        })
    }
}

fn read_picture(path: &Path) -> Result<Vec<u8>> {
    let length = std::fs::metadata(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    if !length.is_file() {
        return Err(unusable(path.display().to_string(), "it is no file"));
    }
    if length.len() > LARGEST_BYTES {
        return Err(unusable(path.display().to_string(), "its file has more than 1 GiB"));
    }
    read_range(path, 0, length.len())
}

impl Source for Records {
    fn len(&self) -> usize {
        self.file.len()
    }

    fn name(&self, i: usize) -> String {
        self.file.name(i)
    }

    fn read(&self, i: usize, _draw: u64) -> Result<Sample> {
        let record = self.file.read(i)?;
        self.sample(&self.file.name(i), &record)
    }

    fn outline(&self, hash: &mut Sha256) {
        self.file.outline(hash);
    }
}
