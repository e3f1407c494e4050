//! What is searched for: texts and images, what is added to them or subtracted from them, and what is excluded.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use longclip::input::{InputOptions, Inputs, Item, Source};
use longclip::labels::files::read_texts;
use longclip::model::LongClip;
use longclip::search::{Excluded, ExclusionRule, Question, combined};
use longclip::{Error, Result};

use crate::cli::input_flags::PictureFlags;
use crate::cli::model_flags::warn_of_cut_texts;
use crate::cli::report::Report;

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
    #[arg(long, value_name = "TEXT", value_parser = Weighted::parse)]
    add: Vec<Weighted>,
    /// Search for less of this
    ///
    /// As `--add`, with the embedding subtracted. Example: `--subtract 0.5:water`
    #[arg(long, value_name = "TEXT", value_parser = Weighted::parse)]
    subtract: Vec<Weighted>,
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

/// A text that is added to what is searched for, or subtracted from it.
#[derive(Debug, Clone, PartialEq)]
struct Weighted {
    /// More than 0.
    weight: f32,
    text: String,
}

impl Weighted {
    fn parse(typed: &str) -> std::result::Result<Self, String> {
        let weighted = typed.split_once(':').and_then(|(weight, text)| {
            let weight = weight.parse().ok()?;
            Some((weight, text))
        });
        let (weight, text): (f32, &str) = weighted.unwrap_or((1.0, typed));
        if !(weight > 0.0 && weight.is_finite()) {
            return Err("expected a weight above 0; `--subtract` takes something away".into());
        }
        if text.trim().is_empty() {
            return Err("expected a text".into());
        }
        Ok(Weighted {
            weight,
            text: text.to_owned(),
        })
    }
}

impl std::fmt::Display for Weighted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.weight {
            1.0 => f.write_str(&self.text),
            weight => write!(f, "{weight}:{}", self.text),
        }
    }
}

pub(super) fn cosine(text: &str) -> std::result::Result<f32, String> {
    let cosine: f32 = text.parse().map_err(|_| "expected a number".to_owned())?;
    let is_one = (-1.0..=1.0).contains(&cosine);
    is_one
        .then_some(cosine)
        .ok_or_else(|| "a cosine is between -1 and 1".to_owned())
}

/// A query, with its name.
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) question: Question,
}

impl QuestionFlags {
    pub(super) fn all_texts(&self) -> Result<Vec<String>> {
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
        Ok(texts)
    }

    pub(super) fn encode(
        &self,
        texts: &[String],
        model: &LongClip,
        pictures: &PictureFlags,
        report: Report,
    ) -> Result<Vec<Asked>> {
        let terms = self.terms();
        let of_terms = terms.iter().map(|(_, term)| &term.text);
        let all: Vec<String> = self.exclude.iter().chain(of_terms).chain(texts).cloned().collect();
        warn_of_cut_texts(model, all.iter().map(String::as_str), "text", report);
        let embeddings = match all.is_empty() {
            true => Vec::new(),
            false => model.encode_texts(&all)?.0.rows().map(<[f32]>::to_vec).collect(),
        };
        let (excluded, rest) = embeddings.split_at(self.exclude.len());
        let (of_terms, wanted) = rest.split_at(terms.len());
        let changes: Vec<(f32, &[f32])> = terms
            .iter()
            .zip(of_terms)
            .map(|((sign, term), embedding)| (sign * term.weight, embedding.as_slice()))
            .collect();
        let asked = |name: &str, wanted: &[f32], rule| {
            let excluded = excluded.iter().map(|row| Excluded {
                embedding: row.clone(),
                rule,
            });
            Ok(Asked {
                name: named(name, &terms),
                question: Question {
                    wanted: changed(name, wanted, &changes)?,
                    excluded: excluded.collect(),
                },
            })
        };
        let of_texts = texts.iter().zip(wanted);
        let of_texts = of_texts.map(|(text, row)| asked(text, row, ExclusionRule::NearerThanToWanted));
        let mut all: Vec<Asked> = of_texts.collect::<Result<_>>()?;
        let preprocess = pictures.apply(model.preprocess());
        for image in &self.image {
            let mut item = only_item(image)?;
            let name = item.name.to_string();
            let pixels = preprocess.run(&name, &item.content.take(&name)?)?;
            let embedding = model.encode_image(&pixels)?;
            all.push(asked(&name, embedding.0.row(0), ExclusionRule::NearerThanWantedIs)?);
        }
        Ok(all)
    }

    /// What is added, and what is subtracted with the sign -1.
    fn terms(&self) -> Vec<(f32, &Weighted)> {
        let added = self.add.iter().map(|term| (1.0, term));
        added.chain(self.subtract.iter().map(|term| (-1.0, term))).collect()
    }
}

/// A search as results name it.
fn named(name: &str, terms: &[(f32, &Weighted)]) -> String {
    let terms = terms.iter().map(|(sign, term)| match *sign > 0.0 {
        true => format!(" + {term}"),
        false => format!(" - {term}"),
    });
    name.to_owned() + &terms.collect::<String>()
}

/// The embedding of what is searched for after what is added and subtracted.
fn changed(name: &str, wanted: &[f32], changes: &[(f32, &[f32])]) -> Result<Vec<f32>> {
    if changes.is_empty() {
        return Ok(wanted.to_vec());
    }
    let terms: Vec<(f32, &[f32])> = std::iter::once((1.0, wanted)).chain(changes.iter().copied()).collect();
    combined(&terms).ok_or_else(|| {
        Error::usage(
            format!("nothing is left of `{name}` after what `--subtract` takes away"),
            "subtract something else, or give it a smaller weight, as in `--subtract 0.5:TEXT`",
        )
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_before_a_colon_is_a_weight() {
        let parsed = |typed| Weighted::parse(typed).map(|parsed| (parsed.weight, parsed.text));
        assert_eq!(parsed("a cat"), Ok((1.0, "a cat".into())));
        assert_eq!(parsed("0.5:a cat"), Ok((0.5, "a cat".into())));
        assert_eq!(parsed("note: a cat"), Ok((1.0, "note: a cat".into())));
        assert_eq!(parsed("1:3:00 on a clock"), Ok((1.0, "3:00 on a clock".into())));
        assert!(parsed("-1:a cat").is_err() && parsed("0:a cat").is_err() && parsed("inf:a cat").is_err());
        assert!(parsed("2:").is_err() && parsed(" ").is_err());
    }
}
