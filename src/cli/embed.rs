//! `longclip embed INPUT... | --text T`: vectors of the joint space.

use std::path::{Path, PathBuf};

use longclip::input::Item;
#[cfg(feature = "arrow")]
use longclip::input::arrow::LabelColumn;
use longclip::labels::files::read_texts;
use longclip::model::{LongClip, normalize};
#[cfg(feature = "arrow")]
use longclip::output::arrow::Row;
use longclip::output::{Fields, Layout, Outcome as RecordOutcome, Record, Settings, Subject, Task};
use longclip::session::{Ended, Seen, Sink, Verdict, record};
use longclip::{Error, Result};

use super::Outcome;
use super::hint::reason;
use super::image_run::ImageRun;
use super::input_flags::{InputFlags, PictureFlags};
use super::model_flags::{ModelFlags, warn_of_cut_texts};
use super::output_flags::{self, OutputFlags, OutputPlace, Results};
use super::progress::Expected;
use super::report::{Exit, Report};
use super::run_flags::RunFlags;
use super::shards::{Facts, ShardFile};
#[cfg(feature = "arrow")]
use super::stream::{StreamFlags, run_over_batches};
#[cfg(feature = "arrow")]
use super::targets;
use super::targets::Writing;

const EXAMPLES: &str = "\
Examples:
  longclip embed img/cat.jpg
  longclip embed --text \"a cat\" --text \"a dog\" --normalize
  longclip embed photos/ --normalize --output photos.npy
  longclip embed --in arrow --out arrow --normalize < in.arrows > out.arrows";

/// Print the vectors of pictures or texts
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    input: InputFlags,
    #[cfg(feature = "arrow")]
    #[command(flatten)]
    stream: StreamFlags,
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
    #[cfg(feature = "arrow")]
    if args.stream.is_asked() {
        return run_over_rows(args, report);
    }
    let texts_on_stdin = args.texts.texts_file.as_deref() == Some(Path::new("-"));
    let inputs = args.input.inputs(texts_on_stdin.then_some("--texts-file -"))?;
    let texts = texts(args)?;
    let format = args.output.format("ndjson")?;
    args.output.check(&format, Task::Embeddings(0))?;
    args.output.check_texts_resume(texts.len())?;
    let shard = ShardFile::planned(&args.input, &inputs, &args.output, &format)?;
    let target = args.output.target(&format, &mut args.writing().inputs(&inputs))?;
    if shard.is_some() && !texts.is_empty() {
        return Err(Error::usage(
            "`--shard` is for pictures, and there are texts",
            "embed texts into a file of their own",
        )
        .into());
    }
    let (model, model_name) = args.model.load_named(report)?;
    if let Some(shard) = &shard
        && shard.is_done(args.facts(&model, &model_name), report)?
    {
        return Ok(Exit::Done);
    }
    warn_of_cut_texts(&model, texts.iter().map(String::as_str), "text", report);
    let settings = args.settings(&model, model_name);
    let mut items = inputs.items();
    let output = OutputPlace {
        target,
        shard,
        inputs: &inputs,
    };
    let (results, mut held) = args.output.open(&format, &settings, &mut items, output)?;
    let mut writer = Writer {
        results,
        lengths: args.texts.lengths(),
    };
    let run = ImageRun {
        results: args.output.where_to(),
        ..args.run.plain(&args.model, &args.pictures, &model, report)
    };
    held.check(&run.run, |item, seen| writer.encoded(item, seen))?;
    writer.results.begin()?;
    writer.write_texts(&model, &texts)?;
    if args.input.is_empty() {
        writer.results.finish(report)?;
        return Ok(Exit::Done);
    }
    let (ended, exit) = run.over(Expected::Of(&inputs), items, held.progress, &mut writer)?;
    match ended {
        Ended::AtTheEnd => writer.results.finish(report)?,
        Ended::Interrupted | Ended::TooManyFailed => writer.results.leave(report)?,
    }
    Ok(exit)
}

/// `--in arrow`: the stream's rows are the pictures.
#[cfg(feature = "arrow")]
fn run_over_rows(args: &Args, report: Report) -> Outcome {
    if !args.texts.text.is_empty() || args.texts.texts_file.is_some() {
        return Err(Error::usage(
            "texts have no rows in the stream of `--in arrow`",
            "embed them into a file of their own",
        )
        .into());
    }
    args.output.check_stream()?;
    let source = args.stream.source(&args.input, None)?;
    let target = args.output.stream_target(source.target_rules(args.writing()))?;
    let incoming = source.open(LabelColumn::Carried)?;
    let (model, model_name) = args.model.load_named(report)?;
    let settings = args.settings(&model, model_name);
    let run = args.run.plain(&args.model, &args.pictures, &model, report);
    let lengths = args.texts.lengths();
    let destination = targets::whole(target.as_ref())?;
    run_over_batches(incoming, &run, &settings, destination, &mut |_, seen| {
        Ok(Row {
            embedding: Some(lengths.of(seen.embedding)),
            ..Row::default()
        })
    })
}

impl Args {
    /// What is read, and may not be written.
    fn writing(&self) -> Writing<'_> {
        let writing = Writing::new(self.output.force).model(&self.model);
        writing.reads("the file of texts", &self.texts.texts_file)
    }

    fn settings(&self, model: &LongClip, model_name: String) -> Settings {
        Settings {
            task: Task::Embeddings(model.sizes().embed_dim),
            labels: Vec::new(),
            groups: Vec::new(),
            layout: Layout::Long,
            fields: if self.input.may_bring_fields() {
                Fields::Carried
            } else {
                Fields::None
            },
            bars: output_flags::bars(&self.output),
            model: model_name,
            dtype: self.model.dtype_name(),
        }
    }

    /// All that records depend on, by name.
    fn facts(&self, model: &LongClip, model_name: &str) -> Facts {
        let own = Facts::from_iter([
            ("command".into(), "embed".into()),
            ("model".into(), model_name.into()),
            ("weights".into(), model.weights_identity().into()),
            ("normalize".into(), self.texts.normalize.into()),
        ]);
        let others = [self.input.facts(), self.model.facts(), self.pictures.facts()];
        own.into_iter().chain(others.into_iter().flatten()).collect()
    }
}

impl TextFlags {
    fn lengths(&self) -> Lengths {
        if self.normalize { Lengths::Unit } else { Lengths::Own }
    }
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

impl Lengths {
    fn of(self, mut values: Vec<f32>) -> Vec<f32> {
        if self == Lengths::Unit {
            normalize(&mut values);
        }
        values
    }
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

    fn vector(&self, values: Vec<f32>) -> RecordOutcome {
        RecordOutcome::Embedding(self.lengths.of(values))
    }

    fn encoded(&mut self, item: Item, seen: Seen) -> Result<Vec<u8>> {
        let outcome = self.vector(seen.embedding);
        self.results.encoded(&record(item, outcome, None))
    }
}

impl Sink for Writer {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        let (outcome, verdict) = match seen {
            Ok(seen) => (self.vector(seen.embedding), Verdict::Done),
            Err(error) => (RecordOutcome::Failed(reason(&error)), Verdict::Failed(error)),
        };
        self.results.write(&record(item, outcome, None))?;
        Ok(verdict)
    }

    fn flush(&mut self) -> Result<()> {
        self.results.flush()
    }
}
