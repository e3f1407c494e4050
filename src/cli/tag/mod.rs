//! `longclip tag INPUT...`: finds several tags for each image, and writes them where photo programs read them.

mod remove;
mod vocabulary;

use std::path::{Path, PathBuf};

use longclip::error::counted;
use longclip::input::{InputOptions, Inputs, Item, Source};
use longclip::labels::Vocabulary;
use longclip::output::{Labelled, Layout, Outcome as RecordOutcome, Settings, Task, Thumbnail};
use longclip::score::Background;
use longclip::session::shards::Facts;
use longclip::session::{
    Calibration, Judgement, Labelling, Loaded, OutputPlan, Remembering, Scorer, Seen, TILES_EACH, TagFileKind,
    TagFiles, TagFilesPlan, TagThresholds, Tagger, Writing,
};
use longclip::sidecar::SidecarName;
use longclip::{Error, Result};
use serde::Serialize;

use self::vocabulary::{ThresholdFlags, VocabularyFlags, score_plan};
use super::Outcome;
use super::facts;
use super::format_choice::Printed;
use super::image_run::ImageRun;
use super::input_flags::InputFlags;
use super::named::named;
use super::output_flags::{LayoutFlag, OutputFlags};
use super::progress::Expected;
use super::report::{Exit, Report};
use super::run_flags::EncodingFlags;
use super::shard_flags::is_done;
use super::targets;

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

const PRINTED: Printed = Printed {
    task: Task::Tags,
    default: "table",
    layout: Layout::Long,
};

/// Give each image several tags, and write them into sidecars
#[derive(Debug, clap::Args, Serialize)]
#[command(after_help = EXAMPLES, after_long_help = NOTES, mut_arg("format", |flag| PRINTED.format_flag(flag)))]
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
    #[command(flatten)]
    #[serde(flatten)]
    layout: LayoutFlag,
    #[command(flatten)]
    #[serde(flatten)]
    encoding: EncodingFlags,
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
    #[arg(long, value_name = "KIND", value_parser = named::<TagFileKind>())]
    write: Vec<TagFileKind>,
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

/// Images that thresholds are calibrated on at most.
const CALIBRATION_IMAGES: usize = 2000;

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    if args.files.remove {
        return remove::run(args, report);
    }
    let (inputs, output) = args.plan()?;
    let vocabulary = args.vocabulary.vocabulary()?;
    let labelling = args.vocabulary.labelling(&vocabulary)?;
    let loaded = args.encoding.model.load(report)?;
    if is_done(&output, || args.facts(&labelling, &loaded), report)? {
        return Ok(Exit::Done);
    }
    let scorer = Scorer::new(&loaded.model, &labelling, score_plan())?;
    report.notices(scorer.notices());
    let labels = scorer
        .labels()
        .ok_or_else(|| Error::usage("the vocabulary is empty", "give it tags"))?;
    let squares_each = args.encoding.pictures.reading().tiles().map_or(1, |_| TILES_EACH);
    let remembering = Remembering::new(&loaded.model, CALIBRATION_IMAGES * squares_each);
    let mut run = args.encoding.plan(&loaded, report);
    let least = args.thresholds.least();
    let thresholds = TagThresholds::of_probability(least);
    let mut tagger = Tagger::new(&scorer, labels, &vocabulary, thresholds.clone());
    if let Some((share, folder)) = args.thresholds.calibration()? {
        let inputs = args.calibration_inputs(folder, &inputs)?;
        run.run.encoder = &remembering;
        let of_label = match inputs {
            None => {
                report.warning(format!(
                    "images from stdin are read once, so thresholds can't be chosen by them: images get all tags with a \
                     probability of at least {least}; `--calibrate FOLDER` chooses thresholds by the images of a folder"
                ));
                None
            }
            Some(inputs) => {
                let Some(calibration) = Calibration::by(&inputs, CALIBRATION_IMAGES, &run.run, &tagger)? else {
                    return Ok(Exit::Interrupted);
                };
                report_calibration(&calibration, least, report);
                calibration.thresholds(share)
            }
        };
        if let Some(of_label) = of_label {
            tagger.set_thresholds(thresholds.calibrated(of_label));
        }
    }
    let tagger = tagger.max_tags(Some(args.thresholds.max_tags()));
    tag(args, inputs, output, run, (&loaded, &tagger))
}

