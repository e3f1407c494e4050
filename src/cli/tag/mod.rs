//! `longclip tag INPUT...`: finds several tags for each image, and writes them where photo programs read them.

mod remove;
mod sidecars;
mod vocabulary;

use std::path::{Path, PathBuf};

use longclip::error::counted;
use longclip::input::{InputOptions, Inputs, Item, Source};
use longclip::labels::Vocabulary;
use longclip::output::{Holds, Labelled, Outcome as RecordOutcome, Record, Settings, Task, Thumbnail};
use longclip::score::Background;
use longclip::session::shards::Facts;
use longclip::session::{
    Calibration, Ended, Kept, Labelling, RecordWriter, Remembering, Run, Scorer, Seen, Sink, TILES_EACH, TagThresholds,
    Tagger, Verdict, record,
};
use longclip::sidecar::SidecarName;
use longclip::{Error, Result};
use serde::Serialize;

use self::sidecars::{Doing, FileCounts, Kind, Sidecars, file_of};
use self::vocabulary::{ThresholdFlags, VocabularyFlags, score_plan};
use super::Outcome;
use super::facts;
use super::hint::reason;
use super::image_run::{ImageRun, close};
use super::input_flags::{InputFlags, InputPlan, PictureFlags};
use super::model_flags::{Loaded, ModelFlags};
use super::named::named;
use super::output_flags::{OutputFlags, OutputPlan};
use super::progress::Expected;
use super::report::{Exit, Report};
use super::run_flags::RunFlags;
use super::targets::Writing;

const EXAMPLES: &str = "\
Examples:
  longclip tag photos/
  longclip tag photos/ --write xmp
  longclip tag photos/ --vocabulary keywords.txt --max-tags 5 -o tags.csv";

const NOTES: &str = "\
More examples:
  longclip tag photos/ --write xmp --dry-run
  longclip tag photos/ --write xmp --remove
  longclip tag new-photos/ --calibrate all-photos/ --false-positives 1%
  longclip tag photos/ --format exiftool -o tags.json

Images are written only with `--write keywords`. Whatever is in a sidecar or an
image already stays as it is, and a second run changes nothing.
Exit codes: 0 all images done, 1 some failed, 2 nothing could be done or all
failed, 130 interrupted.";

/// Give each image several tags, and write them into sidecars
#[derive(Debug, clap::Args, Serialize)]
#[command(after_help = EXAMPLES, after_long_help = NOTES)]
pub(super) struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    input: InputFlags,
    #[command(flatten)]
    #[serde(flatten)]
    vocabulary: VocabularyFlags,
    #[command(flatten)]
    #[serde(flatten)]
    thresholds: ThresholdFlags,
    // Records are the same.
    #[command(flatten)]
    #[serde(skip)]
    files: FileFlags,
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

/// Files next to images, and images themselves.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Files next to images")]
struct FileFlags {
    /// Write tags for photo programs: xmp, txt or keywords
    ///
    /// `xmp` adds them to the sidecar, which Lightroom, darktable, digiKam and others read; `txt` writes one line with
    /// commas, as training tools read it; `keywords` adds them to the XMP inside JPEG, PNG and WebP files, whose pixels and
    /// other contents stay as they are, and to the sidecar of other images. May be repeated. Example: `--write xmp`
    #[arg(long, value_name = "KIND", value_parser = named::<Kind>())]
    write: Vec<Kind>,
    /// How a new sidecar is named
    ///
    /// `appended` is photo.jpg.xmp, as darktable and digiKam name it; `replaced` is photo.xmp, as Lightroom does. A
    /// sidecar that exists is used whatever it is named. Example: `--sidecar-name replaced`
    #[arg(long, value_name = "WAY", default_value_t, value_parser = named::<SidecarName>(), hide_short_help = true)]
    sidecar_name: SidecarName,
    /// Only report what would be written by `--write`
    #[arg(long)]
    dry_run: bool,
    /// Remove our tags from the files of `--write`
    ///
    /// Those of other programs stay, and a sidecar that held nothing else is removed. No image is read. Example:
    /// `--write xmp --remove`
    #[arg(long, requires = "write", conflicts_with_all = ["output", "format", "resume"])]
    remove: bool,
}

impl FileFlags {
    fn doing(&self) -> Doing {
        if self.dry_run { Doing::Rehearse } else { Doing::Write }
    }
}

/// Images that thresholds are calibrated on at most.
const CALIBRATION_IMAGES: usize = 2000;

