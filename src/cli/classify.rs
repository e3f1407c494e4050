//! `longclip classify INPUT... --labels L...`: which of the labels fits each picture.

use std::num::NonZeroUsize;
use std::path::PathBuf;

#[cfg(feature = "arrow")]
use longclip::input::arrow::LabelColumn;
use longclip::input::{Item, Name};
use longclip::model::LongClip;
#[cfg(feature = "arrow")]
use longclip::output::arrow::Row;
use longclip::output::{Fields, Holds, Layout, Outcome as RecordOutcome, Record, Settings, Task, Thumbnail, Vectors};
use longclip::session::{
    Answer, Classifier, Ended, Kept, Labelling, RecordOptions, ScorePlan, Scorer, Seen, Sink, Verdict, record,
};
use longclip::{Error, Result};

use super::Outcome;
use super::explain::{Explainer, Place, small};
use super::hint::reason;
use super::image_run::ImageRun;
use super::input_flags::{InputFlags, PictureFlags};
use super::label_flags::{self, LabelFlags};
use super::model_flags::ModelFlags;
use super::output_flags::{self, FormatChoice, OutputFlags, OutputPlace, Results};
use super::progress::Expected;
use super::report::{Exit, Report};
use super::run_flags::RunFlags;
use super::score_flags::{self, ScoreFlags};
use super::shards::{Facts, ShardFile};
#[cfg(feature = "arrow")]
use super::stream::{StreamFlags, run_over_batches};
#[cfg(feature = "arrow")]
use super::targets;
use super::targets::Writing;

const EXAMPLES: &str = "\
Examples:
  longclip classify img/cat.jpg --labels \"A cat jumping.\" \"A cat sleeping.\"
  longclip classify photos/ --labels-file labels.txt --output results.ndjson
  longclip classify photos/ --labels-file animals.csv --templates imagenet7 --group-by --reject
  longclip classify photos/ --labels-file labels.txt --shard 0/8 --output results/
  longclip classify --in arrow --out arrow --labels-file labels.txt < in.arrows > out.arrows
  find . -name '*.jpg' -print0 | longclip classify --files-from - -0 --label \"a cat\" --label \"a dog\" --format ndjson

Put pictures before `--labels`: it takes everything that stands behind it.
Exit codes: 0 all pictures done, 1 some failed, 2 nothing could be done, 130 interrupted.";

/// Say which of the labels fits each picture
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    input: InputFlags,
    #[cfg(feature = "arrow")]
    #[command(flatten)]
    stream: StreamFlags,
    #[command(flatten)]
    labels: LabelFlags,
    #[command(flatten)]
    scores: ScoreFlags,
    /// Print only the K likeliest labels of each picture; probabilities stay those among all
    #[arg(short = 'k', long, value_name = "K", help_heading = "Scores")]
    top_k: Option<NonZeroUsize>,
    /// Print each picture's vector too
    #[arg(long, help_heading = "Output")]
    embeddings: bool,
    /// Paint over the photo where its likeliest label was seen: into a file that ends in `.png`, or, of several
    /// pictures, into a folder; the html page shows it too
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    explain: Option<PathBuf>,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    run: RunFlags,
    #[command(flatten)]
    pictures: PictureFlags,
    #[command(flatten)]
    model: ModelFlags,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    #[cfg(feature = "arrow")]
    if args.stream.is_asked() {
        return run_over_rows(args, report);
    }
    let (inputs, labelling) = args.labels.plan(&args.input, report)?;
    let scores = args.scores.plan(labelling.grouping)?;
    let format = args.output.format("table")?;
    args.check(&format, &labelling)?;
    let shard = ShardFile::planned(&args.input, &inputs, &args.output, &format)?;
    let mut writing = args.writing().inputs(&inputs);
    let target = args.output.target(&format, &mut writing)?;
    let place = match &args.explain {
        Some(path) => Some(Place::of(path, &inputs, args.output.resuming(&format), &mut writing)?),
        None => None,
    };
    let (model, model_name) = args.model.load_named(report)?;
    if let Some(shard) = &shard
        && shard.is_done(args.facts(&labelling, &scores, (&model, &model_name)), report)?
    {
        return Ok(Exit::Done);
    }
    let scorer = Scorer::new(&model, &labelling, scores)?;
    report.notices(scorer.notices());
    let settings = args.settings(&scorer, model.sizes().embed_dim, model_name);
    let mut items = inputs.items();
    let output = OutputPlace {
        target,
        shard,
        inputs: &inputs,
    };
    let (results, mut held) = args.output.open(&format, &settings, &mut items, output)?;
    let mut run = ImageRun {
        results: args.output.where_to(),
        ..args.run.plain(&args.model, &args.pictures, &model, report)
    };
    run.run.kept = Kept {
        thumbnails: format.holds(Holds::Thumbnails),
        images: place.is_some(),
    };
    if place.is_some() {
        // A kept image is many times larger than what the model reads of it.
        run.run.pipeline.batch = 1;
    }
    let mut writer = Writer {
        classifier: Classifier::new(&model, &labelling, &scorer),
        options: args.record_options(),
        report,
        results,
        layout: args.output.layout(),
        explainer: place.map(|place| Explainer::new(&model, place)),
    };
    held.check(&run.run, |item, seen| writer.encoded(item, seen))?;
    writer.results.begin()?;
    let (ended, exit) = run.over(Expected::Of(&inputs), items, held.progress, &mut writer)?;
    match ended {
        Ended::AtTheEnd => writer.results.finish(report)?,
        Ended::Interrupted | Ended::TooManyFailed => writer.results.leave(report)?,
    }
    Ok(exit)
}

