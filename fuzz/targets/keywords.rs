//! A photo: keywords are added to its XMP and taken away again.

#![no_main]

use longclip::sidecar::{Photo, TagPath};

longclip_fuzz::target!(|data| {
    let photo = |bytes: &[u8]| Photo::read(&longclip_fuzz::file("photo", bytes));
    let Ok(Some(before)) = photo(data) else { return };
    let had_ours = before.untagged() != Ok(None);
    let tags = [TagPath(vec!["animal".into(), "c<a>t & 'dog'".into()])];
    let Ok(Some(bytes)) = before.tagged(&tags) else { return };
    let Ok(Some(tagged)) = photo(&bytes) else {
        panic!("a photo with keywords can't be read")
    };
    assert_eq!(tagged.tagged(&tags), Ok(None), "tags that are there were added again");
    let untagged = tagged.untagged().expect("what we wrote can be read");
    let untagged = untagged.expect("tags that were added were not found");
    // A wrong checksum of a PNG or flag of a WebP is corrected, and a WebP keeps the chunk of flags that it got.
    let is_same = untagged == data || !data.starts_with(b"\xff\xd8");
    assert!(had_ours || is_same, "a removal did not give back the photo");
});
