//! `longclip classify INPUT... --labels L...`: which of the labels fits each image.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

#[cfg(feature = "arrow")]
use longclip::input::arrow::LabelColumn;
use longclip::input::{Item, Name};
#[cfg(feature = "arrow")]
use longclip::output::arrow::Row;
use longclip::output::{Holds, Layout, Outcome as RecordOutcome, Record, Settings, Task, Thumbnail, Vectors};
use longclip::session::shards::Facts;
use longclip::session::{
    Answer, Classifier, Kept, Labelling, RecordOptions, ScorePlan, Scorer, Seen, Sink, Verdict, record,
};
use longclip::{Error, Result};
use serde::Serialize;

use super::Outcome;
use super::explain::{Explainer, Place, small};
use super::facts;
use super::hint::reason;
use super::image_run::ImageRun;
use super::input_flags::{InputFlags, InputPlan, PictureFlags};
use super::label_flags::LabelFlags;
use super::model_flags::{Loaded, ModelFlags};
use super::output_flags::{OutputFlags, OutputPlan};
use super::progress::Expected;
use super::report::{Exit, Report};
use super::results::Results;
use super::run_flags::RunFlags;
use super::score_flags::ScoreFlags;
#[cfg(feature = "arrow")]
use super::stream::{StreamFlags, run_over_batches};
#[cfg(feature = "arrow")]
use super::targets;
use super::targets::Writing;

const EXAMPLES: &str = "\
Examples:
  longclip classify photo.jpg --labels \"a cat\" \"a dog\" \"a landscape\"
  longclip classify photos/ --labels-file labels.txt -o results.csv
  longclip classify photos/ --labels-file labels.txt -o page.html";

const NOTES: &str = "\
More examples:
  longclip classify photos/ --labels-file animals.csv --group-by --reject
  longclip classify photos/ --labels-file l.txt --shard 0/8 -o results/
  longclip classify --in arrow --out arrow --labels-file l.txt < in > out
  find . -name '*.jpg' -print0 | longclip classify --files-from - -0 -l cat

Put images before `--labels`: it takes everything up to the next flag.
Exit codes: 0 all images done, 1 some failed, 2 nothing could be done or all
failed, 130 interrupted.";

/// Say which of the labels fits each image
#[derive(Debug, clap::Args, Serialize)]
#[command(override_usage = "longclip classify [OPTIONS] INPUT... --labels LABEL...", after_help = EXAMPLES, after_long_help = NOTES)]
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
    labels: LabelFlags,
    #[command(flatten)]
    #[serde(flatten)]
    scores: ScoreFlags,
    /// Print only the K likeliest labels of each image
    ///
    /// Probabilities still count all labels [default: all]. Example: `-k 3`
    #[arg(short = 'k', long, value_name = "K", help_heading = "Scores")]
    top_k: Option<NonZeroUsize>,
    /// Print each image's embedding too
    ///
    /// For json, ndjson, parquet and arrow.
    #[arg(hide_short_help = true, long, help_heading = "Output")]
    embeddings: bool,
    /// Paint a heat map of the likeliest label
    ///
    /// It shows where in the image the label was seen. PATH ends in `.png`, or is a folder for several images. The html
    /// page shows it too. Example: `--explain seen.png`, or `--explain seen/`
    // Records are the same.
    #[serde(skip)]
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    explain: Option<PathBuf>,
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

/// What was asked for, checked before there is a model.
struct Plan {
    input: InputPlan,
    labelling: Labelling,
    scores: ScorePlan,
    output: OutputPlan,
    explain: Option<Place>,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    #[cfg(feature = "arrow")]
    if args.stream.is_asked() {
        return run_over_rows(args, report);
    }
    let Plan {
        input,
        labelling,
        scores,
        output,
        explain,
    } = args.plan(report)?;
    let loaded = args.model.load(report)?;
    if output.is_done(|| args.facts(&labelling, &scores, &loaded), report)? {
        return Ok(Exit::Done);
    }
    let began = Instant::now();
    let scorer = Scorer::new(&loaded.model, &labelling, scores)?;
    report.detail(format!("labels encoded in {:.2} s", began.elapsed().as_secs_f64()));
    report.notices(scorer.notices());
    let settings = Settings {
        layout: output.layout,
        fields: input.fields,
        terminal: output.terminal(&input.inputs),
        links_from: output.links_from(),
        ..args.settings(&scorer, &loaded)
    };
    let mut run = ImageRun {
        results: output.results(),
        continued_by: output.continued_by(),
        ..args.run.plan(&loaded, &args.pictures, report)
    };
    run.run.kept = Kept {
        thumbnails: output.holds(Holds::Thumbnails),
        images: explain.is_some(),
    };
    if explain.is_some() {
        // A kept image is many times larger than what the model reads of it.
        run.run.pipeline.batch = 1;
    }
    let mut items = input.inputs.items();
    let layout = output.layout;
    let (results, mut held) = output.open(&settings, &mut items)?;
    let mut writer = Writer {
        classifier: Classifier::new(&loaded.model, &labelling, &scorer),
        options: args.record_options(),
        report,
        results,
        layout,
        explainer: explain.map(|place| Explainer::new(&loaded.model, place)),
    };
    held.check(&run.run, |item, seen| writer.encoded(item, seen))?;
    writer.results.begin()?;
    let (ended, exit) = run.over(Expected::Of(&input.inputs), items, held.progress, &mut writer)?;
    writer.results.close(ended, report)?;
    Ok(exit)
}

