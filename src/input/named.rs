//! The images that a name stands for: those of a file, a folder, an archive, a URL, a pattern, or `-` for stdin.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use glob::GlobError;

use super::item::{Item, Items, one};
use super::options::InputOptions;
use super::url::is_url;
use super::{Content, Deferred, Name, archive, content, folder, pattern, split, standard_input};
use crate::error::{Error, in_words};

/// The images of a name as typed: it may be a pattern, and `-` is stdin.
pub(super) fn expanded(path: PathBuf, options: &InputOptions) -> Items {
    if path == Path::new("-") {
        return standard_input::items(options);
    }
    if is_special(&path) {
        return special(path, options);
    }
    if !pattern::is_pattern(&path) || path.exists() || path.to_str().is_some_and(is_url) {
        return literal(path, options);
    }
    let options = options.clone();
    match pattern::matches(&path) {
        Ok(matches) => Box::new(matches.flat_map(move |found| match found {
            Ok(path) => literal(path, &options),
            Err(error) => one(unreadable(&error)),
        })),
        Err(error) => one(Item::unusable(&path, error)),
    }
}

fn unreadable(error: &GlobError) -> Item {
    let path = error.path();
    let reason = io::Error::new(error.error().kind(), error.error().to_string());
    Item::unusable(path, Error::read(path)(reason))
}

/// Whether it is a device or a pipe. Only one that is named directly is read, such as a shell's `<(command)`: what a list
/// or a folder leads to could wait forever or never end.
fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

fn special(path: PathBuf, options: &InputOptions) -> Items {
    if archive::is_named_like_one(&path) {
        return archive::file_items(path, options);
    }
    let name = Name::from(&path);
    let content = Content::Deferred(Deferred::new(move || content::read_special(&path)));
    split::kept(one(Item::new(name, content)), options.shard, split::as_named)
}

/// The images of a name in a list, or of a pattern's match: nothing in it has a special meaning.
pub(super) fn literal(path: PathBuf, options: &InputOptions) -> Items {
    if let Some(url) = path.to_str().filter(|text| is_url(text)) {
        let item = Item::new(url, content::named(url, options));
        return split::kept(one(item), options.shard, split::as_named);
    }
    if path.is_dir() {
        let folder = in_words(&path);
        let name = move |item: &Item| split::below(&folder, &item.name.to_string());
        return split::kept(folder::items(path, options), options.shard, name);
    }
    if archive::is_named_like_one(&path) {
        return match content::refuse_special(&path) {
            Err(error) if is_special(&path) => {
                let item = Item::unusable(&path, error);
                split::kept(one(item), options.shard, split::as_named)
            }
            _ => archive::file_items(path, options),
        };
    }
    split::kept(one(Item::file(path)), options.shard, split::as_named)
}