/// What was asked for, checked before there is a model.
struct Plan {
    input: InputPlan,
    vocabulary: Vocabulary,
    labelling: Labelling,
    output: OutputPlan,
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    if args.files.remove {
        return remove::run(args, report);
    }
    let Plan {
        input,
        vocabulary,
        labelling,
        output,
    } = args.plan()?;
    let loaded = args.model.load(report)?;
    if output.is_done(|| args.facts(&labelling, &loaded), report)? {
        return Ok(Exit::Done);
    }
    let scorer = Scorer::new(&loaded.model, &labelling, score_plan())?;
    report.notices(scorer.notices());
    let labels = scorer
        .labels()
        .ok_or_else(|| Error::usage("the vocabulary is empty", "give it tags"))?;
    let squares_each = args.pictures.tiles().map_or(1, |_| TILES_EACH);
    let remembering = Remembering::new(&loaded.model, CALIBRATION_IMAGES * squares_each);
    let mut run = args.run.plan(&loaded, &args.pictures, report);
    let least = args.thresholds.least();
    let thresholds = TagThresholds::of_probability(least);
    let mut tagger = Tagger::new(&scorer, labels, &vocabulary, thresholds.clone());
    if let Some((share, folder)) = args.thresholds.calibration()? {
        let inputs = args.calibration_inputs(folder, &input.inputs)?;
        run.run.encoder = &remembering;
        let of_label = match calibrated(&run.run, inputs.as_ref(), &tagger)? {
            Calibrated::Stopped => return Ok(Exit::Interrupted),
            Calibrated::Unread => {
                report.warning(format!(
                    "what is read from stdin can't be calibrated on, so tags only need a probability of {least}; \
                     `--calibrate FOLDER` names other images"
                ));
                None
            }
            Calibrated::By(calibration) => {
                report_calibration(&calibration, least, report);
                calibration.thresholds(share)
            }
        };
        if let Some(of_label) = of_label {
            tagger.set_thresholds(thresholds.calibrated(of_label));
        }
    }
    let tagger = tagger.max_tags(Some(args.thresholds.max_tags()));
    tag(args, input, output, run, (&loaded, &tagger))
}

/// Tags all images.
fn tag(
    args: &Args,
    input: InputPlan,
    output: OutputPlan,
    mut run: ImageRun<'_>,
    (loaded, tagger): (&Loaded, &Tagger<'_>),
) -> Outcome {
    let (vocabulary, report) = (tagger.vocabulary(), run.report);
    let settings = Settings {
        labels: vocabulary.names().map(str::to_owned).collect(),
        layout: output.layout,
        fields: input.fields,
        terminal: output.terminal(&input.inputs),
        links_from: output.links_from(),
        ..loaded.settings(Task::Tags)
    };
    run.results = output.results();
    run.continued_by = output.continued_by();
    run.run.kept = Kept {
        thumbnails: output.holds(Holds::Thumbnails),
        images: false,
    };
    let mut items = input.inputs.items();
    let (results, mut held) = output.open(&settings, &mut items)?;
    let mut writer = Writer {
        tagger,
        results,
        sidecars: args.sidecars(&input.inputs, vocabulary, report),
        n_images: 0,
        n_tags: 0,
        n_without: 0,
    };
    held.check(&run.run, |item, seen| writer.encoded(item, &seen))?;
    writer.results.begin()?;
    let (ended, exit) = run.over(Expected::Of(&input.inputs), items, held.progress, &mut writer)?;
    report.note(writer.summary());
    close(writer.results, ended, report)?;
    Ok(exit)
}

impl Args {
    fn plan(&self) -> Result<Plan> {
        if self.input.is_empty() {
            return Err(Error::usage("no images given", "name some: `longclip tag photos/`"));
        }
        if self.files.dry_run && self.files.write.is_empty() {
            return Err(Error::usage(
                "`--dry-run` changes nothing: without `--write`, only results are written",
                "leave it out, or add `--write xmp`",
            ));
        }
        let vocabulary = self.vocabulary.vocabulary()?;
        let labelling = self.vocabulary.labelling(&vocabulary)?;
        let input = self.input.plan(self.vocabulary.reads_stdin())?;
        input.inputs.refuse_unreadable()?;
        let mut writing = self.writing().inputs(&input.inputs);
        let output = self.output.plan("table", Task::Tags, &input.inputs, &mut writing)?;
        Ok(Plan {
            input,
            vocabulary,
            labelling,
            output,
        })
    }

    /// What is read, and may not be written.
    fn writing(&self) -> Writing<'_> {
        let writing = Writing::new(self.output.force).model(&self.model);
        writing.reads("the vocabulary", self.vocabulary.files())
    }

    fn sidecars<'a>(&'a self, inputs: &'a Inputs, vocabulary: &'a Vocabulary, report: Report) -> Sidecars<'a> {
        Sidecars {
            kinds: &self.files.write,
            name: self.files.sidecar_name,
            doing: self.files.doing(),
            vocabulary,
            writing: self.writing().inputs(inputs),
            report,
            counts: FileCounts::default(),
            photos: FileCounts::default(),
        }
    }

    /// The images that thresholds are calibrated on: of the folder, else those that are tagged, of all shards. `None` if
    /// these can be read only once.
    fn calibration_inputs(&self, folder: Option<&Path>, inputs: &Inputs) -> Result<Option<Inputs>> {
        let options = InputOptions {
            shard: None,
            ..self.input.options()?
        };
        let sources = match folder {
            Some(folder) => vec![Source::Named(PathBuf::from(folder))],
            None if inputs.n_reading_stdin() > 0 => return Ok(None),
            None => inputs.sources.clone(),
        };
        let inputs = Inputs { sources, options };
        inputs.refuse_unreadable()?;
        Ok(Some(inputs))
    }

    /// All that records depend on, by name.
    fn facts(&self, labelling: &Labelling, loaded: &Loaded) -> Facts {
        let mut facts = facts::facts("tag", self, loaded);
        facts.extend(labelling.facts(&score_plan()));
        facts
    }
}

