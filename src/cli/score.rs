//! `longclip score PAIRS...`: how well each text fits its own image, for filtering data sets.

use std::path::PathBuf;

#[cfg(feature = "arrow")]
use longclip::data::caption_fields;
use longclip::data::{DataOptions, PairData, Purpose, Split};
use longclip::files::Target;
#[cfg(feature = "arrow")]
use longclip::input::arrow::LabelColumn;
use longclip::input::{InputOptions, Inputs, Item};
#[cfg(feature = "arrow")]
use longclip::input::{Web, WebSettings};
use longclip::labels::LongText;
#[cfg(feature = "arrow")]
use longclip::output::arrow::{Fit, Row};
use longclip::output::{Layout, Outcome as RecordOutcome, Settings, Task, Thumbnail, Vectors};
use longclip::session::{Loaded, OutputPlan, PairScorer, Seen};
use longclip::{Error, Result};
use serde::Serialize;

use super::Outcome;
use super::data_flags::FieldFlags;
use super::facts;
use super::format_choice::Printed;
use super::input_flags::shown;
use super::named::named;
use super::output_flags::OutputFlags;
use super::progress::Expected;
use super::report::{Exit, Report};
use super::run_flags::EncodingFlags;
use super::shard_flags::{ShardFlags, is_done};
#[cfg(feature = "arrow")]
use super::stream::{StreamFlags, refuse_given, run_over_batches};
use super::targets;

const EXAMPLES: &str = "\
Examples:
  longclip score pairs.ndjson
  longclip score shards/ -o scores.ndjson
  longclip score data.parquet --text-field caption -o scores.parquet";

const NOTES: &str = "\
Records are lines of {\"path\": \"a.jpg\", \"text\": \"...\"}; `text` may be a list, and
`image`, `long` and `caption` are names for the same. Columns of tables are named
like this too, and `image` may hold encoded images. Each pair has a record, in the
order of the data, also if it can't be used: then it has an `error`.
More examples:
  longclip score pairs.ndjson --format '{cosine:.4} {path}'
To keep what fits:
  longclip score pairs.ndjson | jq -c 'select(.labels[0].cosine > 0.28)'
Exit codes: 0 all pairs done, 1 some failed, 2 nothing could be done or all
failed, 130 interrupted.";

const TASK: Task = Task::Labels(Vectors::None);

const PRINTED: Printed = Printed {
    task: TASK,
    default: "ndjson",
    layout: Layout::Long,
};

/// Say how well each text fits its own image
#[derive(Debug, clap::Args, Serialize)]
#[command(after_help = EXAMPLES, after_long_help = NOTES, mut_arg("format", |flag| PRINTED.format_flag(flag)))]
pub(super) struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    data: DataFlags,
    // A stream has no shards.
    #[cfg(feature = "arrow")]
    #[command(flatten)]
    #[serde(skip)]
    stream: StreamFlags,
    #[command(flatten)]
    #[serde(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    #[serde(flatten)]
    encoding: EncodingFlags,
}

/// Which images, and which texts.
#[derive(Debug, Clone, clap::Args, Serialize)]
#[command(next_help_heading = "Data")]
struct DataFlags {
    /// Images with their texts
    ///
    /// Records, WebDataset tars, Parquet or Arrow files or folders of them, COCO's captions json, ShareGPT4V json, or a
    /// folder with `image` and `caption` in it. Example: `pairs.ndjson shards/`
    #[serde(serialize_with = "shown")]
    #[arg(value_name = "DATA", display_order = 0)]
    data: Vec<PathBuf>,
    #[command(flatten)]
    #[serde(flatten)]
    fields: FieldFlags,
    #[command(flatten)]
    #[serde(flatten)]
    shard: ShardFlags,
    /// What to do with texts that are too long
    ///
    /// Of a text with more than 248 tokens, `truncate` reads the first 248, `chunk` reads all in parts and averages their
    /// embeddings, `error` refuses it. Example: `--long-text chunk`
    #[arg(long, value_name = "HOW", default_value_t, value_parser = named::<LongText>(), hide_short_help = true)]
    long_text: LongText,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    #[cfg(feature = "arrow")]
    if args.stream.is_asked() {
        return run_over_rows(args, report);
    }
    if args.data.data.is_empty() {
        return Err(Error::usage("no data given", "name some: `longclip score pairs.ndjson`").into());
    }
    let data = PairData::open(&args.data.data, &args.data.options())?;
    let inputs = Inputs {
        sources: Vec::new(),
        options: InputOptions {
            shard: args.data.shard.shard(),
            ..InputOptions::default()
        },
    };
    let output = args.plan(&data, &inputs)?;
    let loaded = args.encoding.model.load(report)?;
    if is_done(&output, || facts::facts("score", args, &loaded), report)? {
        return Ok(Exit::Done);
    }
    let mut run = args.encoding.plan(&loaded, report);
    let settings = Settings {
        links_from: output.links_from.clone(),
        ..loaded.settings(TASK)
    };
    let mut items = data.items(inputs.options.shard);
    let mut scorer = PairScorer::new(&loaded.model, args.data.long_text);
    let ahead = scorer.ahead();
    let mut judge = |item: &Item, seen: Seen| {
        let labels = scorer.score(item, &seen.views);
        let thumbnail = seen.thumbnail.map(|photo| Thumbnail { photo, heat: None });
        Ok(labels.map(|labels| (RecordOutcome::of_labels(labels), thumbnail)))
    };
    let writer = run.open(output, &settings, &mut items, &mut judge)?;
    let expected = match inputs.options.shard {
        Some(_) => Expected::PartOf(&inputs.options),
        None => Expected::Exactly(data.n_items()),
    };
    let exit = run.record(expected, ahead.of(items), writer, &mut judge)?;
    report_long(scorer.n_long(), args.data.long_text, &loaded, report);
    Ok(exit)
}

