//! `longclip embed INPUT... | --text T`: embeddings of images and texts.

use std::path::{Path, PathBuf};

use longclip::input::Item;
#[cfg(feature = "arrow")]
use longclip::input::arrow::LabelColumn;
use longclip::json_fields::JsonFields;
use longclip::labels::files::read_text_lines;
use longclip::model::{self, LongClip};
#[cfg(feature = "arrow")]
use longclip::output::arrow::Row;
use longclip::output::{Fields, Outcome as RecordOutcome, Record, Settings, Subject, Task};
use longclip::session::{Seen, Sink, Verdict, record};
use longclip::weights::Tower;
use longclip::{Error, Result};
use serde::Serialize;

use super::Outcome;
use super::facts;
use super::hint::reason;
use super::image_run::ImageRun;
use super::input_flags::{InputFlags, PictureFlags};
use super::model_flags::{Loaded, ModelFlags, warn_of_cut_texts};
use super::output_flags::OutputFlags;
use super::progress::Expected;
use super::report::{Exit, Report};
use super::results::Results;
use super::run_flags::RunFlags;
#[cfg(feature = "arrow")]
use super::stream::{StreamFlags, run_over_batches};
#[cfg(feature = "arrow")]
use super::targets;
use super::targets::Writing;

const EXAMPLES: &str = "\
Examples:
  longclip embed photo.jpg
  longclip embed photos/ --normalize -o photos.npy
  longclip embed --text \"a cat\" --text \"a dog\" --normalize";

const NOTES: &str = "\
More examples:
  longclip embed photos/ --texts-file captions.txt -o vectors.ndjson
  longclip embed --in arrow --out arrow --normalize < in > out

Exit codes: 0 all images done, 1 some failed, 2 nothing could be done or all
failed, 130 interrupted.";

/// Print the embeddings of images or texts
#[derive(Debug, clap::Args, Serialize)]
#[command(after_help = EXAMPLES, after_long_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    input: InputFlags,
    // A stream has no shards.
    #[cfg(feature = "arrow")]
    #[command(flatten)]
    #[serde(skip)]
    stream: StreamFlags,
    #[command(flatten)]
    #[serde(flatten)]
    texts: TextFlags,
    #[command(flatten)]
    #[serde(flatten)]
    output: OutputFlags,
    // How a run goes changes no record.
    #[command(flatten)]
    #[serde(skip)]
    run: RunFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pictures: PictureFlags,
    #[command(flatten)]
    #[serde(flatten)]
    model: ModelFlags,
}

/// Texts, and how embeddings are written.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Vectors")]
struct TextFlags {
    /// A text to embed; may be repeated
    ///
    /// Up to 248 tokens. Example: `--text "a cat" --text "a dog"`
    // Texts have no shards.
    #[serde(skip)]
    #[arg(short, long, value_name = "TEXT")]
    text: Vec<String>,
    /// Read texts from a file, one per line; `-` is stdin
    ///
    /// Example: `--texts-file captions.txt`
    // Texts have no shards.
    #[serde(skip)]
    #[arg(long, value_name = "FILE")]
    texts_file: Option<PathBuf>,
    /// Scale embeddings to unit length
    ///
    /// The dot product of two of them is then their cosine.
    #[arg(long)]
    normalize: bool,
}