/// What came of a calibration.
enum Calibrated<'a> {
    By(Calibration<'a>),
    /// The images can be read only once.
    Unread,
    /// The user interrupted it.
    Stopped,
}

/// Sees as many images as calibration takes, evenly chosen. Those that can't be used are reported when they are tagged.
fn calibrated<'a>(run: &Run<'_>, inputs: Option<&Inputs>, tagger: &'a Tagger<'a>) -> Result<Calibrated<'a>> {
    let Some(inputs) = inputs else {
        return Ok(Calibrated::Unread);
    };
    let mut calibration = Calibration::new(tagger);
    let n_images = inputs.count().unwrap_or(0);
    let step = n_images.div_ceil(CALIBRATION_IMAGES as u64).max(1);
    let chosen = inputs.items().step_by(step as usize).take(CALIBRATION_IMAGES);
    let run = Run {
        max_failures: u64::MAX,
        kept: Kept::default(),
        ..run.clone()
    };
    Ok(match run.over(Box::new(chosen), &mut (), &mut calibration)? {
        Ended::Interrupted => Calibrated::Stopped,
        Ended::AtTheEnd | Ended::TooManyFailed => Calibrated::By(calibration),
    })
}

fn report_calibration(calibration: &Calibration<'_>, least: f64, report: Report) {
    let n_images = calibration.n_images();
    match calibration.is_enough() {
        true => report.note(format!("thresholds are calibrated on {}", counted(n_images, "image"))),
        false => report.warning(format!(
            "{n_images} of the {} images that calibration needs, so tags only need a probability of {least}; \
             `--calibrate FOLDER` names more",
            Background::IMAGES_MIN
        )),
    }
}

/// Writes a record for each image, and the files next to it.
struct Writer<'a> {
    tagger: &'a Tagger<'a>,
    results: RecordWriter,
    sidecars: Sidecars<'a>,
    n_images: u64,
    n_tags: u64,
    n_without: u64,
}

impl Writer<'_> {
    /// The tags of an image, which are next to it once this returns.
    fn tag(&mut self, item: &Item, seen: &Seen) -> Result<Vec<Labelled>> {
        let tags = self.tagger.tags(&seen.views);
        if !self.sidecars.kinds.is_empty() {
            self.sidecars.write(&file_of(item)?, &tags)?;
        }
        self.n_images += 1;
        self.n_tags += tags.len() as u64;
        self.n_without += u64::from(tags.is_empty());
        Ok(tags)
    }

    fn encoded(&mut self, item: Item, seen: &Seen) -> Result<Vec<u8>> {
        let tags = self.tagger.tags(&seen.views);
        self.results
            .encoded(&record(item, RecordOutcome::of_labels(tags), None))
    }

    fn summary(&self) -> String {
        let tags = counted(self.n_tags, "tag");
        let mut text = format!("{}: {tags}", counted(self.n_images, "image"));
        if self.n_without > 0 {
            text += &format!(", {} without any", self.n_without);
        }
        if !self.sidecars.kinds.is_empty() {
            text += &format!("; {}", self.sidecars.in_words());
        }
        text
    }
}

impl Sink for Writer<'_> {
    fn take(&mut self, item: Item, seen: Result<Seen>) -> Result<Verdict> {
        let tagged = seen.and_then(|seen| Ok((self.tag(&item, &seen)?, seen.thumbnail)));
        let (outcome, thumbnail, verdict) = match tagged {
            Ok((tags, thumbnail)) => (RecordOutcome::of_labels(tags), thumbnail, Verdict::Done),
            Err(error) => (RecordOutcome::Failed(reason(&error)), None, Verdict::Failed(error)),
        };
        let thumbnail = thumbnail.map(|photo| Thumbnail { photo, heat: None });
        let written: Record = record(item, outcome, thumbnail);
        self.results.write(&written)?;
        self.results.note(&verdict);
        Ok(verdict)
    }

    fn flush(&mut self) -> Result<()> {
        self.results.flush()
    }
}
