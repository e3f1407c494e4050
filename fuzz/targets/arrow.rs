//! A stream of record batches: as the input of a run, and as a data set.

#![no_main]

use std::io::Cursor;

use longclip::input::arrow::{Columns, LabelColumn, Stream};
use longclip::input::{Content, InputOptions};

longclip_fuzz::target!(|data| {
    let _ = stream(data);
    longclip_fuzz::data::read("a.arrow", data);
});

fn stream(data: &[u8]) -> longclip::Result<()> {
    let mut stream = Stream::open(Box::new(Cursor::new(data.to_vec())), "a.arrow")?;
    let columns = Columns::of(stream.schema(), LabelColumn::Read)?;
    while let Some(batch) = stream.next_batch()? {
        for mut item in columns.items(&batch.columns, 0, &InputOptions::default()).take(64) {
            if let Content::Deferred(_) | Content::Bytes(_) = item.content {
                let _ = item.content.take("");
            }
        }
    }
    Ok(())
}