/// Texts per pass; after each, its results are written.
const TEXTS_A_PASS: usize = 64;

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    #[cfg(feature = "arrow")]
    if args.stream.is_asked() {
        return run_over_rows(args, report);
    }
    let texts_on_stdin = args.texts.texts_file.as_deref() == Some(Path::new("-"));
    let input = args.input.plan(texts_on_stdin.then_some("--texts-file -"))?;
    let texts = texts(args)?;
    input.inputs.refuse_unreadable()?;
    let mut writing = args.writing().inputs(&input.inputs);
    let output = args
        .output
        .plan("ndjson", Task::Embeddings(0), &input.inputs, &mut writing)?;
    output.check_texts(&texts)?;
    let loaded = args.model.load_for(&needed(args, &texts), report)?;
    if output.is_done(|| facts::facts("embed", args, &loaded), report)? {
        return Ok(Exit::Done);
    }
    warn_of_cut_texts(&loaded.model, texts.iter().map(String::as_str), "text", report);
    let settings = settings(&loaded, input.fields);
    let run = ImageRun {
        results: output.results(),
        continued_by: output.continued_by(),
        ..args.run.plan(&loaded, &args.pictures, report)
    };
    let mut items = input.inputs.items();
    let (results, mut held) = output.open(&settings, &mut items)?;
    let mut writer = Writer {
        results,
        normalize: args.texts.normalize,
    };
    held.check(&run.run, |item, seen| writer.encoded(item, seen))?;
    writer.results.begin()?;
    writer.write_texts(&loaded.model, &texts)?;
    if args.input.is_empty() {
        writer.results.finish(report)?;
        return Ok(Exit::Done);
    }
    let (ended, exit) = run.over(Expected::Of(&input.inputs), items, held.progress, &mut writer)?;
    writer.results.close(ended, report)?;
    Ok(match exit {
        // The texts were embedded.
        Exit::Refused if !texts.is_empty() => Exit::SomeFailed,
        exit => exit,
    })
}

/// `--in arrow`: the stream's rows are the images.
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
    let source = args.stream.source(args.input.stream()?, args.input.options()?, None)?;
    let target = args.output.stream_target(source.target_rules(args.writing()))?;
    let incoming = source.open(LabelColumn::Carried)?;
    let loaded = args.model.load_for(&[Tower::Image], report)?;
    let settings = settings(&loaded, Fields::None);
    let run = args.run.plan(&loaded, &args.pictures, report);
    run_over_batches(
        incoming,
        &run,
        &settings,
        targets::whole(target.as_ref())?,
        &mut |_, seen| {
            Ok(Row {
                embedding: Some(match args.texts.normalize {
                    true => normalized(seen.embedding),
                    false => seen.embedding,
                }),
                ..Row::default()
            })
        },
    )
}

/// The towers that read what is embedded; a file with only these can be used.
fn needed(args: &Args, texts: &[String]) -> Vec<Tower> {
    let image = (!args.input.is_empty()).then_some(Tower::Image);
    let text = (!texts.is_empty()).then_some(Tower::Text);
    image.into_iter().chain(text).collect()
}

impl Args {
    /// What is read, and may not be written.
    fn writing(&self) -> Writing<'_> {
        let writing = Writing::new(self.output.force).model(&self.model);
        writing.reads("the file of texts", &self.texts.texts_file)
    }
}

fn settings(loaded: &Loaded, fields: Fields) -> Settings {
    Settings {
        fields,
        ..loaded.settings(Task::Embeddings(loaded.model.sizes().embed_dim))
    }
}

fn texts(args: &Args) -> Result<Vec<String>> {
    let mut texts = args.texts.text.clone();
    if let Some(file) = &args.texts.texts_file {
        texts.extend(read_text_lines(file)?);
    }
    if texts.is_empty() && args.input.is_empty() {
        return Err(Error::usage(
            "neither images nor texts given",
            "name some: `longclip embed photo.jpg`, or `longclip embed --text \"a cat\"`",
        ));
    }
    Ok(texts)
}

/// An embedding of unit length.
fn normalized(mut embedding: Vec<f32>) -> Vec<f32> {
    model::normalize(&mut embedding);
    embedding
}

/// Writes a record for each text and image.
struct Writer {
    results: Results,
    normalize: bool,
}

impl Writer {
    fn write_texts(&mut self, model: &LongClip, texts: &[String]) -> Result<()> {
        for pass in texts.chunks(TEXTS_A_PASS) {
            let embeddings = model.encode_texts(pass)?.0;
            for (text, row) in pass.iter().zip(embeddings.rows()) {
                self.results.write(&Record {
                    subject: Subject::Text(text.clone()),
                    fields: JsonFields::default(),
                    outcome: self.vector(row.to_vec()),
                    thumbnail: None,
                    file: None,
                })?;
            }
            self.results.flush()?;
        }
        Ok(())
    }

    fn vector(&self, values: Vec<f32>) -> RecordOutcome {
        RecordOutcome::Embedding(if self.normalize { normalized(values) } else { values })
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
        self.results.note(&verdict);
        Ok(verdict)
    }

    fn flush(&mut self) -> Result<()> {
        self.results.flush()
    }
}
