//! Batches of Arrow, as Ray and Spark have them: each comes back with columns of results, as from the command line's
//! `--in arrow --out arrow`.

use std::io::Cursor;

use longclip::Result;
use longclip::input::Item;
use longclip::input::arrow::{Columns, LabelColumn, Stream};
use longclip::output::Settings;
use longclip::output::arrow::{Row, ScoresOf, Widener};
use pyo3::pybacked::PyBackedBytes;

use crate::environment;
use crate::errors::Halt;
use crate::model::Model;
use crate::run;

/// A whole Arrow stream with its rows' results behind its columns; `judge` makes a row's results of its embedding.
///
/// A picture that can't be used is a row with its `error`. To be called without the interpreter's lock.
pub(crate) fn widened(
    model: &Model,
    stream: PyBackedBytes,
    settings: &Settings,
    mut judge: impl FnMut(&[f32]) -> Row + Send,
) -> Result<Vec<u8>, Halt> {
    let mut stream = Stream::open(Box::new(Cursor::new(stream)), "the batch")?;
    let columns = Columns::of(stream.schema(), LabelColumn::Carried)?;
    let options = environment::input_options();
    let (mut batches, mut items, mut n_rows) = (Vec::new(), Vec::new(), 0);
    while let Some(batch) = stream.next_batch()? {
        items.push(columns.items(&batch, n_rows, &options));
        n_rows += batch.num_rows() as u64;
        batches.push(batch);
    }
    let mut rows = Vec::new();
    run::over_items(
        model,
        Box::new(items.into_iter().flatten()),
        Vec::new(),
        |_: Item, embedding| {
            rows.push(match embedding {
                Ok(embedding) => judge(embedding),
                Err(error) => Row {
                    error: Some(error.reason()),
                    ..Row::default()
                },
            });
            Ok(())
        },
    )?;
    let mut widener = Widener::new(stream.schema(), settings, ScoresOf::Run)?;
    let mut bytes = Vec::new();
    let mut write = || {
        widener.begin(&mut bytes)?;
        let mut rest = rows.as_slice();
        for batch in &batches {
            let (own, later) = rest.split_at(batch.num_rows());
            widener.batch(batch, own, &mut bytes)?;
            rest = later;
        }
        widener.end(&mut bytes)
    };
    write().map_err(longclip::Error::system("write the results"))?;
    Ok(bytes)
}
