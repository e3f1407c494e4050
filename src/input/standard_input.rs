//! `-`: one picture's bytes on stdin, or a tar archive, told apart by what they begin with.

use std::io::{Cursor, Read, stdin};

use super::content::read_at_most;
use super::{Content, Item, Items, archive};
use crate::error::Error;

/// What messages and records call it.
const NAME: &str = "-";

pub(super) fn items() -> Items {
    Box::new(std::iter::once_with(begun).flatten())
}

fn begun() -> Items {
    let mut start = Vec::new();
    if let Err(source) = stdin().take(archive::TELLING_BYTES).read_to_end(&mut start) {
        return super::one(Item::unusable(NAME, unreadable(source)));
    }
    let is_archive = archive::begins_like_one(&start);
    let whole = Cursor::new(start).chain(stdin());
    if is_archive {
        return archive::items(NAME.into(), Box::new(whole), &super::Skipped::default());
    }
    super::one(match read_at_most(whole) {
        Ok(Some(bytes)) => Item::new(NAME, Content::Bytes(bytes)),
        Ok(None) => Item::unusable(NAME, unreadable(std::io::Error::other("more than 1 GiB"))),
        Err(source) => Item::unusable(NAME, unreadable(source)),
    })
}

fn unreadable(source: std::io::Error) -> Error {
    let path = "stdin".into();
    Error::Read { path, source }
}
