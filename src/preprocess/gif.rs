//! The screen of a GIF file. Some programs write a smaller one than the first frame, or none.

use std::borrow::Cow;

/// Where its width and height are, with flags after them.
const SCREEN: usize = 6;
const SCREEN_END: usize = 13;
const HAS_COLOURS: u8 = 0x80;
const EXTENSION: u8 = b'!';
const FRAME: u8 = b',';

/// The file with a screen that holds the first frame: Pillow makes it as large as that.
pub(super) fn with_screen(bytes: &[u8]) -> Cow<'_, [u8]> {
    let screen = [0, 2].map(|i| number(bytes, SCREEN + i));
    let ([Some(width), Some(height)], Some(frame)) = (screen, first_frame(bytes)) else {
        return Cow::Borrowed(bytes);
    };
    let larger = [width.max(frame[0]), height.max(frame[1])];
    match larger.map(u16::try_from) {
        [Ok(new_width), Ok(new_height)] if larger != [width, height] => {
            let sides = [new_width, new_height].map(u16::to_le_bytes).concat();
            Cow::Owned([&bytes[..SCREEN], &sides, &bytes[SCREEN + sides.len()..]].concat())
        }
        _ => Cow::Borrowed(bytes),
    }
}

/// The column and the row where the first frame ends.
fn first_frame(bytes: &[u8]) -> Option<[u32; 2]> {
    let flags = *bytes.get(SCREEN + 4)?;
    let n_colours = if flags & HAS_COLOURS == 0 { 0 } else { 2 << (flags & 7) };
    let mut at = SCREEN_END + 3 * n_colours;
    loop {
        match *bytes.get(at)? {
            EXTENSION => {
                at += 2;
                while *bytes.get(at)? > 0 {
                    at += 1 + usize::from(bytes[at]);
                }
                at += 1;
            }
            FRAME => {
                let [left, top, width, height] = [1, 3, 5, 7].map(|i| number(bytes, at + i));
                return Some([left? + width?, top? + height?]);
            }
            _ => return None,
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u32::from(u16::from_le_bytes([bytes[0], bytes[1]])))
}
