//! Arrow batches, as Ray and Spark pass them: each is returned with columns of results, as by the command line's
//! `--in arrow --out arrow`.

use std::io::{self, Cursor, Write};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use longclip::files::Destination;
use longclip::input::arrow::{LabelColumn, Stream};
use longclip::output::Settings;
use longclip::output::arrow::Row;
use longclip::score::Views;
use longclip::session::Fitting;
use longclip::session::stream::Incoming;
use pyo3::pybacked::PyBackedBytes;

use crate::environment;
use crate::errors::Halt;
use crate::model::Model;
use crate::run;

/// A whole Arrow stream with its rows' results after its columns; `judge` makes a row's results of what its image is scored by.
///
/// An image that can't be used is a row with its `error`. To be called without the interpreter's lock.
pub(crate) fn widened(
    model: &Model,
    stream: PyBackedBytes,
    fitting: Option<Fitting>,
    settings: &Settings,
    judge: impl Fn(Views) -> Row,
) -> Result<Vec<u8>, Halt> {
    let stream = Stream::open(Box::new(Cursor::new(stream)), "the batch")?;
    let incoming = Incoming::new(stream, LabelColumn::Carried, environment::input_options())?;
    let written = Written::default();
    let destination = written.destination();
    run::over(model, fitting, |run, watch| {
        let judge = &mut |_: &_, seen: longclip::session::Seen| Ok(judge(seen.views));
        let (ended, _) = incoming.run(run, settings, destination, watch, judge)?;
        Ok(ended)
    })?;
    Ok(written.take())
}

/// Bytes that are written on any of a run's threads.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub(crate) fn destination(&self) -> Destination {
        Destination::stream(Box::new(self.clone()), "results in memory")
    }

    /// What was written until now.
    pub(crate) fn take(&self) -> Vec<u8> {
        mem::take(&mut *self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.locked().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
