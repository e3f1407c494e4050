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
use longclip::output::{Layout, Outcome as RecordOutcome, Record, Subject, Task};
use longclip::score::OneView;
use longclip::session::{Ended, Loaded, OutputPlace, OutputPlan, RecordWriter, Resuming, Seen, Writing};
use longclip::weights::Tower;
use longclip::{Error, Result};
use serde::Serialize;

use super::Outcome;
use super::facts;
use super::format_choice::Printed;
use super::image_run::close;
use super::input_flags::{InputFlags, to_one_square};
use super::model_flags::warn_of_cut_texts;
use super::output_flags::OutputFlags;
use super::progress::Expected;
use super::report::{Exit, Report};
use super::run_flags::EncodingFlags;
use super::shard_flags::is_done;
#[cfg(feature = "arrow")]
use super::stream::{StreamFlags, run_over_batches};
use super::targets;

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

const PRINTED: Printed = Printed {
    task: Task::Embeddings(0),
    default: "ndjson",
    layout: Layout::Long,
};

/// Print the embeddings of images or texts
#[derive(Debug, clap::Args, Serialize)]
#[command(
    after_help = EXAMPLES,
    after_long_help = NOTES,
    mut_arg("format", |flag| PRINTED.format_flag(flag)),
    mut_arg("fit", to_one_square)
)]
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
    #[command(flatten)]
    #[serde(flatten)]
    encoding: EncodingFlags,
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
    let one = args.encoding.pictures.one_view("`embed` prints")?;
    #[cfg(feature = "arrow")]
    if args.stream.is_asked() {
        return run_over_rows(args, one, report);
    }
    let texts_on_stdin = args.texts.texts_file.as_deref() == Some(Path::new("-"));
    let inputs = args.input.plan(texts_on_stdin.then_some("--texts-file -"))?;
    let texts = texts(args)?;
    let mut writing = args.writing().inputs(&inputs);
    let output = args.output.plan(PRINTED, &inputs, &mut writing)?;
    check_texts(&texts, &output)?;
    let loaded = args.encoding.model.load_for(&needed(args, &texts), report)?;
    if is_done(&output, || facts::facts("embed", args, &loaded), report)? {
        return Ok(Exit::Done);
    }
    warn_of_cut_texts(&loaded.model, texts.iter().map(String::as_str), "text", report);
    let settings = output.settings(loaded.settings(task(&loaded)));
    let mut run = args.encoding.plan(&loaded, report);
    let mut judge = |_: &Item, seen: Seen| Ok(Ok((args.texts.outcome(seen.views.into_embedding(one)), None)));
    let mut items = inputs.items();
    let mut writer = run.open(output, &settings, &mut items, &mut judge)?;
    args.texts.write(&loaded.model, &texts, &mut writer)?;
    if args.input.is_empty() {
        close(writer, Ended::AtTheEnd, report)?;
        return Ok(Exit::Done);
    }
    let exit = run.record(Expected::Of(&inputs), items, writer, &mut judge)?;
    Ok(match exit {
        // The texts were embedded.
        Exit::Refused if !texts.is_empty() => Exit::SomeFailed,
        exit => exit,
    })
}

/// `--in arrow`: the stream's rows are the images.
#[cfg(feature = "arrow")]
fn run_over_rows(args: &Args, one: OneView, report: Report) -> Outcome {
    if !args.texts.text.is_empty() || args.texts.texts_file.is_some() {
        return Err(Error::usage(
            "texts have no rows in the stream of `--in arrow`",
            "embed them into a file of their own",
        )
        .into());
    }
    let named = args.input.stream()?;
    let source = args.stream.source(named, None, &args.output, args.writing())?;
    let (incoming, target) = source.open(LabelColumn::Carried, args.input.options()?)?;
    let loaded = args.encoding.model.load_for(&[Tower::Image], report)?;
    let settings = loaded.settings(task(&loaded));
    let run = args.encoding.plan(&loaded, report);
    run_over_batches(incoming, &run, &settings, target.as_ref(), &mut |_, seen| {
        Ok(Row {
            embedding: Some(args.texts.scaled(seen.views.into_embedding(one))),
            ..Row::default()
        })
    })
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
        let writing = targets::writing(self.output.force, &self.encoding.model);
        writing.reads("the file of texts", &self.texts.texts_file)
    }
}

fn task(loaded: &Loaded) -> Task {
    Task::Embeddings(loaded.model.sizes().embed_dim)
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

/// Refuses texts, if a shard is written or a run is resumed: they are not part of the input.
fn check_texts(texts: &[String], output: &OutputPlan) -> Result<()> {
    let flag = match &output.place {
        _ if texts.is_empty() => return Ok(()),
        OutputPlace::Shard(..) => "--shard",
        OutputPlace::File(_, Resuming::Asked) => "--resume",
        OutputPlace::File(..) | OutputPlace::Stream(_) => return Ok(()),
    };
    Err(Error::usage(
        format!("`{flag}` is for images, and there are texts"),
        "embed texts into a file of their own",
    ))
}

impl TextFlags {
    fn write(&self, model: &LongClip, texts: &[String], writer: &mut RecordWriter) -> Result<()> {
        for pass in texts.chunks(TEXTS_A_PASS) {
            let embeddings = model.encode_texts(pass)?.0;
            for (text, row) in pass.iter().zip(embeddings.rows()) {
                writer.write(&Record {
                    subject: Subject::Text(text.clone()),
                    fields: JsonFields::default(),
                    outcome: self.outcome(row.to_vec()),
                    thumbnail: None,
                    file: None,
                })?;
            }
            writer.flush()?;
        }
        Ok(())
    }

    fn outcome(&self, embedding: Vec<f32>) -> RecordOutcome {
        RecordOutcome::Embedding(self.scaled(embedding))
    }

    /// An embedding as it is written.
    fn scaled(&self, mut embedding: Vec<f32>) -> Vec<f32> {
        if self.normalize {
            model::normalize(&mut embedding);
        }
        embedding
    }
}
