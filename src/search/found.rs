//! The images that a search found, as records for the formats of [`crate::output`].

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{Asked, Copied, FileState, Hit, Index, Picture};
use crate::error::Result;
use crate::input::Content;
use crate::json_fields::JsonFields;
use crate::named::Named;
use crate::output::{self, Duplicate, Found, Outcome, Record, Settings, Subject, Task, Thumbnail};
use crate::preprocess::Preprocess;

/// What the formats of results write about a search of an index.
pub fn settings(index: &Index, searches: Vec<String>, links_from: String) -> Settings {
    let origin = index.origin();
    Settings {
        labels: searches,
        links_from,
        ..Settings::new(Task::Searches, &origin.model, &origin.dtype)
    }
}

/// How the images of an index are named in results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// As they were when the index was built, if this is the folder that their relative paths begin in; else absolutely.
    In(PathBuf),
    /// As images of a folder or an archive, whose absolute path is the first, by the name that is the second.
    Of(PathBuf, PathBuf),
}

impl Names {
    /// The name of an image in an index whose relative paths begin in `folder`.
    pub fn name(&self, picture: &Picture, folder: &Path) -> String {
        match self {
            Names::In(here) if here == folder || !picture.is_file() => picture.path.clone(),
            Names::In(_) => picture.file_path(folder).display().to_string(),
            Names::Of(absolute, name) => match Path::new(&picture.path).strip_prefix(absolute) {
                Ok(below) if below.as_os_str().is_empty() => name.display().to_string(),
                Ok(below) => name.join(below).display().to_string(),
                Err(_) => picture.path.clone(),
            },
        }
    }
}

/// The images of all hits of some searches, each image read once.
///
/// # Errors
/// As [`Index::pictures_of`].
pub fn of_hits(index: &Index, names: &Names, asked: &[Asked], hits: &[Vec<Hit>]) -> Result<Vec<Vec<Found>>> {
    let mut rows: Vec<usize> = hits.iter().flatten().map(|hit| hit.row).collect();
    rows.sort_unstable();
    rows.dedup();
    let pictures = index.pictures_of(&rows)?;
    let folder = &index.origin().folder;
    let of_hit = |asked: &Asked, rank: usize, hit: &Hit| {
        let at = rows.binary_search(&hit.row).unwrap_or_default();
        found(&asked.name, (rank, hit.cosine), &pictures[at], folder, names)
    };
    let all = asked.iter().zip(hits).map(|(asked, hits)| {
        let ranked = (1..).zip(hits);
        ranked.map(|(rank, hit)| of_hit(asked, rank, hit)).collect()
    });
    Ok(all.collect())
}

/// An image that was found for `query`, at a rank from 1, in an index whose relative paths begin in `folder`.
fn found(query: &str, (rank, cosine): (usize, f32), picture: &Picture, folder: &Path, names: &Names) -> Found {
    Found {
        query: query.to_owned(),
        rank,
        path: names.name(picture, folder),
        // Stored numbers are rounded, so that an image's cosine with itself may be a little more than one.
        cosine: cosine.clamp(-1.0, 1.0),
        state: match picture.file_state(folder) {
            FileState::AsIndexed => None,
            FileState::Changed => Some("changed"),
            FileState::Gone => Some("gone"),
        },
        copy: None,
        thumbnail: None,
    }
}

/// The images of a group that show the same, for the kept one's name.
pub fn copies(group: &[Copied], folder: &Path, names: &Names) -> Vec<Found> {
    let kept = group.first().map(|kept| names.name(&kept.picture, folder));
    let ranked = (1..).zip(group);
    let found = ranked.map(|(rank, copied)| {
        let (width, height) = copied.size_px.unzip();
        let copy = Duplicate {
            copy: copied.likeness.name(),
            width,
            height,
        };
        let query = kept.as_deref().unwrap_or_default();
        Found {
            copy: Some(copy),
            ..found(query, (rank, copied.cosine), &copied.picture, folder, names)
        }
    });
    found.collect()
}

/// Adds thumbnails of the files as they are now.
pub fn add_thumbnails(found: &mut [Found], preprocess: &Preprocess) {
    found.par_iter_mut().for_each(|found| {
        found.thumbnail = thumbnail(&found.path, preprocess).map(|photo| Thumbnail { photo, heat: None })
    });
}

/// What was found for one text or image.
pub fn record(query: &str, found: Vec<Found>) -> Record {
    Record {
        subject: Subject::Text(query.to_owned()),
        fields: JsonFields::default(),
        outcome: Outcome::Found(found),
        thumbnail: None,
        file: None,
    }
}

/// A small JPEG of an image; `None` if it is not a file or can't be read.
fn thumbnail(path: &str, preprocess: &Preprocess) -> Option<Vec<u8>> {
    // An index can name anything; only regular files of an image's size are read.
    let bytes = Content::File(path.into()).take(path).ok()?;
    output::thumbnail(&preprocess.decode(path, &bytes).ok()?)
}
