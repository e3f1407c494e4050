//! What is searched for: texts and images, what is added to them or subtracted from them, and what is excluded.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use longclip::Error;
use longclip::input::Inputs;
use longclip::labels::files::read_texts;
use longclip::search::{Query, Term};

/// The queries.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Search")]
pub(super) struct QuestionFlags {
    /// Texts, each searched for by itself
    ///
    /// Up to 248 tokens each. Example: `"a cat asleep on a sofa" "a dog"`
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// Search for images like this one; may be repeated
    ///
    /// A file, a URL, or `-` for stdin. Example: `--image like-this.jpg`
    #[arg(short, long, value_name = "FILE")]
    pub(super) image: Vec<PathBuf>,
    /// Read texts from a file, one per line
    ///
    /// `-` is stdin. Example: `--queries-from queries.txt`
    #[arg(long, value_name = "FILE")]
    pub(super) queries_from: Option<PathBuf>,
    /// Search for more of this as well
    ///
    /// The embedding of TEXT is added to that of each text or image that is searched for; `0.5:` in front gives it that weight
    /// instead of 1. May be repeated. Example: `--image sofa.jpg --add "a cat"`
    #[arg(long, value_name = "TEXT", value_parser = Term::parse)]
    add: Vec<Term>,
    /// Search for less of this
    ///
    /// As `--add`, with the embedding subtracted. Example: `--subtract 0.5:water`
    #[arg(long, value_name = "TEXT", value_parser = Term::parse)]
    subtract: Vec<Term>,
    /// Drop images that are nearer to this text
    ///
    /// Nearer than to the text that you search for. If you search for an image: nearer than that image is. May be
    /// repeated. Example: `--exclude "a cat on grass"`
    #[arg(short = 'x', long, value_name = "TEXT")]
    exclude: Vec<String>,
    /// Print at most K images for each search
    ///
    /// Example: `-k 20`
    #[arg(short = 'k', long, value_name = "K", default_value = "10")]
    pub(super) top_k: NonZeroUsize,
    /// Print only images whose cosine is at least X
    ///
    /// X is from -1 to 1. A fitting text reaches about 0.25, a similar image about 0.8 [default: none]. Example:
    /// `--threshold 0.2`
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = cosine)]
    pub(super) threshold: Option<f32>,
}

pub(super) fn cosine(text: &str) -> Result<f32, String> {
    let cosine: f32 = text.parse().map_err(|_| "expected a number".to_owned())?;
    let is_one = (-1.0..=1.0).contains(&cosine);
    is_one
        .then_some(cosine)
        .ok_or_else(|| "a cosine is between -1 and 1".to_owned())
}

impl QuestionFlags {
    /// What is searched for; images are opened when it is encoded.
    pub(super) fn query(&self) -> longclip::Result<Query> {
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
                "give a text: `longclip search photos/ \"a cat on a sofa\"`, or `--image FILE`",
            ));
        }
        if texts.iter().chain(&self.exclude).any(|text| text.trim().is_empty()) {
            return Err(Error::usage(
                "a text to search for, or to exclude, is empty",
                "write what the images show",
            ));
        }
        let subtracted = self.subtract.iter().cloned().map(|term| Term {
            weight: -term.weight,
            ..term
        });
        Ok(Query {
            texts,
            images: self
                .image
                .iter()
                .map(|image| Inputs::only_item(image))
                .collect::<longclip::Result<_>>()?,
            terms: self.add.iter().cloned().chain(subtracted).collect(),
            exclude: self.exclude.clone(),
        })
    }
}
