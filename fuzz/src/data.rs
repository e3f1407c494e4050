//! Data sets: looked through, and each sample read, without the files that it names.

use std::path::PathBuf;

use longclip::data::{DataOptions, PairData, Purpose, Split};
use longclip::input::Content;

/// Samples that are read of an input.
const SAMPLES_MAX: usize = 64;

/// Reads a file of this name as a data set.
pub fn read(name: &str, bytes: &[u8]) {
    let path = crate::file(name, bytes);
    let options = DataOptions {
        purpose: Purpose::Retrieval,
        images: Some(PathBuf::from("/nowhere")),
        caption_field: None,
        split: Split::Test,
        scratch: crate::folder(),
    };
    match PairData::open(&[path], &options) {
        Ok(data) => {
            for mut item in data.items(None).take(SAMPLES_MAX) {
                if !matches!(item.content, Content::File(_) | Content::Url(_)) {
                    let _ = item.content.take("");
                }
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
