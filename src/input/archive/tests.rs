//! Archives as inputs: images, links and other members, and archives that are damaged.

use std::fs;
use std::path::Path;

use crate::input::testing::archive_of;
use crate::input::tests::{folder, problem};
use crate::input::{Inputs, Item};

#[test]
fn archives_give_their_pictures_packed_or_not() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let tar = archive_of(&[
        ("s/001.jpg", b"one"),
        ("s/001.txt", b"a cat"),
        ("s/002.left.png", b"two"),
    ]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let packed = [
        ("x.tar", tar.clone()),
        ("x.tgz", gzip.finish().unwrap()),
        ("x.tar.zst", zstd::encode_all(&tar[..], 1).unwrap()),
    ];
    for (name, bytes) in packed {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let inputs = folder(&path);
        let mut items: Vec<Item> = inputs.items().collect();
        assert_eq!(items.len(), 2, "{name}");
        assert_eq!(items[1].name.to_string(), format!("{}/s/002.left.png", path.display()));
        assert_eq!(items[1].fields.get("__key__").unwrap().to_string(), "s/002");
        assert_eq!(items[1].content.take("x").unwrap(), b"two");
        assert_eq!(inputs.options.skipped.counts().not_pictures.n, 1);
    }
}

/// The images of an archive of GNU tar in `tests/data/archives`, and the inputs that gave them.
fn links_of(name: &str) -> (Vec<(String, Vec<u8>)>, Inputs) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/archives")
        .join(name);
    let dir = tempfile::tempdir().unwrap();
    let mut inputs = folder(&path);
    if name.ends_with(".tar") {
        let packed = fs::File::open(path.with_extension("tar.gz")).unwrap();
        let plain = dir.path().join(name);
        std::io::copy(
            &mut flate2::read::GzDecoder::new(packed),
            &mut fs::File::create(&plain).unwrap(),
        )
        .unwrap();
        inputs = folder(&plain);
    }
    let images = inputs.items().map(|mut item| {
        let name = item.name.to_string();
        let bytes = item.content.take("x").unwrap();
        let name = name.split_once(".tar.gz/").or(name.split_once(".tar/"));
        (name.unwrap().1.to_owned(), bytes)
    });
    (images.collect(), inputs)
}

#[test]
fn links_in_archives_have_the_content_of_their_files_and_other_members_are_counted() {
    for name in ["links.tar", "links.tar.gz"] {
        let (images, inputs) = links_of(name);
        let expected = [
            ("1.jpg", "one"),
            ("2.jpg", "two!"),
            ("3.jpg", "one"),
            ("4.jpg", "two!"),
            ("d/5.jpg", "five"),
            ("d/6.jpg", "one"),
        ];
        let expected = expected.map(|(name, content)| (name.to_owned(), content.as_bytes().to_vec()));
        assert_eq!(images, expected, "{name}");
        let skipped = inputs.options.skipped.counts();
        assert!(skipped.members.n == 1 && skipped.members.first.unwrap().ends_with("/p.jpg"));
    }
    for name in ["sparse-1.0.tar", "sparse-gnu.tar.gz"] {
        let (images, _) = links_of(name);
        assert_eq!((images.len(), images[0].1.len()), (2, 600_000));
    }
}

#[test]
fn a_hard_link_to_a_file_that_is_not_there_is_an_error_of_its_own() {
    let mut builder = ::tar::Builder::new(Vec::new());
    let mut link = ::tar::Header::new_gnu();
    link.set_entry_type(::tar::EntryType::Link);
    link.set_size(0);
    builder.append_link(&mut link, "a.jpg", "gone.jpg").unwrap();
    link.set_entry_type(::tar::EntryType::Symlink);
    builder.append_link(&mut link, "b.jpg", "gone.jpg").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tar");
    fs::write(&path, builder.into_inner().unwrap()).unwrap();
    let inputs = folder(&path);
    let mut items: Vec<Item> = inputs.items().collect();
    assert_eq!(items.len(), 1);
    assert!(problem(&mut items[0]).contains("a hard link to `gone.jpg`"));
    assert_eq!(inputs.options.skipped.counts().members.n, 1);
}

#[test]
fn a_video_of_more_than_a_gibibyte_in_an_archive_is_skipped_like_a_small_one() {
    use std::io::{Seek, SeekFrom, Write};
    let (dir, large) = (tempfile::tempdir().unwrap(), (1 << 30) + 512);
    let path = dir.path().join("x.tar");
    let mut file = fs::File::create(&path).unwrap();
    for (name, size) in [("a.mp4", large), ("b.mp4", 512), ("c.jpg", 512)] {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(size);
        header.set_path(name).unwrap();
        header.set_cksum();
        file.write_all(header.as_bytes()).unwrap();
        let end = file.seek(SeekFrom::Current(i64::try_from(size).unwrap())).unwrap();
        file.set_len(end).unwrap();
    }
    file.set_len(file.metadata().unwrap().len() + 1024).unwrap();
    let inputs = folder(&path);
    let mut items: Vec<Item> = inputs.items().collect();
    assert_eq!((items.len(), items[0].content.take("x").unwrap().len()), (1, 512));
    assert_eq!(inputs.options.skipped.counts().not_pictures.n, 2);
}

#[test]
fn an_archive_cut_short_gives_what_it_holds_and_then_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tar");
    let tar = archive_of(&[("1.jpg", b"one"), ("2.jpg", &[7; 2000])]);
    fs::write(&path, &tar[..512 * 3 + 700]).unwrap();
    let mut items: Vec<Item> = folder(&path).items().collect();
    assert_eq!(items.len(), 2);
    assert_eq!(items[0].content.take("x").unwrap(), b"one");
    assert!(problem(&mut items[1]).contains("in the middle of"));
}

#[test]
fn bytes_that_are_not_a_tar_archive_are_reported_and_not_printed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.tar");
    let noise: Vec<u8> = (0..3000_u32).map(|i| (i * 37 % 251) as u8).collect();
    fs::write(&path, noise).unwrap();
    let mut items: Vec<Item> = folder(&path).items().collect();
    let message = problem(&mut items[0]);
    assert!(
        message.contains("not a tar archive") && !message.contains(char::is_control),
        "{message}"
    );
}
