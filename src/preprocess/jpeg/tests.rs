//! Goldens of reduced decoding, which `tests/data/preprocess/reduced/make.py` made with Pillow's `Image.draft`.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::*;
use crate::kernels::jpeg::BlockSide;

#[derive(serde::Deserialize)]
struct Golden {
    file: String,
    scale: usize,
    mode: String,
    size: [usize; 2],
    /// Of the pixels as stored.
    sha256: String,
}

/// Decodes an image as it is stored to one `scale`-th of its size.
fn reduced(bytes: &[u8], scale: usize) -> Result<Picture, Problem> {
    let mut reader = JpegReader::new(bytes);
    let mut frame = reader.read_to_frame()?;
    let colours = reader.app_segments.colours(&frame.components)?;
    let side = BlockSide::ALL.into_iter().find(|side| side.px() * scale == 8);
    frame.reduce(side.unwrap());
    reader.picture(frame, colours)
}

#[test]
fn reduced_images_match_pillows_draft() {
    let folder = Path::new("tests/data/preprocess");
    let text = std::fs::read_to_string(folder.join("reduced/goldens.json")).unwrap();
    let goldens: Vec<Golden> = serde_json::from_str(&text).unwrap();
    assert!(goldens.len() > 40);
    let differing = goldens.iter().filter_map(|golden| {
        let bytes = std::fs::read(folder.join(&golden.file)).unwrap();
        let Ok(picture) = reduced(&bytes, golden.scale) else {
            panic!("{} can't be decoded", golden.file);
        };
        let mode = match golden.mode.as_str() {
            "L" => Mode::Grey,
            "RGB" => Mode::Rgb,
            _ => Mode::Cmyk,
        };
        assert_eq!(
            (picture.mode(), [picture.width_px(), picture.height_px()]),
            (mode, golden.size)
        );
        let is_equal = format!("{:x}", Sha256::digest(picture.bytes())) == golden.sha256;
        (!is_equal).then(|| format!("{} at 1/{}", golden.file, golden.scale))
    });
    let differing: Vec<String> = differing.collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}