/// Tags all images.
fn tag(
    args: &Args,
    inputs: Inputs,
    output: OutputPlan,
    mut run: ImageRun<'_>,
    (loaded, tagger): (&Loaded, &Tagger<'_>),
) -> Outcome {
    let (vocabulary, report) = (tagger.vocabulary(), run.report);
    let settings = Settings {
        labels: vocabulary.names().map(str::to_owned).collect(),
        ..output.settings(loaded.settings(Task::Tags))
    };
    let judgement = |tags, seen: Seen| -> Result<Result<Judgement>> {
        let thumbnail = seen.thumbnail.map(|photo| Thumbnail { photo, heat: None });
        Ok(Ok((RecordOutcome::of_labels(tags), thumbnail)))
    };
    let mut items = inputs.items();
    // What is compared with an interrupted run is next to its image already.
    let mut compared = |_: &Item, seen: Seen| judgement(tagger.tags(&seen.views), seen);
    let writer = run.open(output, &settings, &mut items, &mut compared)?;
    let mut counts = TagCounts::default();
    let exit = args.with_files(&inputs, vocabulary, report, |files| {
        let mut judge = |item: &Item, seen: Seen| {
            let tags = tagger.tags(&seen.views);
            if let Err(error) = files.write(item, &tags) {
                return Ok(Err(error));
            }
            counts.add(&tags);
            judgement(tags, seen)
        };
        let exit = run.record(Expected::Of(&inputs), items, writer, &mut judge)?;
        report.note(counts.in_words(files));
        Ok(exit)
    })?;
    Ok(exit)
}

impl Args {
    /// What is tagged, and where results go, checked before there is a model.
    fn plan(&self) -> Result<(Inputs, OutputPlan)> {
        if self.input.is_empty() {
            return Err(Error::usage("no images given", "name some: `longclip tag photos/`"));
        }
        if self.files.dry_run && self.files.write.is_empty() {
            return Err(Error::usage(
                "`--dry-run` changes nothing: without `--write`, only results are written",
                "leave it out, or add `--write xmp`",
            ));
        }
        let inputs = self.input.plan(self.vocabulary.reads_stdin())?;
        let mut writing = self.writing().inputs(&inputs);
        let printed = Printed {
            layout: self.layout.layout(),
            ..PRINTED
        };
        let output = self.output.plan(printed, &inputs, &mut writing)?;
        Ok((inputs, output))
    }

    /// What is read, and may not be written.
    fn writing(&self) -> Writing<'_> {
        let writing = targets::writing(self.output.force, &self.encoding.model);
        writing.reads("the vocabulary", self.vocabulary.files())
    }

    /// Does something with the files next to images, and with keywords in images.
    fn with_files<T>(
        &self,
        inputs: &Inputs,
        vocabulary: &Vocabulary,
        report: Report,
        work: impl FnOnce(&mut TagFiles<'_>) -> Result<T>,
    ) -> Result<T> {
        let writing = self.writing().inputs(inputs);
        let tell = |line: String| report.note(line);
        work(&mut TagFiles::new(TagFilesPlan {
            kinds: &self.files.write,
            name: self.files.sidecar_name,
            vocabulary,
            replaces_others: self.output.force.force,
            refuse_input: &|path: &Path| writing.refuse_input("--write txt", path),
            rehearsal: if self.files.dry_run { Some(&tell) } else { None },
        }))
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

fn report_calibration(calibration: &Calibration<'_>, least: f64, report: Report) {
    let n_images = calibration.n_images();
    if n_images == 0 {
        return;
    }
    match calibration.is_enough() {
        true => report.note(format!("thresholds are calibrated on {}", counted(n_images, "image"))),
        false => report.warning(format!(
            "thresholds can't be chosen by {}, since that takes {}: images get all tags with a probability of at least \
             {least}, and more of them are wrong; `--calibrate FOLDER` chooses thresholds by the images of a folder",
            counted(n_images, "image"),
            Background::IMAGES_MIN
        )),
    }
}

/// What was found, for the summary.
#[derive(Default)]
struct TagCounts {
    n_images: u64,
    n_tags: u64,
    n_without: u64,
}

impl TagCounts {
    fn add(&mut self, tags: &[Labelled]) {
        self.n_images += 1;
        self.n_tags += tags.len() as u64;
        self.n_without += u64::from(tags.is_empty());
    }

    fn in_words(&self, files: &TagFiles<'_>) -> String {
        let mut text = format!("{}: {}", counted(self.n_images, "image"), counted(self.n_tags, "tag"));
        if self.n_without > 0 {
            text += &format!(", {} without any", self.n_without);
        }
        if files.are_written() {
            text += &format!("; {}", files.in_words());
        }
        text
    }
}
