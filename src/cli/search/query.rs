//! `longclip search query INDEX TEXT...`: finds the images that are nearest to texts and images.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

use longclip::files::Target;
use longclip::input::{InputOptions, Inputs, Item, Source};
use longclip::labels::files::read_texts;
use longclip::model::LongClip;
use longclip::output::{Found, Holds};
use longclip::search::found::{self, add_thumbnails, record, settings};
use longclip::search::{AnswerLimits, Excluded, ExclusionRule, Hit, Index, Question};
use longclip::{Error, Result};

use super::model;
use super::results::ResultFlags;
use crate::cli::Outcome;
use crate::cli::input_flags::PictureFlags;
use crate::cli::model_flags::{ModelFlags, warn_of_cut_texts};
use crate::cli::report::{Exit, Report};
use crate::cli::results::Results;
use crate::cli::targets::{Writing, links_from};

const EXAMPLES: &str = "\
Examples:
  longclip search query photos.parquet \"a cat asleep on a sofa\"
  longclip search query photos.parquet \"a cat\" -x \"a cat on grass\" -k 20
  longclip search query photos.parquet --image photo.jpg -o found.html";

const NOTES: &str = "\
More examples:
  longclip search query photos.parquet \"a receipt\" --format '{path}'

`--exclude` drops images that are nearer to its text than to the text that is
searched for; if an image is searched for, those that are nearer to its text than
that image is. Model and number type are those of the index, if none are named.";

/// Print the images of an index that are nearest to a text or an image
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = NOTES)]
pub(super) struct Args {
    /// An index that `longclip search build` made
    ///
    /// Example: `longclip search query photos.parquet "a cat"`
    #[arg(value_name = "INDEX")]
    index: PathBuf,
    #[command(flatten)]
    questions: QuestionFlags,
    #[command(flatten)]
    results: ResultFlags,
    #[command(flatten)]
    pictures: PictureFlags,
    #[command(flatten)]
    model: ModelFlags,
}

/// The queries.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Search")]
struct QuestionFlags {
    /// Texts, each searched for by itself
    ///
    /// Up to 248 tokens each. Example: `"a cat asleep on a sofa" "a dog"`
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Search for images like this one; may be repeated
    ///
    /// A file, a URL, or `-` for stdin. Example: `--image like-this.jpg`
    #[arg(short, long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Read texts from a file, one per line
    ///
    /// `-` is stdin. Example: `--queries-from queries.txt`
    #[arg(long, value_name = "FILE")]
    queries_from: Option<PathBuf>,
    /// Drop images that are nearer to this text
    ///
    /// Nearer than to what is searched for; if that is an image, nearer than that image is. May be repeated. Example:
    /// `--exclude "a cat on grass"`
    #[arg(short = 'x', long, value_name = "TEXT")]
    exclude: Vec<String>,
    /// Print at most K images for each search
    ///
    /// Example: `-k 20`
    #[arg(short = 'k', long, value_name = "K", default_value = "10")]
    top_k: NonZeroUsize,
    /// Print only images whose cosine is at least X
    ///
    /// X is from -1 to 1. A fitting text reaches about 0.25, a similar image about 0.8 [default: none]. Example:
    /// `--threshold 0.2`
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = cosine)]
    threshold: Option<f32>,
}

fn cosine(text: &str) -> std::result::Result<f32, String> {
    let cosine: f32 = text.parse().map_err(|_| "expected a number".to_owned())?;
    let is_one = (-1.0..=1.0).contains(&cosine);
    is_one
        .then_some(cosine)
        .ok_or_else(|| "a cosine is between -1 and 1".to_owned())
}

pub(super) fn run(args: &Args, report: Report) -> Outcome {
    let texts = args.questions.all_texts()?;
    let format = args.results.format()?;
    let reads = Writing::new(args.results.force)
        .model(&args.model)
        .reads("the index", [&args.index]);
    let reads = reads.reads("the file of texts", &args.questions.queries_from);
    let target = args
        .results
        .target(reads.reads("an image of the search", &args.questions.image))?;
    let index = Index::open(&args.index)?;
    if index.is_empty() {
        let problem = format!("the index `{}` holds no images", args.index.display());
        return Err(Error::usage(problem, "add some: `longclip search build photos/ -o INDEX`").into());
    }
    let pictures = args.pictures.as_noted(&index.origin().orientation);
    let (loaded, _) = model::load(&args.model, &pictures, Some((&args.index, index.origin())), report)?;
    let began = Instant::now();
    let asked = args.questions.encode(&texts, &loaded.model, &pictures, report)?;
    let encoded = Instant::now();
    let limits = AnswerLimits {
        top_k: args.questions.top_k,
        threshold: args.questions.threshold,
    };
    let threads = loaded.kernel_threads();
    let questions: Vec<Question> = asked.iter().map(|asked| asked.question.clone()).collect();
    let hits = index.nearest(&questions, limits, &threads);
    report.detail(format!(
        "{} images of {}: encoded in {:.0} ms, searched in {:.0} ms{}",
        index.len(),
        index.origin(),
        (encoded - began).as_secs_f64() * 1e3,
        encoded.elapsed().as_secs_f64() * 1e3,
        if index.is_searched_in_place() {
            ""
        } else {
            " (read into memory first)"
        }
    ));
    let mut found = found(&index, &asked, &hits)?;
    tell(&asked, &found, &args.index, report);
    if format.holds(Holds::Thumbnails) {
        let preprocess = pictures.apply(loaded.model.preprocess());
        found.iter_mut().for_each(|found| add_thumbnails(found, &preprocess));
    }
    let names: Vec<String> = asked.iter().map(|asked| asked.name.clone()).collect();
    let mut results = Results::open(
        &format,
        &settings(&index, names, links_from(target.as_ref().map(Target::path))),
        target.as_ref(),
    )?;
    results.begin()?;
    for (asked, found) in asked.iter().zip(found) {
        results.write(&record(&asked.name, found))?;
    }
    results.finish(report)?;
    Ok(Exit::Done)
}

