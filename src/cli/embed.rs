//! `longclip embed INPUT... | --text T`: vectors of the joint space.

use std::path::{Path, PathBuf};

use longclip::input::Item;
use longclip::labels::files::read_texts;
use longclip::model::{LongClip, normalize};
use longclip::output::{Fields, Layout, Outcome as RecordOutcome, Record, Settings, Subject, Task};
use longclip::{Error, Result};

use super::Outcome;
use super::classify::subject;
use super::input_flags::{InputFlags, PictureFlags};
use super::model_flags::{ModelFlags, reason, warn_of_cut_texts};
use super::output_flags::{self, OutputFlags, Results};
use super::pictures::{Pictures, Run, Seen, Sink, Thumbnails, Verdict};
use super::progress::{self, Expected};
use super::report::{Exit, Report};
use super::run_flags::RunFlags;
use super::tally::Ended;

const EXAMPLES: &str = "\
Examples:
  longclip embed img/cat.jpg
  longclip embed --text \"a cat\" --text \"a dog\" --normalize
  longclip embed photos/ --normalize --output photos.npy";

/// Print the vectors of pictures or texts
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    texts: TextFlags,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    pictures: PictureFlags,
    #[command(flatten)]
    model: ModelFlags,
}

/// Texts, and what becomes of vectors.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Vectors")]
struct TextFlags {
    /// A text; may be repeated
    #[arg(short, long, value_name = "TEXT")]
    text: Vec<String>,
    /// A file of texts, one a line; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    texts_file: Option<PathBuf>,
    /// Make vectors unit length
    #[arg(long)]
    normalize: bool,
}

/// Texts at once in one pass, between which what is done is written.
const TEXTS_A_PASS: usize = 64;

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let texts_on_stdin = args.texts.texts_file.as_deref() == Some(Path::new("-"));
    let inputs = args.input.inputs(texts_on_stdin.then_some("--texts-file -"))?;
    let texts = texts(args)?;
    let format = args.output.format("ndjson")?;
    args.output.check(&format, Task::Embeddings(0))?;
    args.output.check_texts_resume(texts.len())?;
    let (model, model_name) = args.model.load_named(report)?;
    warn_of_cut_texts(&model, texts.iter().map(String::as_str), "text", report);
    let settings = Settings {
        task: Task::Embeddings(model.sizes().embed_dim),
        labels: Vec::new(),
        groups: Vec::new(),
        layout: Layout::Long,
        fields: if args.input.may_bring_fields() {
            Fields::Carried
        } else {
            Fields::None
        },
        bars: output_flags::bars(&args.output),
        model: model_name,
    };
    let mut items = inputs.items();
    let (results, mut held) = args.output.open(&format, &settings, &mut items)?;
    let mut writer = Writer {
        results,
        lengths: if args.texts.normalize {
            Lengths::Unit
        } else {
            Lengths::Own
        },
    };
    let run = Run {
        model: &model,
        preprocess: args.pictures.apply(model.preprocess()),
        settings: args.run.pipeline(&args.model, &model),
        most_failures: args.run.most_failures(),
        thumbnails: Thumbnails::None,
        pictures: Pictures::Forgotten,
        results: if args.output.is_on_terminal() {
            progress::Results::OnTerminal
        } else {
            progress::Results::Elsewhere
        },
        report,
    };
    held.check(&run, |item, seen| writer.encoded(item, seen))?;
    writer.results.begin()?;
    writer.write_texts(&model, &texts)?;
    if args.input.is_empty() {
        writer.results.finish()?;
        return Ok(Exit::Done);
    }
    let (ended, exit) = run.over(Expected::Of(&inputs), items, held.progress, &mut writer)?;
    match ended {
        Ended::AtTheEnd => writer.results.finish()?,
        Ended::Interrupted | Ended::TooManyFailed => writer.results.leave(report)?,
    }
    Ok(exit)
}

fn texts(args: &Args) -> Result<Vec<String>> {
    let mut texts = args.texts.text.clone();
    if let Some(file) = &args.texts.texts_file {
        texts.extend(read_texts(file)?);
    }
    if texts.is_empty() && args.input.is_empty() {
        return Err(Error::usage(
            "neither pictures nor texts given",
            "name some: `longclip embed photo.jpg`, or `longclip embed --text \"a cat\"`",
        ));
    }
    Ok(texts)
}

/// How long vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lengths {
    /// As the towers gave them.
    Own,
    Unit,
}

/// Writes a record for each text and picture.
struct Writer {
    results: Results,
    lengths: Lengths,
}

impl Writer {
    fn write_texts(&mut self, model: &LongClip, texts: &[String]) -> Result<()> {
        for pass in texts.chunks(TEXTS_A_PASS) {
            let embeddings = model.encode_texts(pass)?.0;
            for (text, row) in pass.iter().zip(embeddings.rows()) {
                self.results.write(&Record {
                    subject: Subject::Text(text.clone()),
                    fields: serde_json::Map::new(),
                    outcome: self.vector(row.to_vec()),
                    thumbnail: None,
                })?;
            }
            self.results.flush()?;
        }
        Ok(())
    }

    fn vector(&self, mut values: Vec<f32>) -> RecordOutcome {
        if self.lengths == Lengths::Unit {
            normalize(&mut values);
        }
        RecordOutcome::Embedding(values)
    }

    fn encoded(&mut self, item: Item, seen: Seen) -> Result<Vec<u8>> {
        let outcome = self.vector(seen.embedding);
        self.results.encoded(&record(item, outcome))
    }
}

fn record(item: Item, outcome: RecordOutcome) -> Record {
    Record {
        subject: subject(item.name),
        fields: item.fields,
        outcome,
        thumbnail: None,
    }
}

impl Sink for Writer {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> anyhow::Result<Verdict> {
        let (outcome, verdict) = match seen {
            Ok(seen) => (self.vector(seen.embedding), Verdict::Done),
            Err(error) => (RecordOutcome::Failed(reason(&error)), Verdict::Failed(error)),
        };
        self.results.write(&record(item, outcome))?;
        Ok(verdict)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.results.flush()?)
    }
}
