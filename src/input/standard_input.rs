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
    Box::new(std::iter::once_with(move || begun(stdin(), &options)).flatten())
}

fn begun(mut stdin: impl Read + Send + 'static, options: &InputOptions) -> Items {
    let one = |item: Item| split::kept(item::one(item), options.shard, split::as_named);
    let mut start = Vec::new();
    if let Err(source) = (&mut stdin).take(archive::TELLING_BYTES).read_to_end(&mut start) {
        return one(Item::unusable(NAME, Error::read("stdin")(source)));
    }
    let is_archive = archive::begins_like_one(&start);
    // A person at a terminal would have to end it a second time if it were read after its end.
    let n_unread = if (start.len() as u64) < archive::TELLING_BYTES {
        0
    } else {
        u64::MAX
    };
    let whole = Cursor::new(start).chain(stdin.take(n_unread));
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io;

    use super::*;

    /// Bytes that are typed at a terminal: an empty read is Ctrl-D, and after it a person may go on.
    struct Typed(VecDeque<Vec<u8>>);

    impl Read for Typed {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let line = self.0.pop_front().expect("nothing is read after the end");
            let n = line.len().min(buffer.len());
            buffer[..n].copy_from_slice(&line[..n]);
            if n < line.len() {
                self.0.push_front(line[n..].to_vec());
            }
            Ok(n)
        }
    }

    #[track_caller]
    fn check(typed: &[&[u8]], expected: &[u8]) {
        let typed = Typed(typed.iter().map(|line| line.to_vec()).collect());
        let mut items: Vec<Item> = begun(typed, &InputOptions::default()).collect();
        match items.pop().map(|item| item.content) {
            Some(Content::Held(held)) => assert_eq!(held.bytes, expected),
            other => panic!("{other:?}"),
        }
        assert!(items.is_empty());
    }

    #[test]
    fn one_end_is_enough() {
        check(&[b""], b"");
        check(&[b"not an image\n", b"nor this\n", b""], b"not an image\nnor this\n");
    }

    #[test]
    fn what_is_longer_than_the_start_is_read_to_its_end() {
        let long = vec![b'x'; 100_000];
        check(&[&long, b""], &long);
    }
}
