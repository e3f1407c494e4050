//! `longclip score PAIRS...`: how well each text fits its own image, for filtering data sets.

use std::path::PathBuf;

use longclip::data::{DataOptions, PairData, Purpose, Split};
use longclip::files::Target;
use longclip::input::{InputOptions, Inputs, Item};
use longclip::labels::{LongText, Notice};
use longclip::output::{Labelled, Layout, Outcome as RecordOutcome, Task, Vectors};
use longclip::session::{Pair, PairScorer, Seen, Sink, Verdict, record};
use longclip::text::start_of;
use longclip::{Error, Result};
use serde::Serialize;

use super::Outcome;
use super::hint::reason;
use super::image_run::ImageRun;
use super::input_flags::PictureFlags;
use super::model_flags::{Loaded, ModelFlags};
use super::named::named;
use super::output_flags::OutputFlags;
use super::progress::Expected;
use super::report::Report;
use super::results::Results;
use super::run_flags::RunFlags;
use super::targets::Writing;

const EXAMPLES: &str = "\
Examples:
  longclip score pairs.ndjson
  longclip score shards/ -o scores.ndjson
  longclip score pairs.ndjson --format '{cosine:.4} {path}'";

const NOTES: &str = "\
Records are lines of {\"path\": \"a.jpg\", \"text\": \"...\"}; `text` may be a list, and
`image`, `long` and `caption` are names for the same. Each pair has a record, in
the order of the data, also if it can't be used: then it has an `error`.
To keep what fits:
  longclip score pairs.ndjson | jq -c 'select(.labels[0].cosine > 0.28)'
Exit codes: 0 all pairs done, 1 some failed, 2 nothing could be done or all
failed, 130 interrupted.";

const TASK: Task = Task::Labels(Vectors::None);

/// Say how well each text fits its own image
#[derive(Debug, clap::Args, Serialize)]
#[command(after_help = EXAMPLES, after_long_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    data: DataFlags,
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

/// Which images, and which texts.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Data")]
struct DataFlags {
    /// Images with their texts
    ///
    /// Records, WebDataset tars or folders of them, COCO's captions json, ShareGPT4V json, or a folder with `image` and
    /// `caption` in it. Example: `pairs.ndjson shards/`
    #[arg(value_name = "DATA", required = true, display_order = 0)]
    data: Vec<PathBuf>,
    /// The folder that images' paths start from
    ///
    /// [default: the data's own, or the usual one of this kind of data] Example: `--images val2017/`
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// The field of records that holds texts
    ///
    /// [default: long, text, caption, captions or description] Example: `--text-field summary`
    #[arg(long, value_name = "FIELD")]
    text_field: Option<String>,
    /// What to do with texts that are too long
    ///
    /// Of a text with more than 248 tokens, `truncate` reads the first 248, `chunk` reads all in parts and averages their
    /// embeddings, `error` refuses it. Example: `--long-text chunk`
    #[arg(long, value_name = "HOW", default_value_t, value_parser = named::<LongText>(), hide_short_help = true)]
    long_text: LongText,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let data = PairData::open(&args.data.data, &args.data.options())?;
    // Results go to one file: which pairs are in a shard would not show.
    let inputs = Inputs {
        sources: Vec::new(),
        options: InputOptions::default(),
    };
    let is_read = |target: &Target| data.image_files().any(|file| target.is(&file));
    let mut writing = Writing::new(args.output.force)
        .model(&args.model)
        .reads("the data", &args.data.data)
        .found(&is_read);
    let output = args.output.plan("ndjson", TASK, &inputs, &mut writing)?;
    if output.layout == Layout::Wide {
        return Err(Error::usage(
            "`--wide` has a column for each label, and each pair has its own text",
            "leave out `--wide`",
        )
        .into());
    }
    let loaded = args.model.load(report)?;
    let run = ImageRun {
        results: output.results(),
        continued_by: output.continued_by(),
        ..args.run.plan(&loaded, &args.pictures, report)
    };
    let mut items = data.items();
    let (results, mut held) = output.open(&loaded.settings(TASK), &mut items)?;
    let mut writer = Writer {
        results,
        loaded: &loaded,
        long_text: args.data.long_text,
        scorer: PairScorer::new(&loaded.model, args.data.long_text),
        waiting: Vec::new(),
        long: LongTexts::default(),
    };
    held.check(&run.run, |item, seen| writer.encoded(item, seen))?;
    writer.results.begin()?;
    let (ended, exit) = run.over(Expected::Exactly(data.n_items()), items, held.progress, &mut writer)?;
    writer.long.report(args.data.long_text, &loaded, report);
    writer.results.close(ended, report)?;
    Ok(exit)
}

