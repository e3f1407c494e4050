//! `longclip classify INPUT... --labels L...`: which of the labels fits each image.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Instant;

#[cfg(feature = "arrow")]
use longclip::input::arrow::LabelColumn;
use longclip::input::{Inputs, Item, Name};
#[cfg(feature = "arrow")]
use longclip::output::arrow::Row;
use longclip::output::{LISTED_MAX, Layout, Settings, Task, Terminal, Thumbnail, Vectors};
use longclip::score::Views;
use longclip::session::shards::Facts;
use longclip::session::{
    Answer, Classifier, Explainer, Judgement, Labelling, Loaded, OutputPlan, PaintTo, RecordOptions, ScorePlan, Scorer,
    Seen, Writing, painted_thumbnail,
};
use longclip::{Error, Result};
use serde::Serialize;

use super::Outcome;
use super::facts;
use super::format_choice::Printed;
use super::input_flags::InputFlags;
use super::label_flags::{GroupFlag, LabelFlags};
use super::output_flags::{LayoutFlag, OutputFlags};
use super::progress::Expected;
use super::report::{Exit, Report};
use super::run_flags::EncodingFlags;
use super::score_flags::ScoreFlags;
use super::shard_flags::is_done;
#[cfg(feature = "arrow")]
use super::stream::{StreamFlags, refuse_given, run_over_batches};
use super::targets;

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

const PRINTED: Printed = Printed {
    task: Task::Labels(Vectors::None),
    default: "table",
    layout: Layout::Long,
};

/// Say which of the labels fits each image
#[derive(Debug, clap::Args, Serialize)]
#[command(override_usage = "longclip classify [OPTIONS] INPUT... --labels LABEL...", after_help = EXAMPLES, after_long_help = NOTES, mut_arg("format", |flag| PRINTED.format_flag(flag)))]
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
    group: GroupFlag,
    #[command(flatten)]
    #[serde(flatten)]
    scores: ScoreFlags,
    /// Print only the K likeliest labels of each image
    ///
    /// Probabilities still count all labels. The table on a terminal lists 20 labels if neither this nor `--threshold` is
    /// given [default: all]. Example: `-k 3`
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
    #[command(flatten)]
    #[serde(flatten)]
    layout: LayoutFlag,
    #[command(flatten)]
    #[serde(flatten)]
    encoding: EncodingFlags,
}

/// What was asked for, checked before there is a model.
struct Plan {
    inputs: Inputs,
    labelling: Labelling,
    scores: ScorePlan,
    output: OutputPlan,
    explain: Option<PaintTo>,
    records: RecordOptions,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    #[cfg(feature = "arrow")]
    if args.stream.is_asked() {
        return run_over_rows(args, report);
    }
    let plan = args.plan(report)?;
    let loaded = args.encoding.model.load(report)?;
    let facts = || args.facts(&plan.labelling, &plan.scores, &loaded);
    if is_done(&plan.output, facts, report)? {
        return Ok(Exit::Done);
    }
    let began = Instant::now();
    let scorer = Scorer::new(&loaded.model, &plan.labelling, plan.scores)?;
    report.detail(format!("labels encoded in {:.2} s", began.elapsed().as_secs_f64()));
    report.notices(scorer.notices());
    let settings = args.listing(plan.output.settings(args.settings(&scorer, &loaded)));
    let mut run = args.encoding.plan(&loaded, report);
    if plan.explain.is_some() {
        run.run.kept.images = true;
        // A kept image is many times larger than what the model reads of it.
        run.run.pipeline.batch = 1;
    }
    let mut judging = Judging {
        classifier: Classifier::new(&loaded.model, &plan.labelling, &scorer),
        options: plan.records,
        report,
        layout: plan.output.layout,
        explainer: plan.explain.map(|to| Explainer::new(&loaded.model, to)),
    };
    let mut judge = |item: &Item, seen| judging.judge(item, seen);
    let mut items = plan.inputs.items();
    let writer = run.open(plan.output, &settings, &mut items, &mut judge)?;
    Ok(run.record(Expected::Of(&plan.inputs), items, writer, &mut judge)?)
}

impl Args {
    fn plan(&self, report: Report) -> Result<Plan> {
        self.scores.refuse_detached_margin(&self.input)?;
        let records = self.record_options()?;
        let (inputs, labelling) = self
            .labels
            .plan(&self.input, &self.group, "longclip classify", report)?;
        let scores = self.scores.plan(labelling.grouping)?;
        let mut writing = self.writing().inputs(&inputs);
        let printed = Printed {
            task: self.task(0),
            layout: self.layout.layout(),
            ..PRINTED
        };
        let output = self.output.plan(printed, &inputs, &mut writing)?;
        if output.layout == Layout::Wide && (self.top_k.is_some() || labelling.list.is_empty()) {
            return Err(Error::usage(
                "`--wide` has a column for each label, so all images need the same labels, without `--top-k`",
                "leave out `--wide`",
            ));
        }
        let explain = match &self.explain {
            Some(path) => {
                self.encoding.pictures.refuse_to_explain()?;
                Some(PaintTo::at(
                    "--explain",
                    path,
                    (&inputs, output.resuming()),
                    &mut writing,
                )?)
            }
            None => None,
        };
        Ok(Plan {
            inputs,
            labelling,
            scores,
            output,
            explain,
            records,
        })
    }

