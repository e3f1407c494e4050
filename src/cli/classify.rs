//! `longclip classify INPUT... --labels L...`: which of the labels fits each picture.

use std::fs;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use longclip::input::{Item, Name};
use longclip::labels::LabelSet;
use longclip::model::LongClip;
use longclip::output::{
    Fields, Holds, Labelled, Layout, Outcome as RecordOutcome, Record, Settings, Subject, Task, Vectors,
};
use longclip::score::{self, Score};
use longclip::{Error, Result};

use super::Outcome;
use super::input_flags::{InputFlags, PictureFlags};
use super::model_flags::{ModelFlags, reason, warn_of_cut_texts};
use super::output_flags::{self, OutputFlags, Results};
use super::own_labels::OwnLabels;
use super::pictures::{Run, Seen, Sink, Thumbnails, Verdict};
use super::progress;
use super::report::Report;
use super::run_flags::RunFlags;
use super::tally::Ended;

const EXAMPLES: &str = "\
Examples:
  longclip classify img/cat.jpg --labels \"A cat jumping.\" \"A cat sleeping.\"
  longclip classify photos/ --labels-file labels.txt --output results.ndjson
  find . -name '*.jpg' -print0 | longclip classify --files-from - -0 --label \"a cat\" --label \"a dog\" --format ndjson

Put pictures before `--labels`: it takes everything that stands behind it.
Exit codes: 0 all pictures done, 1 some failed, 2 nothing could be done, 130 interrupted.";

/// Say which of the labels fits each picture
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    input: InputFlags,
    #[command(flatten)]
    labels: LabelFlags,
    /// Print each picture's vector too
    #[arg(long, help_heading = "Output")]
    embeddings: bool,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    pictures: PictureFlags,
    #[command(flatten)]
    model: ModelFlags,
}

/// What pictures may show, and how that is scored.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Labels")]
pub(super) struct LabelFlags {
    /// Labels, up to 248 tokens each; takes all arguments up to the next flag
    #[arg(short, long, value_name = "LABEL", num_args = 1..)]
    labels: Vec<String>,
    /// One label; may be repeated
    #[arg(long = "label", value_name = "LABEL")]
    label: Vec<String>,
    /// A file of labels, one a line; `-` reads stdin
    #[arg(long, value_name = "FILE")]
    labels_file: Option<PathBuf>,
    /// Print only the K likeliest labels of each picture
    #[arg(short = 'k', long, value_name = "K")]
    top_k: Option<NonZeroUsize>,
    /// Score by dot products of unnormalised features without temperature, as upstream's demo
    #[arg(long)]
    raw_dot: bool,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let (inputs, labels) = plan(&args.input, &args.labels, report)?;
    let format = args.output.format("table")?;
    if args.output.layout() == Layout::Wide && (args.labels.top_k.is_some() || labels.is_empty()) {
        return Err(Error::usage(
            "`--wide` has a column for each of the run's labels; `--top-k`, or no labels for all, leave none for it",
            "leave out `--wide`",
        )
        .into());
    }
    let vectors = |dim| {
        if args.embeddings {
            Vectors::Beside(dim)
        } else {
            Vectors::None
        }
    };
    args.output.check(&format, Task::Labels(vectors(0)))?;
    let (model, model_name) = args.model.load_named(report)?;
    let scorer = Scorer::new(&model, labels, &args.labels, report)?;
    let settings = Settings {
        task: Task::Labels(vectors(model.sizes().embed_dim)),
        labels: scorer.labels().to_vec(),
        layout: args.output.layout(),
        fields: if args.input.may_bring_fields() {
            Fields::Carried
        } else {
            Fields::None
        },
        bars: output_flags::bars(&args.output),
        model: model_name,
    };
    let mut items = inputs.items();
    let results = args.output.open(&format, &settings, &mut items)?;
    let held = results.held;
    let run = Run {
        model: &model,
        preprocess: args.pictures.apply(model.preprocess()),
        settings: args.run.pipeline(&args.model, &model),
        most_failures: args.run.most_failures(),
        thumbnails: if format.holds(Holds::Thumbnails) {
            Thumbnails::Made
        } else {
            Thumbnails::None
        },
        results: if args.output.is_on_terminal() {
            progress::Results::OnTerminal
        } else {
            progress::Results::Elsewhere
        },
        report,
    };
    let mut writer = Writer {
        scorer,
        results,
        embeddings: args.embeddings,
        layout: args.output.layout(),
    };
    let (ended, exit) = run.over(&inputs, items, held, &mut writer)?;
    match ended {
        Ended::AtTheEnd => writer.results.finish()?,
        Ended::Interrupted | Ended::TooManyFailed => writer.results.leave(report)?,
    }
    Ok(exit)
}

/// Checks what was asked for: the sources, and the run's labels, which may be none where records bring their own.
pub(super) fn plan(
    input: &InputFlags,
    flags: &LabelFlags,
    report: Report,
) -> Result<(longclip::input::Inputs, Vec<String>)> {
    let mut labels: Vec<String> = flags.labels.iter().chain(&flags.label).cloned().collect();
    if input.is_empty() {
        return Err(no_pictures(&flags.labels));
    }
    if let Some(swallowed) = flags.labels.iter().find(|label| is_picture(label)) {
        report.warning(format!(
            "the label `{swallowed}` looks like a picture: put pictures before `--labels`, which takes everything behind it"
        ));
    }
    let labels_on_stdin = flags.labels_file.as_deref() == Some(Path::new("-"));
    let inputs = input.inputs(labels_on_stdin.then_some("--labels-file -"))?;
    if let Some(file) = &flags.labels_file {
        labels.extend(read_lines(file)?);
    }
    if labels.is_empty() && !input.may_bring_labels() {
        return Err(LabelSet::none_given());
    }
    Ok((inputs, labels))
}

