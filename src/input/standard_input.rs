//! `-`: one image's bytes on stdin, or a tar archive, distinguished by their first bytes.

use std::io::{Cursor, Read, stdin};

use super::limit::{Unread, read_at_most};
use super::{Content, Held, InputOptions, Item, Items, archive, item, split};
use crate::error::Error;
use crate::memory::holding;

/// Its name in messages and records.
const NAME: &str = "-";

pub(super) fn items(options: &InputOptions) -> Items {
    let options = options.clone();
    Box::new(std::iter::once_with(move || begun(&options)).flatten())
}

fn begun(options: &InputOptions) -> Items {
    let one = |item: Item| split::kept(item::one(item), options.shard, split::as_named);
    let mut start = Vec::new();
    if let Err(source) = stdin().take(archive::TELLING_BYTES).read_to_end(&mut start) {
        return one(Item::unusable(NAME, Error::read("stdin")(source)));
    }
    let is_archive = archive::begins_like_one(&start);
    let whole = Cursor::new(start).chain(stdin());
    if is_archive {
        return archive::items(NAME.into(), Box::new(whole), options);
    }
    one(match holding(|| read_at_most(whole)) {
        (Ok(bytes), holds) => Item::new(NAME, Content::Held(Held { bytes, holds })),
        (Err(Unread::TooMany), _) => {
            Item::unusable(NAME, Error::read("stdin")(std::io::Error::other("more than 1 GiB")))
        }
        (Err(Unread::Failed(source)), _) => Item::unusable(NAME, Error::read("stdin")(source)),
    })
}