/// `--in arrow`: the stream's rows are the pairs.
#[cfg(feature = "arrow")]
fn run_over_rows(args: &Args, report: Report) -> Outcome {
    args.check_stream()?;
    // As in data sets, paths are those of files.
    let options = InputOptions {
        web: Web::new(WebSettings {
            is_refused: true,
            ..WebSettings::default()
        }),
        ..InputOptions::default()
    };
    let names = caption_fields(args.data.fields.text_field.as_deref());
    let writing = targets::writing(args.output.force, &args.encoding.model);
    let source = args.stream.source(&args.data.data, None, &args.output, writing)?;
    let (incoming, target) = source.open(LabelColumn::Texts(&names), options)?;
    let loaded = args.encoding.model.load(report)?;
    let mut scorer = PairScorer::new(&loaded.model, args.data.long_text);
    let run = args.encoding.plan(&loaded, report);
    let exit = run_over_batches(
        incoming.encoding_ahead(scorer.ahead()),
        &run,
        &loaded.settings(TASK),
        target.as_ref(),
        &mut |item, seen| {
            let scored = scorer.score(item, &seen.views)?;
            Ok(Row {
                fits: Some(scored.iter().map(fit).collect()),
                ..Row::default()
            })
        },
    )?;
    report_long(scorer.n_long(), args.data.long_text, &loaded, report);
    Ok(exit)
}

#[cfg(feature = "arrow")]
fn fit(labelled: &longclip::output::Labelled) -> Fit {
    let number = |number: Option<f64>| number.map_or(f32::NAN, |number| number as f32);
    Fit {
        cosine: number(labelled.cosine),
        logit: number(labelled.logit),
    }
}

impl Args {
    /// Refuses what changes nothing in a stream.
    #[cfg(feature = "arrow")]
    fn check_stream(&self) -> Result<()> {
        let given = [
            ("--images", self.data.fields.images.is_some()),
            ("--shard", self.data.shard.shard().is_some()),
        ];
        let why = "doesn't go with `--in arrow`, whose rows are the pairs";
        refuse_given(&given, why, "leave out one of them")
    }

    /// Where results go, and how.
    fn plan(&self, data: &PairData, inputs: &Inputs) -> Result<OutputPlan> {
        let is_read = |target: &Target| data.files().any(|file| target.is(&file));
        let mut writing = targets::writing(self.output.force, &self.encoding.model)
            .reads("the data", &self.data.data)
            .found(&is_read);
        self.output.plan(PRINTED, inputs, &mut writing)
    }
}

impl DataFlags {
    fn options(&self) -> DataOptions {
        DataOptions {
            purpose: Purpose::Retrieval,
            images: self.fields.images.clone(),
            caption_field: self.fields.text_field.clone(),
            split: Split::Test,
            scratch: std::env::temp_dir(),
        }
    }
}

/// Reports texts of more tokens than the model reads.
fn report_long(n_long: u64, long_text: LongText, loaded: &Loaded, report: Report) {
    let most = loaded.model.sizes().context_length;
    let (texts_have, were) = match n_long {
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
