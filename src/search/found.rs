//! The images that a search found, as records for the formats of [`crate::output`].

use std::path::Path;

use rayon::prelude::*;

use super::{FileState, Index, Picture};
use crate::input::Content;
use crate::json_fields::JsonFields;
use crate::output::{self, Fields, Found, Layout, Outcome, Record, Settings, Subject, Task, Thumbnail};
use crate::preprocess::Preprocess;

/// What the formats of results write about a search of an index.
pub fn settings(index: &Index, searches: Vec<String>, links_from: String) -> Settings {
    Settings {
        task: Task::Searches,
        labels: searches,
        groups: Vec::new(),
        layout: Layout::Long,
        fields: Fields::None,
        terminal: None,
        model: index.origin().model.clone(),
        dtype: index.origin().dtype.clone(),
        links_from,
    }
}

/// An image that was found for `query`, at a rank from 1. `folder` is where the index's relative paths begin; they stay
/// relative in the folder `here`.
pub fn found(query: &str, (rank, cosine): (usize, f32), picture: &Picture, folder: &Path, here: &Path) -> Found {
    let path = if here == folder || !picture.is_file() {
        picture.path.clone()
    } else {
        picture.file_path(folder).display().to_string()
    };
    Found {
        query: query.to_owned(),
        rank,
        path,
        // Stored numbers are rounded, so that an image's cosine with itself may be a little more than one.
        cosine: cosine.clamp(-1.0, 1.0),
        state: match picture.file_state(folder) {
            FileState::AsIndexed => None,
            FileState::Changed => Some("changed"),
            FileState::Gone => Some("gone"),
        },
        thumbnail: None,
    }
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
