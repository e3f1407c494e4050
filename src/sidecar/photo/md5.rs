//! MD5 (RFC 1321), by which photo programs notice that IPTC was changed. It protects nothing here.

const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
    padded.extend((bytes.len() as u64 * 8).to_le_bytes());
    let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476_u32];
    for block in padded.as_chunks::<64>().0 {
        let mut words = block.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
        let words: [u32; 16] = std::array::from_fn(|_| words.next().unwrap_or(0));
        let sums = state;
        state = (0..64).fold(state, |state, i| step(state, &words, i));
        state
            .iter_mut()
            .zip(sums)
            .for_each(|(part, before)| *part = part.wrapping_add(before));
    }
    let mut digest = [0; 16];
    let parts = state.iter().flat_map(|part| part.to_le_bytes());
    digest.iter_mut().zip(parts).for_each(|(to, byte)| *to = byte);
    digest
}

fn step([a, b, c, d]: [u32; 4], words: &[u32; 16], i: usize) -> [u32; 4] {
    let (mixed, word) = match i / 16 {
        0 => ((b & c) | (!b & d), i),
        1 => ((d & b) | (!d & c), 5 * i + 1),
        2 => (b ^ c ^ d, 3 * i + 5),
        _ => (c ^ (b | !d), 7 * i),
    };
    // T of the RFC: 4294967296 times abs(sin(i + 1)), of which the whole part counts.
    let sine = (((i + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
    let sum = a.wrapping_add(mixed).wrapping_add(sine).wrapping_add(words[word % 16]);
    [d, b.wrapping_add(sum.rotate_left(SHIFTS[i / 16][i % 4])), b, c]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_of_the_rfc() {
        let digits = "1234567890".repeat(8);
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
            (&digits, "57edf4a22be3c955ac49da2e2107b67a"),
        ] {
            let hex: String = md5(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, digest, "{text}");
        }
    }
}
