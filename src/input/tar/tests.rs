//! Archives as GNU tar 1.34 writes them, in `tests/data/archives`. The expected members are those of Python's `tarfile`.

use std::path::Path;

use super::super::testing::archive_of;
use super::*;

/// Name, kind, size, and the sum of the content's bytes, of each member.
type Seen = (String, Kind, u64, u64);

fn seen(mut archive: Archive<impl Read>) -> io::Result<Vec<Seen>> {
    let mut all = Vec::new();
    while let Some(member) = archive.next()? {
        let mut bytes = Vec::new();
        archive.content(&member.place).read_to_end(&mut bytes)?;
        assert_eq!(bytes.len() as u64, member.place.size);
        let name = String::from_utf8(member.name).unwrap();
        all.push((
            name,
            member.kind,
            member.place.size,
            bytes.iter().map(|&byte| u64::from(byte)).sum(),
        ));
    }
    Ok(all)
}

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/archives")
        .join(name);
    let mut bytes = Vec::new();
    let packed = std::fs::read(path).unwrap();
    flate2::read::GzDecoder::new(packed.as_slice())
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

#[track_caller]
fn check(bytes: &[u8], expected: &[(&str, Kind, u64, u64)]) {
    let seen = seen(Archive::new(bytes)).unwrap();
    let seen: Vec<_> = seen
        .iter()
        .map(|(name, kind, size, sum)| (name.as_str(), *kind, *size, *sum))
        .collect();
    assert_eq!(seen, expected);
}

const ONE: (&str, Kind, u64, u64) = ("1.jpg", Kind::File, 3, 322);

#[test]
fn sparse_files_of_all_formats_are_filled_with_zeros() {
    for name in ["sparse-gnu", "sparse-0.0", "sparse-0.1", "sparse-1.0"] {
        check(
            &fixture(&format!("{name}.tar.gz")),
            &[("s.jpg", Kind::File, 600_000, 2_740_000), ONE],
        );
    }
}

#[test]
fn links_labels_and_folders_are_told_from_files() {
    let links = fixture("links.tar.gz");
    check(
        &links,
        &[
            ONE,
            ("2.jpg", Kind::File, 4, 379),
            ("3.jpg", Kind::HardLink, 0, 0),
            ("4.jpg", Kind::SymbolicLink, 0, 0),
            ("d/", Kind::Nothing, 0, 0),
            ("d/5.jpg", Kind::File, 4, 426),
            ("d/6.jpg", Kind::SymbolicLink, 0, 0),
            ("p.jpg", Kind::Other, 0, 0),
        ],
    );
    let mut archive = Archive::new(links.as_slice());
    let third = std::iter::from_fn(|| archive.next().unwrap()).nth(2).unwrap();
    assert_eq!(third.target, b"1.jpg");
    check(
        &fixture("label-gnu.tar.gz"),
        &[("My label.jpg", Kind::Nothing, 0, 0), ONE],
    );
}

#[test]
fn old_headers_and_long_names_are_read() {
    let old = fixture("v7.tar.gz");
    assert!(begins_like_an_archive(&old));
    check(
        &old,
        &[
            ONE,
            ("d/", Kind::Nothing, 0, 0),
            ("d/5.jpg", Kind::File, 4, 426),
            ("d/6.jpg", Kind::SymbolicLink, 0, 0),
        ],
    );
    let long = "l".repeat(120);
    for name in ["long-gnu.tar.gz", "long-pax.tar.gz"] {
        check(
            &fixture(name),
            &[
                (&format!("{long}/"), Kind::Nothing, 0, 0),
                (&format!("{long}/{long}.jpg"), Kind::File, 4, 432),
            ],
        );
    }
}

#[test]
fn joined_archives_are_read_to_the_last_and_other_data_after_the_end_is_noticed() {
    let (a, b) = (archive_of(&[("1.jpg", b"one")]), fixture("label-gnu.tar.gz"));
    let joined = [a.as_slice(), &[0; 1024], &b].concat();
    check(&joined, &[ONE, ("My label.jpg", Kind::Nothing, 0, 0), ONE]);
    let mut noisy = Archive::new(a.as_slice().chain([7; 700].as_slice()));
    assert!(noisy.next().unwrap().is_some() && noisy.next().unwrap().is_none());
    assert!(noisy.has_trailing_data());
    let mut cut = Archive::new(a.as_slice().chain([7; 70].as_slice()));
    assert!(cut.next().unwrap().is_some() && cut.next().unwrap().is_none());
}

#[test]
fn damage_is_an_error_in_words() {
    let whole = archive_of(&[("1.jpg", b"one"), ("2.jpg", &[7; 2000])]);
    let problem = |bytes: &[u8]| seen(Archive::new(bytes)).map(drop).unwrap_err().to_string();
    assert!(problem(&whole[..1100]).contains("in the middle of a member's header"));
    let mut other = whole.clone();
    other[1024] ^= 1;
    assert!(problem(&other).contains("another checksum"));
    for name in [
        "sparse-gnu",
        "sparse-0.0",
        "sparse-1.0",
        "long-gnu",
        "long-pax",
        "links",
    ] {
        let whole = fixture(&format!("{name}.tar.gz"));
        for i in (0..whole.len().min(4096)).step_by(7) {
            let mut damaged = whole.clone();
            damaged[i] ^= 0x55;
            // Whatever happens, it is not a panic.
            drop(try_all(&damaged));
            drop(try_all(&whole[..i]));
        }
    }
}

fn try_all(bytes: &[u8]) -> io::Result<()> {
    let mut archive = Archive::new(bytes);
    while let Some(member) = archive.next()? {
        io::copy(&mut archive.content(&member.place).take(1 << 20), &mut io::sink())?;
    }
    Ok(())
}
