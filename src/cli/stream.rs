//! `--in arrow --out arrow`: the rows of an Arrow stream are the images.

use std::fs::File;
use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use longclip::files::Target;
use longclip::input::arrow::{LabelColumn, Stream};
use longclip::input::{InputOptions, Inputs, Item, Source};
use longclip::output::arrow::Row;
use longclip::output::{Progress, Settings};
use longclip::session::stream::Incoming;
use longclip::session::{Ended, Seen, Writing};
use longclip::{Error, Result};

use super::Outcome;
use super::image_run::ImageRun;
use super::output_flags::OutputFlags;
use super::progress::Expected;
use super::run_report::RunReport;
use super::targets;

/// Whether images come as rows of a stream.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Input")]
pub(super) struct StreamFlags {
    /// `arrow`: the rows of an Arrow stream are the images
    ///
    /// The stream comes from stdin, or from the one file that is named. It has a column `path` or `image` (encoded
    /// bytes), perhaps `id`, and perhaps `labels`, each row's own; for `score`, a column of texts. Its batches come back on
    /// stdout in their order, with columns of results. Example: `--in arrow --out arrow`
    #[arg(long = "in", value_name = "FORMAT", hide_short_help = true)]
    format_in: Option<InputFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum InputFormat {
    Arrow,
}

impl StreamFlags {
    pub(super) fn is_asked(&self) -> bool {
        self.format_in.is_some()
    }

    /// Where the stream comes from, the one file that is `named` or stdin, and where its batches go. `stdin_is_taken` names a
    /// flag that reads stdin, if one does.
    pub(super) fn source<'a>(
        &self,
        named: &'a [PathBuf],
        stdin_is_taken: Option<&str>,
        output: &OutputFlags,
        writing: Writing<'_>,
    ) -> Result<StreamSource<'a>> {
        output.check_stream()?;
        let file = match named {
            [] => None,
            [only] => Some(only).filter(|only| *only != Path::new("-")),
            _ => {
                return Err(Error::usage(
                    format!("`--in arrow` reads one stream, and there are {} inputs", named.len()),
                    "name one file, or none for stdin",
                ));
            }
        };
        if let (None, Some(flag)) = (file, stdin_is_taken) {
            return Err(Error::usage(
                format!("`--in arrow` and `{flag}` both read stdin, which can be read only once"),
                "give one of them a file",
            ));
        }
        if file.is_none() && stdin().is_terminal() {
            return Err(Error::usage(
                "`--in arrow` reads a stream from stdin, and that is a terminal",
                "pipe one in, or name a file: `longclip classify photos.arrows --in arrow ...`",
            ));
        }
        let target = output.stream_target(writing.reads("the stream", file))?;
        Ok(StreamSource { file, target })
    }
}

/// Where a stream comes from, a file or stdin, and where its batches go.
pub(super) struct StreamSource<'a> {
    file: Option<&'a PathBuf>,
    target: Option<Target>,
}

impl StreamSource<'_> {
    /// Waits for the schema.
    pub(super) fn open(self, labels: LabelColumn<'_>, options: InputOptions) -> Result<(Incoming, Option<Target>)> {
        let stream = match self.file {
            Some(path) => {
                let file = File::open(path).map_err(Error::read(path))?;
                Stream::open(Box::new(file), &format!("`{}`", path.display()))?
            }
            None => Stream::open(Box::new(stdin()), "stdin")?,
        };
        Ok((Incoming::new(stream, labels, options)?, self.target))
    }
}

/// Refuses the first of these flags that was given, and says why it can't go with a stream.
pub(super) fn refuse_given(flags: &[(&str, bool)], why: &str, hint: &'static str) -> Result<()> {
    match flags.iter().find(|(_, is_given)| *is_given) {
        Some((flag, _)) => Err(Error::usage(format!("`{flag}` {why}"), hint)),
        None => Ok(()),
    }
}

/// Runs all rows through the model, and writes the batches with what `judge` makes of each image.
pub(super) fn run_over_batches(
    incoming: Incoming,
    run: &ImageRun<'_>,
    settings: &Settings,
    target: Option<&Target>,
    judge: &mut dyn FnMut(&Item, Seen) -> Result<Row>,
) -> Outcome {
    let destination = targets::whole(target)?;
    // Nothing is counted in advance: a stream can be read once.
    let inputs = Inputs {
        sources: vec![Source::Named("-".into())],
        options: incoming.options().clone(),
    };
    let mut watch = RunReport::begin(run.report, &Expected::Of(&inputs), Progress::default(), run.results);
    let outcome = incoming.run(&run.run, settings, destination, &mut watch, judge);
    watch.end();
    let (ended, partial) = outcome?;
    let exit = watch.sum_up(ended, &inputs.options, None);
    if ended != Ended::AtTheEnd {
        run.report.note("batches that were not complete are not in the output");
    }
    if let Some(partial) = partial {
        run.report
            .note(format!("what was done until now is in `{}`", partial.display()));
    }
    Ok(exit)
}