/// A query, with its name.
struct Asked {
    name: String,
    question: Question,
}

impl QuestionFlags {
    fn all_texts(&self) -> Result<Vec<String>> {
        let stdin = Path::new("-");
        let n_from_stdin = self.image.iter().filter(|image| *image == stdin).count()
            + usize::from(self.queries_from.as_deref() == Some(stdin));
        if n_from_stdin > 1 {
            return Err(Error::usage(
                format!("{n_from_stdin} inputs read stdin, which can be read only once"),
                "give all but one of them a file",
            ));
        }
        let mut texts = self.texts.clone();
        if let Some(file) = &self.queries_from {
            texts.extend(read_texts(file)?);
        }
        if texts.is_empty() && self.image.is_empty() {
            return Err(Error::usage(
                "nothing to search for",
                "give a text: `longclip search query INDEX \"a cat on a sofa\"`, or `--image FILE`",
            ));
        }
        if texts.iter().chain(&self.exclude).any(|text| text.trim().is_empty()) {
            return Err(Error::usage(
                "a text to search for, or to exclude, is empty",
                "write what the images show",
            ));
        }
        Ok(texts)
    }

    fn encode(
        &self,
        texts: &[String],
        model: &LongClip,
        pictures: &PictureFlags,
        report: Report,
    ) -> Result<Vec<Asked>> {
        warn_of_cut_texts(
            model,
            texts.iter().chain(&self.exclude).map(String::as_str),
            "text",
            report,
        );
        let all: Vec<String> = self.exclude.iter().chain(texts).cloned().collect();
        let embeddings = if all.is_empty() {
            Vec::new()
        } else {
            model.encode_texts(&all)?.0.rows().map(<[f32]>::to_vec).collect()
        };
        let (excluded, wanted) = embeddings.split_at(self.exclude.len());
        let asked = |name: &str, wanted: Vec<f32>, rule| Asked {
            name: name.to_owned(),
            question: Question {
                wanted,
                excluded: excluded
                    .iter()
                    .map(|row| Excluded {
                        embedding: row.clone(),
                        rule,
                    })
                    .collect(),
            },
        };
        let of_texts = texts.iter().zip(wanted);
        let mut all: Vec<Asked> = of_texts
            .map(|(text, row)| asked(text, row.clone(), ExclusionRule::NearerThanToWanted))
            .collect();
        let preprocess = pictures.apply(model.preprocess());
        for image in &self.image {
            let mut item = only_item(image)?;
            let name = item.name.to_string();
            let pixels = preprocess.run(&name, &item.content.take(&name)?)?;
            let row = model.encode_image(&pixels)?.0.row(0).to_vec();
            all.push(asked(&name, row, ExclusionRule::NearerThanWantedIs));
        }
        Ok(all)
    }
}

/// The only image of a name.
fn only_item(image: &Path) -> Result<Item> {
    let inputs = Inputs {
        sources: vec![Source::Named(image.to_owned())],
        options: InputOptions::default(),
    };
    let mut items = inputs.items();
    match (items.next(), items.next()) {
        (Some(item), None) => Ok(item),
        (None, _) => Err(Error::usage(
            format!("there is no image in `{}`", image.display()),
            "name one image",
        )),
        (Some(_), Some(_)) => Err(Error::usage(
            format!("there is more than one image in `{}`", image.display()),
            "name one; several are searched for by `--image A --image B`",
        )),
    }
}

/// The images of all hits, each read once.
fn found(index: &Index, asked: &[Asked], hits: &[Vec<Hit>]) -> Result<Vec<Vec<Found>>> {
    let mut rows: Vec<usize> = hits.iter().flatten().map(|hit| hit.row).collect();
    rows.sort_unstable();
    rows.dedup();
    let pictures = index.pictures_of(&rows)?;
    let folder = &index.origin().folder;
    let here = std::env::current_dir().unwrap_or_default();
    let of_hit = |asked: &Asked, rank: usize, hit: &Hit| {
        let place = rows.binary_search(&hit.row).unwrap_or_default();
        found::found(&asked.name, (rank, hit.cosine), &pictures[place], folder, &here)
    };
    let all = asked.iter().zip(hits).map(|(asked, hits)| {
        let ranked = (1..).zip(hits);
        ranked.map(|(rank, hit)| of_hit(asked, rank, hit)).collect()
    });
    Ok(all.collect())
}

/// Reports queries without results, and files that changed.
fn tell(asked: &[Asked], found: &[Vec<Found>], index: &Path, report: Report) {
    for (asked, _) in asked.iter().zip(found).filter(|(_, found)| found.is_empty()) {
        report.note(format!(
            "nothing found for `{}`: no image passes `--threshold` and `--exclude`",
            asked.name
        ));
    }
    let n_stale = found.iter().flatten().filter(|found| found.state.is_some()).count();
    if n_stale > 0 {
        report.note(format!(
            "{n_stale} of these {} gone or changed since `{}` was made; `longclip search build` brings it up to date",
            if n_stale == 1 { "is" } else { "are" },
            index.display()
        ));
    }
}