impl Args {
    fn record_options(&self) -> RecordOptions {
        RecordOptions {
            top_k: self.top_k,
            embeddings: self.embeddings,
        }
    }

    fn task(&self, embed_dim: usize) -> Task {
        Task::Labels(if self.embeddings {
            Vectors::Beside(embed_dim)
        } else {
            Vectors::None
        })
    }

    /// What is read, and may not be written.
    fn writing(&self) -> Writing<'_> {
        let writing = Writing::new(self.output.force).model(&self.model);
        let files = self
            .labels
            .files()
            .fold(writing, |writing, (what, file)| writing.reads(what, [file]));
        files.reads("the file of neutral prompts", self.scores.file())
    }

    /// Refuses what the format can't hold.
    fn check(&self, format: &FormatChoice, labelling: &Labelling) -> Result<()> {
        if self.output.layout() == Layout::Wide && (self.top_k.is_some() || labelling.list.is_empty()) {
            return Err(Error::usage(
                "`--wide` has a column for each of the run's labels; `--top-k`, or no labels for all, leave none for it",
                "leave out `--wide`",
            ));
        }
        self.output.check(format, self.task(0))
    }

    fn settings(&self, scorer: &Scorer, embed_dim: usize, model: String) -> Settings {
        Settings {
            task: self.task(embed_dim),
            labels: scorer.answers(),
            groups: scorer.groups(),
            layout: self.output.layout(),
            fields: if self.input.may_bring_fields() {
                Fields::Carried
            } else {
                Fields::None
            },
            bars: output_flags::bars(&self.output),
            model,
            dtype: self.model.dtype_name(),
        }
    }

    /// All that records depend on, by name.
    fn facts(&self, labelling: &Labelling, scores: &ScorePlan, (model, model_name): (&LongClip, &str)) -> Facts {
        let own = Facts::from_iter([
            ("command".into(), "classify".into()),
            ("model".into(), model_name.into()),
            ("weights".into(), model.weights_identity().into()),
            ("top_k".into(), self.top_k.map(NonZeroUsize::get).into()),
            ("embeddings".into(), self.embeddings.into()),
            ("wide".into(), (self.output.layout() == Layout::Wide).into()),
        ]);
        let others = [
            self.input.facts(),
            label_flags::facts(labelling),
            score_flags::facts(scores),
            self.model.facts(),
            self.pictures.facts(),
        ];
        own.into_iter().chain(others.into_iter().flatten()).collect()
    }
}

