//! A sidecar: tags are added and taken away again.

#![no_main]

use longclip::sidecar::{TagPath, Untagged, is_of_tags, tagged, untagged};

longclip_fuzz::target!(|data| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = is_of_tags(text, |tag| tag == "cat");
    let tags = [TagPath(vec!["animal".into(), "c<a>t & 'dog'".into()])];
    let Ok(Some(with_tags)) = tagged(text, &tags) else {
        let _ = untagged(text);
        return;
    };
    assert_eq!(
        tagged(&with_tags, &tags),
        Ok(None),
        "tags that are there were added again"
    );
    let without = untagged(&with_tags).expect("what we wrote can be read");
    assert_ne!(without, Untagged::Unchanged, "tags that were added were not found");
});
