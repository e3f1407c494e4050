//! Says, for messages, what a file looks like that isn't weights: a web page, a Git LFS pointer, an empty file.

/// What the bytes look like; `otherwise` if they look like nothing known.
pub(super) fn what_it_is(bytes: &[u8], otherwise: &str) -> String {
    let start = String::from_utf8_lossy(&bytes[..bytes.len().min(256)])
        .trim_start()
        .to_lowercase();
    let known = [
        (
            "version https://git-lfs",
            "a Git LFS pointer: the weights themselves were not fetched",
        ),
        ("<!doctype html", "a web page: the download failed"),
        ("<html", "a web page: the download failed"),
        ("<?xml", "an XML document: the download failed"),
        ("gguf", "a GGUF file"),
    ];
    if bytes.is_empty() {
        return "an empty file".into();
    }
    if let Some((_, what)) = known.iter().find(|(prefix, _)| start.starts_with(prefix)) {
        return (*what).into();
    }
    otherwise.into()
}
