//! Icons whose image is a PNG. The decoder reads only those with alpha; Pillow reads all.

/// The PNG that Pillow shows of an icon: its largest image, if that is a PNG.
pub(super) fn png(bytes: &[u8]) -> Option<&[u8]> {
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
    let n = usize::from(u16::from_le_bytes(*bytes.get(4..)?.first_chunk()?));
    let entries = bytes.get(6..)?.chunks_exact(16).take(n);
    // A side of 0 is 256. Of equally large ones, the first with the fewest colours counts (`IcoImagePlugin.py`).
    let side = |byte: u8| if byte == 0 { 256 } else { u32::from(byte) };
    let depth = |entry: &[u8]| match (u16::from_le_bytes([entry[6], entry[7]]), entry[2]) {
        (0, 0) => 256,
        (0, colours) => u32::from(colours).next_power_of_two().trailing_zeros(),
        (bits, _) => u32::from(bits),
    };
    let rank = |entry: &&[u8]| (std::cmp::Reverse(side(entry[0]) * side(entry[1])), depth(entry));
    let largest = entries.min_by_key(rank)?;
    let number = |at: usize| {
        largest[at..]
            .first_chunk()
            .map(|bytes| u32::from_le_bytes(*bytes) as usize)
    };
    let image = bytes.get(number(12)?..)?;
    image.starts_with(PNG).then_some(image)
}
