//! Keywords in photos: everything else stays to the byte.

use super::*;
use crate::preprocess::{Limits, Orientation, decode};

pub(super) const LIGHTROOM: &str = include_str!("../../../tests/data/xmp/lightroom.xmp");

pub(super) fn fixture(name: &str) -> Vec<u8> {
    fs::read(format!("{}/tests/data/preprocess/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

pub(super) fn tags(paths: &[&str]) -> Vec<TagPath> {
    let parts = |path: &&str| TagPath(path.split('|').map(str::to_owned).collect());
    paths.iter().map(parts).collect()
}

pub(super) fn photo(bytes: &[u8]) -> Photo {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("photo");
    fs::write(&path, bytes).unwrap();
    Photo::read(&path).unwrap().expect("its format is known")
}

/// Adds a tag, and checks that a second run changes nothing, that pixels are the same, and that all bytes around the place
/// are: those before it and those after it.
#[track_caller]
fn check(name: &str, bytes: &[u8]) -> Vec<u8> {
    let before = photo(bytes);
    let place = before.kind.find(bytes).unwrap();
    let edited = before.tagged(&tags(&["animal|cat"])).unwrap().expect("a tag is added");
    let after = photo(&edited);
    assert_eq!(
        after.tagged(&tags(&["animal|cat"])).unwrap(),
        None,
        "{name}: a second run"
    );
    let found = after.kind.find(&edited).unwrap();
    let packet = std::str::from_utf8(&edited[found.packet.clone().unwrap()]).unwrap();
    assert!(packet.contains("<rdf:li>animal|cat</rdf:li>"), "{name}: {packet}");
    assert!(
        edited[found.container.end..] == bytes[place.container.end..],
        "{name}: what follows"
    );
    let grown = found.container.start - place.container.start;
    match before.kind {
        Kind::Jpeg | Kind::Png => assert!(
            edited[..found.container.start] == bytes[..place.container.start],
            "{name}"
        ),
        // The length of the file, and the chunk of flags.
        Kind::WebP => {
            assert!(edited[..4] == bytes[..4] && edited[8..12] == bytes[8..12], "{name}");
            let (own, new) = (
                &bytes[12..place.container.start],
                &edited[12 + grown..found.container.start],
            );
            let differences = own.iter().zip(new).filter(|(a, b)| a != b).count();
            assert!(own.len() == new.len() && differences <= 1, "{name}: {differences}");
            assert_eq!(usize::from(edited[12..16] == *b"VP8X"), 1, "{name}");
            assert_eq!(grown, if bytes[12..16] == *b"VP8X" { 0 } else { 18 }, "{name}");
        }
    }
    let pixels =
        |bytes: &[u8]| decode(name, bytes, Orientation::Upright, &Limits::default()).map_err(|error| error.to_string());
    assert!(pixels(bytes) == pixels(&edited), "{name}: other pixels");
    edited
}

#[test]
fn a_photo_gets_keywords_and_gives_them_back_to_the_byte() {
    for name in [
        "cmyk-300x200-q95.jpg",
        "exif-6-240x160.jpg",
        "grey-451x300-q85.jpg",
        "jpeg-baseline-99-scans-1024x1024.jpg",
        "jpeg-grey-restarts-80x60.jpg",
        "rgb-451x300-q85-progressive.jpg",
        "exif-after-idat.png",
        "rgb-1x1.png",
        "rgba-200x150.png",
        "exif-6-240x160.webp",
        "webp-animated-exif.webp",
    ] {
        let bytes = fixture(name);
        let edited = check(name, &bytes);
        let restored = photo(&edited).untagged().unwrap().expect("it has ours");
        assert!(
            restored == bytes,
            "{name}: {} and {} bytes",
            restored.len(),
            bytes.len()
        );
        assert_eq!(photo(&restored).untagged().unwrap(), None, "{name}");
        assert_eq!(photo(&bytes).tagged(&[]).unwrap(), None, "{name}: no tags");
    }
}

#[test]
fn a_webp_that_is_only_an_image_becomes_an_extended_one() {
    let name = "rgb-300x200-q80.webp";
    let bytes = fixture(name);
    assert_eq!(bytes[12..16], *b"VP8 ");
    let edited = check(name, &bytes);
    assert_eq!(edited[12..30], *b"VP8X\x0a\0\0\0\x04\0\0\0\x2b\x01\0\xc7\0\0");
    let restored = photo(&edited).untagged().unwrap().unwrap();
    assert_eq!(restored[30..], bytes[12..], "the image is as it was");
    assert_eq!(restored[20], 0, "it says that there is no XMP");
    // One pixel with alpha, in lossless form.
    let lossless = b"RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0";
    let edited = check("lossless", lossless);
    assert_eq!(edited[20], XMP_AND_ALPHA);
}

const XMP_AND_ALPHA: u8 = 0b1_0100;

#[test]
fn the_packet_of_another_program_keeps_every_byte() {
    let bytes = fixture("xmp-orientation.jpg");
    let edited = check("xmp-orientation.jpg", &bytes);
    assert!(photo(&edited).untagged().unwrap().unwrap() == bytes);
    for name in ["png-xmp.png", "webp-xmp.webp"] {
        let problem = photo(&fixture(name)).tagged(&tags(&["cat"])).unwrap_err();
        assert_eq!(problem, "it has no `rdf:RDF`, so it is not XMP", "{name}");
    }
    for (kind, name) in [
        (Kind::Jpeg, "exif-6-240x160.jpg"),
        (Kind::Png, "rgba-200x150.png"),
        (Kind::WebP, "exif-6-240x160.webp"),
    ] {
        let bare = photo(&fixture(name));
        assert_eq!(bare.kind, kind);
        let place = kind.find(&bare.bytes).unwrap();
        let bytes = bare.with(&place, Some(LIGHTROOM)).unwrap();
        let edited = check(name, &bytes);
        let found = kind.find(&edited).unwrap().packet.unwrap();
        let expected = tagged(LIGHTROOM, &tags(&["animal|cat"])).unwrap().unwrap();
        assert!(edited[found] == *expected.as_bytes(), "{name}: as a sidecar is edited");
        assert!(photo(&edited).untagged().unwrap().unwrap() == bytes, "{name}");
    }
}

#[test]
fn what_follows_the_image_stays() {
    for name in ["exif-6-240x160.jpg", "rgba-200x150.png", "exif-6-240x160.webp"] {
        let bytes = [&fixture(name)[..], b"a film of a second, as phones append it"].concat();
        let edited = check(name, &bytes);
        assert!(edited.ends_with(b"as phones append it"), "{name}");
        assert!(photo(&edited).untagged().unwrap().unwrap() == bytes, "{name}");
    }
}

#[track_caller]
pub(super) fn refused(bytes: &[u8]) -> String {
    photo(bytes).tagged(&tags(&["cat"])).unwrap_err()
}

#[test]
fn packets_that_cannot_be_edited_are_refused() {
    let jpeg = photo(&fixture("exif-6-240x160.jpg"));
    let place = jpeg.kind.find(&jpeg.bytes).unwrap();
    let padded = LIGHTROOM.to_owned() + &" ".repeat(65_502 - LIGHTROOM.len());
    let full = jpeg.with(&place, Some(&padded)).unwrap();
    let problem = refused(&full);
    assert!(problem.ends_with("bytes, and a JPEG holds at most 65502"), "{problem}");
    let broken = jpeg.with(&place, Some("<rdf:RDF")).unwrap();
    assert!(refused(&broken).starts_with("it is not XML"), "{}", refused(&broken));
    let png = photo(&fixture("rgba-200x150.png"));
    let place = png.kind.find(&png.bytes).unwrap();
    let mut compressed = png.with(&place, Some(LIGHTROOM)).unwrap();
    compressed[place.container.start + 8 + b"XML:com.adobe.xmp\0".len()] = 1;
    assert_eq!(refused(&compressed), "its XMP is compressed");
}

#[test]
fn a_file_that_is_cut_off_is_refused_or_edited_and_never_a_panic() {
    for name in [
        "exif-6-240x160.jpg",
        "rgb-97x61.png",
        "png-xmp.png",
        "webp-xmp.webp",
        "xmp-orientation.jpg",
    ] {
        let whole = photo(&fixture(name));
        for end in 12..whole.bytes.len() {
            let photo = Photo {
                kind: whole.kind,
                bytes: whole.bytes[..end].to_vec(),
                metadata: whole.metadata.clone(),
            };
            match photo.tagged(&tags(&["cat"])) {
                // A JPEG that is cut off in its pixels.
                Ok(edited) => assert!(photo.kind == Kind::Jpeg && edited.is_some(), "{name} at {end}"),
                Err(problem) => assert!(!problem.is_empty()),
            }
            let _ = photo.untagged();
        }
    }
}

#[test]
fn other_formats_and_files_that_must_not_be_replaced_are_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["formats/rgb.heic", "formats/rgb.jxl", "associated-alpha.tif"] {
        fs::write(path("other"), fixture(name)).unwrap();
        assert!(Photo::read(&path("other")).unwrap().is_none(), "{name}");
    }
    fs::write(path("a.jpg"), fixture("exif-6-240x160.jpg")).unwrap();
    fs::hard_link(path("a.jpg"), path("b.jpg")).unwrap();
    let refused = |name: &str| Photo::read(&path(name)).unwrap_err().to_string();
    if cfg!(unix) {
        assert!(
            refused("b.jpg").contains("it has 2 names (hard links)"),
            "{}",
            refused("b.jpg")
        );
    }
    fs::remove_file(path("b.jpg")).unwrap();
    let mut permissions = fs::metadata(path("a.jpg")).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(path("a.jpg"), permissions).unwrap();
    assert!(refused("a.jpg").ends_with("it is write-protected"));
    assert!(refused("").contains("not a regular file"));
    assert!(Photo::read(&path("none.jpg")).is_err());
}

#[test]
#[cfg(unix)]
fn a_photo_keeps_its_permissions_and_times_and_a_link_leads_to_it() {
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, UNIX_EPOCH};
    let dir = tempfile::tempdir().unwrap();
    let (path, link) = (dir.path().join("a.jpg"), dir.path().join("link.jpg"));
    fs::write(&path, fixture("exif-6-240x160.jpg")).unwrap();
    let then = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(then)
        .unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    // Some file systems have no attributes.
    let has_attributes = xattr::set(&path, "user.xdg.tags", b"holiday").is_ok();
    let photo = Photo::read(&link).unwrap().unwrap();
    let edited = photo.tagged(&tags(&["cat"])).unwrap().unwrap();
    photo.replace(&link, &edited).unwrap();
    assert!(fs::read(&path).unwrap() == edited);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.modified().unwrap(), then);
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    if has_attributes {
        assert_eq!(xattr::get(&path, "user.xdg.tags").unwrap().unwrap(), b"holiday");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    let late = photo.replace(&path, &edited).unwrap_err().to_string();
    assert!(late.contains("another program has changed it meanwhile"), "{late}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}