/// Why there is no picture: often `--labels` took it.
fn no_pictures(labels: &[String]) -> Error {
    match labels.iter().find(|label| is_picture(label)) {
        Some(swallowed) => Error::usage(
            format!("no pictures given; `--labels` took `{swallowed}` as a label, as it takes everything behind it"),
            format!(
                "put pictures first: `longclip classify {swallowed} --labels ...`, or name each label with `--label`"
            ),
        ),
        None => Error::usage(
            "no pictures given",
            "name them first: `longclip classify photo.jpg --labels \"a cat\" \"a dog\"`",
        ),
    }
}

/// Whether a label is more likely a picture: it exists, or is named like one.
fn is_picture(label: &str) -> bool {
    const ENDINGS: [&str; 8] = [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"];
    let lower = label.to_lowercase();
    Path::new(label).is_file() || (!label.contains(' ') && ENDINGS.iter().any(|ending| lower.ends_with(ending)))
}

/// The lines of a file that are not empty; `-` is stdin.
pub(super) fn read_lines(file: &Path) -> Result<Vec<String>> {
    let failed = |source| Error::Read {
        path: file.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    if file == Path::new("-") {
        io::stdin().read_to_end(&mut bytes).map_err(failed)?;
    } else {
        bytes = fs::read(file).map_err(failed)?;
    }
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(file, &error))?;
    let lines = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

fn not_utf8(file: &Path, error: &FromUtf8Error) -> Error {
    let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
    Error::usage(
        format!("`{}` line {line} is not UTF-8 text", file.display()),
        "save the file as UTF-8, one label a line",
    )
}

/// Scores pictures against the run's labels, or against a picture's own.
pub(super) struct Scorer<'a> {
    model: &'a LongClip,
    labels: Option<LabelSet>,
    own: OwnLabels<'a>,
    score: Score,
    n_shown: usize,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(model: &'a LongClip, labels: Vec<String>, flags: &LabelFlags, report: Report) -> Result<Self> {
        warn_of_cut_texts(model, labels.iter().map(String::as_str), "label", report);
        Ok(Scorer {
            model,
            labels: if labels.is_empty() {
                None
            } else {
                Some(LabelSet::new(model, labels)?)
            },
            own: OwnLabels::new(model),
            score: if flags.raw_dot { Score::RawDot } else { Score::Softmax },
            n_shown: flags.top_k.map_or(usize::MAX, NonZeroUsize::get),
        })
    }

    /// The run's labels.
    pub(super) fn labels(&self) -> &[String] {
        self.labels.as_ref().map_or(&[], LabelSet::labels)
    }

    /// The picture's labels, the likeliest first.
    pub(super) fn score(&mut self, item: &Item, embedding: &[f32]) -> Result<Vec<Labelled>> {
        let own = item.labels.as_ref().map(|labels| self.own.set(labels)).transpose()?;
        let labels = own.as_ref().or(self.labels.as_ref()).ok_or_else(|| Error::Picture {
            name: item.name.to_string(),
            problem: "its record has no `labels`, and none were given for all".into(),
            hint: Some("add `\"labels\": [...]` to the line, or give `--labels`".into()),
        })?;
        let rows = labels.embeddings().0.rows();
        let scores = score::score_labels(embedding, rows, self.model.logit_scale(), self.score);
        let shown = scores.into_iter().take(self.n_shown);
        Ok(shown
            .map(|score| Labelled {
                label: labels.labels()[score.label_idx].clone(),
                probability: score.probability,
                logit: score.logit,
                cosine: score.cosine,
            })
            .collect())
    }
}

/// Writes a record for each picture.
struct Writer<'a> {
    scorer: Scorer<'a>,
    results: Results,
    embeddings: bool,
    layout: Layout,
}

impl Writer<'_> {
    fn score(&mut self, item: &Item, seen: Result<Seen>) -> Result<(Vec<Labelled>, Seen)> {
        let seen = seen?;
        if self.layout == Layout::Wide && item.labels.is_some() {
            return Err(Error::usage("its own labels have no columns", "leave out `--wide`"));
        }
        Ok((self.scorer.score(item, &seen.embedding)?, seen))
    }
}

impl Sink for Writer<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> anyhow::Result<Verdict> {
        let (outcome, thumbnail, verdict) = match self.score(&item, seen) {
            Ok((labels, seen)) => {
                let embedding = self.embeddings.then_some(seen.embedding);
                (
                    RecordOutcome::Labels { labels, embedding },
                    seen.thumbnail,
                    Verdict::Done,
                )
            }
            Err(error) => (RecordOutcome::Failed(reason(&error)), None, Verdict::Failed(error)),
        };
        self.results.write(&Record {
            subject: subject(item.name),
            fields: item.fields,
            outcome,
            thumbnail,
        })?;
        Ok(verdict)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        Ok(self.results.flush()?)
    }
}

/// An item's name as the output's.
pub(super) fn subject(name: Name) -> Subject {
    match name {
        Name::Path(path) => Subject::Path(path),
        Name::Id(id) => Subject::Id(id),
    }
}