impl Args {
    fn plan(&self, report: Report) -> Result<Plan> {
        self.scores.refuse_detached_margin(&self.input)?;
        let (input, labelling) = self.labels.plan(&self.input, report)?;
        let scores = self.scores.plan(labelling.grouping)?;
        input.inputs.refuse_unreadable()?;
        let mut writing = self.writing().inputs(&input.inputs);
        let output = self.output.plan("table", self.task(0), &input.inputs, &mut writing)?;
        if output.layout == Layout::Wide && (self.top_k.is_some() || labelling.list.is_empty()) {
            return Err(Error::usage(
                "`--wide` has a column for each label, so all images need the same labels, without `--top-k`",
                "leave out `--wide`",
            ));
        }
        let explain = match &self.explain {
            Some(path) if self.input.names_folder_around(path) => {
                return Err(Error::usage(
                    format!(
                        "`--explain {}` is in a folder of inputs, so painted photos would be inputs too",
                        path.display()
                    ),
                    "name a folder outside it",
                ));
            }
            Some(path) => {
                self.pictures.refuse_to_explain()?;
                Some(Place::of(path, &input.inputs, output.resuming(), &mut writing)?)
            }
            None => None,
        };
        Ok(Plan {
            input,
            labelling,
            scores,
            output,
            explain,
        })
    }

    /// What is read, and may not be written.
    fn writing(&self) -> Writing<'_> {
        let writing = Writing::new(self.output.force).model(&self.model);
        let writing = writing.reads_each(self.labels.files());
        writing.reads("the file of neutral prompts", self.scores.file())
    }

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

    /// What every format notes.
    fn settings(&self, scorer: &Scorer, loaded: &Loaded) -> Settings {
        Settings {
            labels: scorer.answers(),
            groups: scorer.groups(),
            ..loaded.settings(self.task(loaded.model.sizes().embed_dim))
        }
    }

    /// All that records depend on, by name.
    fn facts(&self, labelling: &Labelling, scores: &ScorePlan, loaded: &Loaded) -> Facts {
        let mut facts = facts::facts("classify", self, loaded);
        facts.extend(facts::of_labels(labelling, scores));
        facts
    }
}

/// `--in arrow`: the stream's rows are the images.
#[cfg(feature = "arrow")]
fn run_over_rows(args: &Args, report: Report) -> Outcome {
    args.check_stream()?;
    let named = args.input.stream()?;
    let source = args
        .stream
        .source(named, args.input.options()?, args.labels.reads_stdin())?;
    let target = args.output.stream_target(source.target_rules(args.writing()))?;
    let labelling = args.labels.labelling()?;
    let scores = args.scores.plan(labelling.grouping)?;
    let incoming = source.open(LabelColumn::Read)?;
    if labelling.list.is_empty() && !incoming.have_labels() {
        return Err(Error::usage(
            "no labels given, and the Arrow stream has no column `labels`",
            "say what the images may show: `--labels \"a cat\" \"a dog\"`, or `--labels-file FILE`",
        )
        .into());
    }
    let loaded = args.model.load(report)?;
    let scorer = Scorer::new(&loaded.model, &labelling, scores)?;
    report.notices(scorer.notices());
    let mut classifier = Classifier::new(&loaded.model, &labelling, &scorer);
    let settings = args.settings(&scorer, &loaded);
    let run = args.run.plan(&loaded, &args.pictures, report);
    run_over_batches(
        incoming,
        &run,
        &settings,
        targets::whole(target.as_ref())?,
        &mut |item, seen| {
            let columns = classifier.columns(item, &seen.embedding);
            report.notices(&classifier.take_notices());
            let columns = columns?;
            Ok(Row {
                label: columns.best,
                scores: Some(columns.scores),
                embedding: args.embeddings.then_some(seen.embedding),
                ..Row::default()
            })
        },
    )
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

/// Writes a record for each image.
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

    /// The image as formats show it, painted over if that was asked for; writes the painted photo too.
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
        self.results.note(&verdict);
        Ok(verdict)
    }

    fn flush(&mut self) -> Result<()> {
        self.results.flush()
    }
}