/// `--in arrow`: the stream's rows are the pictures.
#[cfg(feature = "arrow")]
fn run_over_rows(args: &Args, report: Report) -> Outcome {
    args.check_stream()?;
    let source = args.stream.source(&args.input, args.labels.reads_stdin())?;
    let target = args.output.stream_target(source.target_rules(args.writing()))?;
    let labelling = args.labels.labelling()?;
    let scores = args.scores.plan(labelling.grouping)?;
    let incoming = source.open(LabelColumn::Read)?;
    if labelling.list.is_empty() && !incoming.have_labels() {
        return Err(Error::usage(
            "no labels given, and the Arrow stream has no column `labels`",
            "say what the pictures may show: `--labels \"a cat\" \"a dog\"`, or `--labels-file FILE`",
        )
        .into());
    }
    let (model, model_name) = args.model.load_named(report)?;
    let scorer = Scorer::new(&model, &labelling, scores)?;
    report.notices(scorer.notices());
    let mut classifier = Classifier::new(&model, &labelling, &scorer);
    let settings = args.settings(&scorer, model.sizes().embed_dim, model_name);
    let run = args.run.plain(&args.model, &args.pictures, &model, report);
    let destination = targets::whole(target.as_ref())?;
    run_over_batches(incoming, &run, &settings, destination, &mut |item, seen| {
        let columns = classifier.columns(item, &seen.embedding);
        report.notices(&classifier.take_notices());
        let columns = columns?;
        Ok(Row {
            label: columns.best,
            scores: Some(columns.scores),
            embedding: args.embeddings.then_some(seen.embedding),
            error: None,
        })
    })
}

#[cfg(feature = "arrow")]
impl Args {
    /// Refuses what the columns of results have no place for.
    fn check_stream(&self) -> Result<()> {
        let given = [
            ("--top-k", self.top_k.is_some()),
            ("--explain", self.explain.is_some()),
            ("--group-by", self.labels.are_grouped()),
        ];
        if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
            return Err(Error::usage(
                format!("`{flag}` changes nothing in an Arrow stream, whose columns are the best label and all scores"),
                "leave it out",
            ));
        }
        self.output.check_stream()
    }
}

/// Writes a record for each picture.
struct Writer<'a> {
    classifier: Classifier<'a>,
    options: RecordOptions,
    report: Report,
    results: Results,
    layout: Layout,
    explainer: Option<Explainer<'a>>,
}

impl Writer<'_> {
    fn score(&mut self, item: &Item, seen: Result<Seen>) -> Result<(Answer, Seen)> {
        let seen = seen?;
        if self.layout == Layout::Wide && item.labels.is_some() {
            return Err(Error::usage("its own labels have no columns", "leave out `--wide`"));
        }
        let answer = self.classifier.answer(item, &seen.embedding);
        self.report.notices(&self.classifier.take_notices());
        Ok((answer?, seen))
    }

    /// The picture as formats show it, painted over where that was asked for; writes the painted photo too.
    fn thumbnail(&mut self, name: &Name, answer: &Answer, seen: &Seen) -> Result<Option<Thumbnail>> {
        let heat = match (&mut self.explainer, &seen.source) {
            (Some(explainer), Some(source)) => {
                let map = explainer.explain(&name.to_string(), &answer.nearest_text, source)?;
                seen.thumbnail.as_ref().and_then(|_| small(&map, &source.image))
            }
            _ => None,
        };
        Ok(seen.thumbnail.clone().map(|photo| Thumbnail { photo, heat }))
    }

    fn record(&mut self, item: Item, seen: Result<Seen>) -> Result<(Record, Verdict)> {
        let (outcome, thumbnail, verdict) = match self.score(&item, seen) {
            Ok((answer, seen)) => {
                let thumbnail = self.thumbnail(&item.name, &answer, &seen)?;
                (self.options.outcome(answer, seen.embedding), thumbnail, Verdict::Done)
            }
            Err(error) => (RecordOutcome::Failed(reason(&error)), None, Verdict::Failed(error)),
        };
        Ok((record(item, outcome, thumbnail), verdict))
    }

    fn encoded(&mut self, item: Item, seen: Seen) -> Result<Vec<u8>> {
        let (record, _) = self.record(item, Ok(seen))?;
        self.results.encoded(&record)
    }
}

impl Sink for Writer<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        let (record, verdict) = self.record(item, seen)?;
        self.results.write(&record)?;
        Ok(verdict)
    }

    fn flush(&mut self) -> Result<()> {
        self.results.flush()
    }
}