impl DataFlags {
    fn options(&self) -> DataOptions {
        DataOptions {
            purpose: Purpose::Retrieval,
            images: self.images.clone(),
            caption_field: self.text_field.clone(),
            split: Split::Test,
            scratch: std::env::temp_dir(),
        }
    }
}

/// Writes a record for each pair. The texts of a batch are encoded together, once its images are.
struct Writer<'a> {
    results: Results,
    loaded: &'a Loaded,
    long_text: LongText,
    scorer: PairScorer<'a>,
    /// What the model saw of each, or why it failed.
    waiting: Vec<(Item, Result<Seen, String>)>,
    long: LongTexts,
}

impl Writer<'_> {
    fn score(&mut self, pairs: &[Pair<'_>]) -> Result<Vec<Vec<Labelled>>> {
        let scored = self.scorer.score(pairs);
        self.long.count(&self.scorer.take_notices());
        scored
    }

    fn encoded(&mut self, item: Item, seen: Seen) -> Result<Vec<u8>> {
        let scored = self.score(&[pair(&item, &seen)])?;
        let outcome = outcome(scored.into_iter().flatten().collect());
        self.results.encoded(&record(item, outcome, None))
    }

    /// Refuses a text that is too long, if that was asked for.
    fn check(&self, item: &Item) -> Result<()> {
        if self.long_text != LongText::Refuse {
            return Ok(());
        }
        for text in texts_of(item) {
            let tokens = self.loaded.model.tokenize(text);
            if tokens.truncated() {
                return Err(Error::Sample {
                    name: item.name.to_string(),
                    problem: format!(
                        "its text `{}` has {} tokens; this model reads at most {}",
                        start_of(text),
                        tokens.count(),
                        self.loaded.model.sizes().context_length
                    ),
                });
            }
        }
        Ok(())
    }
}

fn texts_of(item: &Item) -> &[String] {
    item.labels.as_deref().unwrap_or_default()
}

fn pair<'p>(item: &'p Item, seen: &'p Seen) -> Pair<'p> {
    (&seen.embedding, texts_of(item))
}

fn outcome(labels: Vec<Labelled>) -> RecordOutcome {
    RecordOutcome::Labels {
        labels,
        groups: Vec::new(),
        embedding: None,
    }
}

impl Sink for Writer<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        let seen = seen.and_then(|seen| self.check(&item).map(|()| seen));
        let (waiting, verdict) = match seen {
            Ok(seen) => (Ok(seen), Verdict::Done),
            Err(error) => (Err(reason(&error)), Verdict::Failed(error)),
        };
        self.results.note(&verdict);
        self.waiting.push((item, waiting));
        Ok(verdict)
    }

    fn flush(&mut self) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let pairs = waiting
            .iter()
            .filter_map(|(item, seen)| Some(pair(item, seen.as_ref().ok()?)));
        let mut scored = self.score(&pairs.collect::<Vec<_>>())?.into_iter();
        for (item, seen) in waiting {
            let outcome = match seen {
                Ok(_) => outcome(scored.next().expect("a score for each pair")),
                Err(reason) => RecordOutcome::Failed(reason),
            };
            self.results.write(&record(item, outcome, None))?;
        }
        self.results.flush()
    }
}

/// Counts texts of more tokens than the model reads.
#[derive(Default)]
struct LongTexts(u64);

impl LongTexts {
    fn count(&mut self, notices: &[Notice]) {
        let is_long = |notice: &&Notice| matches!(notice, Notice::Cut { .. } | Notice::Chunked { .. });
        self.0 += notices.iter().filter(is_long).count() as u64;
    }

    fn report(&self, long_text: LongText, loaded: &Loaded, report: Report) {
        let most = loaded.model.sizes().context_length;
        let (texts_have, were) = match self.0 {
            0 => return,
            1 => ("1 text has".to_owned(), "was"),
            n => (format!("{n} texts have"), "were"),
        };
        match long_text {
            LongText::Truncate | LongText::Refuse => report.warning(format!(
                "{texts_have} more than {most} tokens, of which only the first {most} were read; `--long-text chunk` reads all"
            )),
            LongText::Chunk => report.note(format!("{texts_have} more than {most} tokens, and {were} read in parts")),
        }
    }
}