    /// What is read, and may not be written.
    fn writing(&self) -> Writing<'_> {
        let writing = targets::writing(self.output.force, &self.encoding.model);
        let writing = writing.reads_each(self.labels.files());
        writing.reads("the file of neutral prompts", self.scores.file())
    }

    fn record_options(&self) -> Result<RecordOptions> {
        let one = || self.encoding.pictures.one_view("`--embeddings` prints");
        Ok(RecordOptions {
            top_k: self.top_k,
            embeddings: self.embeddings.then(one).transpose()?,
        })
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

    /// On a terminal, the likeliest labels are listed, unless a flag says which ones.
    fn listing(&self, settings: Settings) -> Settings {
        let is_asked = self.top_k.is_some() || self.scores.has_threshold();
        let terminal = settings.terminal.map(|terminal| Terminal {
            n_listed_max: (!is_asked).then_some(LISTED_MAX),
            ..terminal
        });
        Settings { terminal, ..settings }
    }

    /// All that records depend on, by name.
    fn facts(&self, labelling: &Labelling, scores: &ScorePlan, loaded: &Loaded) -> Facts {
        let mut facts = facts::facts("classify", self, loaded);
        facts.extend(labelling.facts(scores));
        facts
    }
}

/// `--in arrow`: the stream's rows are the images.
#[cfg(feature = "arrow")]
fn run_over_rows(args: &Args, report: Report) -> Outcome {
    args.check_stream()?;
    let RecordOptions { embeddings, .. } = args.record_options()?;
    let (named, stdin_is_taken) = (args.input.stream()?, args.labels.reads_stdin());
    let source = args
        .stream
        .source(named, stdin_is_taken, &args.output, args.writing())?;
    let labelling = args.labels.labelling(Some(&args.group))?;
    let scores = args.scores.plan(labelling.grouping)?;
    let (incoming, target) = source.open(LabelColumn::Read, args.input.options()?)?;
    if labelling.list.is_empty() && !incoming.have_labels() {
        return Err(Error::usage(
            "no labels given, and the Arrow stream has no column `labels`",
            "say what the images may show: `--labels \"a cat\" \"a dog\"`, or `--labels-file FILE`",
        )
        .into());
    }
    let loaded = args.encoding.model.load(report)?;
    let scorer = Scorer::new(&loaded.model, &labelling, scores)?;
    report.notices(scorer.notices());
    let mut classifier = Classifier::new(&loaded.model, &labelling, &scorer);
    let settings = args.settings(&scorer, &loaded);
    let run = args.encoding.plan(&loaded, report);
    run_over_batches(incoming, &run, &settings, target.as_ref(), &mut |item, seen| {
        let columns = classifier.columns(item, &seen.views);
        report.notices(&classifier.take_notices());
        let columns = columns?;
        Ok(Row {
            label: columns.best,
            scores: Some(columns.scores),
            embedding: embeddings.map(|one| seen.views.into_embedding(one)),
            ..Row::default()
        })
    })
}

#[cfg(feature = "arrow")]
impl Args {
    /// Refuses what the columns of results have no place for.
    fn check_stream(&self) -> Result<()> {
        let given = [
            ("--top-k", self.top_k.is_some()),
            ("--wide", self.layout.wide),
            ("--explain", self.explain.is_some()),
            ("--group-by", self.group.group_by.is_some()),
        ];
        let why = "changes nothing in an Arrow stream, whose columns are the best label and all scores";
        refuse_given(&given, why, "leave it out")
    }
}

/// Makes the results of images.
struct Judging<'a> {
    classifier: Classifier<'a>,
    options: RecordOptions,
    report: Report,
    layout: Layout,
    explainer: Option<Explainer<'a>>,
}

impl Judging<'_> {
    fn judge(&mut self, item: &Item, seen: Seen) -> Result<Result<Judgement>> {
        let answer = match self.answer(item, &seen.views) {
            Ok(answer) => answer,
            Err(error) => return Ok(Err(error)),
        };
        let thumbnail = self.thumbnail(&item.name, &answer, &seen)?;
        Ok(Ok((self.options.outcome(answer, seen.views), thumbnail)))
    }

    fn answer(&mut self, item: &Item, views: &Views) -> Result<Answer> {
        if self.layout == Layout::Wide && item.labels.is_some() {
            return Err(Error::usage("its own labels have no columns", "leave out `--wide`"));
        }
        let answer = self.classifier.answer(item, views);
        self.report.notices(&self.classifier.take_notices());
        answer
    }

    /// The image as formats show it, painted over if that was asked for; writes the painted photo too.
    fn thumbnail(&mut self, name: &Name, answer: &Answer, seen: &Seen) -> Result<Option<Thumbnail>> {
        let heat = match (&mut self.explainer, &seen.source) {
            (Some(explainer), Some(source)) => {
                let map = explainer.explain(&name.to_string(), &answer.nearest_text, source)?;
                seen.thumbnail
                    .as_ref()
                    .and_then(|_| painted_thumbnail(&map, &source.image))
            }
            _ => None,
        };
        Ok(seen.thumbnail.clone().map(|photo| Thumbnail { photo, heat }))
    }
}
