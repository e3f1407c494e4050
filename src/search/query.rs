//! What is searched for: texts and images, what is added to them or subtracted from them, and what is excluded.

use std::fmt;

use super::{Excluded, ExclusionRule, Question, combined};
use crate::error::{Error, Result};
use crate::input::Item;
use crate::model::LongClip;
use crate::preprocess::Preprocess;

/// Texts and images to search for, each by itself.
pub struct Query {
    /// The texts.
    pub texts: Vec<String>,
    /// The images.
    pub images: Vec<Item>,
    /// What is added to each text and image.
    pub terms: Vec<Term>,
    /// Images that are nearer to one of these texts are not found.
    pub exclude: Vec<String>,
}

/// A text whose embedding is added to another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// Negative if it is subtracted.
    pub weight: f32,
    /// The text.
    pub text: String,
}

impl Term {
    /// A text, perhaps with a weight in front: `0.5:water`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(typed: &str) -> Result<Term, String> {
        let weighted = typed.split_once(':').and_then(|(weight, text)| {
            let weight = weight.parse().ok()?;
            Some((weight, text))
        });
        let (weight, text): (f32, &str) = weighted.unwrap_or((1.0, typed));
        if !(weight > 0.0 && weight.is_finite()) {
            return Err("expected a weight above 0; what is subtracted has one too".into());
        }
        if text.trim().is_empty() {
            return Err("expected a text".into());
        }
        Ok(Term {
            weight,
            text: text.to_owned(),
        })
    }
}

/// As it follows what it is added to: ` + a cat`, ` - 0.5:water`.
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.weight > 0.0 { '+' } else { '-' };
        match self.weight.abs() {
            1.0 => write!(f, " {sign} {}", self.text),
            weight => write!(f, " {sign} {weight}:{}", self.text),
        }
    }
}

/// A question to an index, with its name.
pub struct Asked {
    /// The text or the image, with what is added to it.
    pub name: String,
    /// What to search for.
    pub question: Question,
}

impl Query {
    /// All texts in it, those that are excluded first.
    pub fn all_texts(&self) -> impl Iterator<Item = &str> {
        let terms = self.terms.iter().map(|term| &term.text);
        let all = self.exclude.iter().chain(terms).chain(&self.texts);
        all.map(String::as_str)
    }

    /// Encodes it: a question for each text, then for each image.
    ///
    /// # Errors
    /// Why an image can't be used; [`Error::Usage`] if nothing is left of one after what is subtracted; as
    /// [`LongClip::encode_texts`].
    pub fn encode(self, model: &LongClip, preprocess: &Preprocess) -> Result<Vec<Asked>> {
        let all: Vec<&str> = self.all_texts().collect();
        let embeddings = match all.is_empty() {
            true => Vec::new(),
            false => model.encode_texts(&all)?.0.rows().map(<[f32]>::to_vec).collect(),
        };
        let (excluded, rest) = embeddings.split_at(self.exclude.len());
        let (of_terms, of_texts) = rest.split_at(self.terms.len());
        let asked = |name: &str, wanted: &[f32], rule| -> Result<Asked> {
            let excluded = excluded.iter().map(|row| Excluded {
                embedding: row.clone(),
                rule,
            });
            let terms = self.terms.iter().map(ToString::to_string);
            Ok(Asked {
                name: name.to_owned() + &terms.collect::<String>(),
                question: Question {
                    wanted: changed(name, wanted, &self.terms, of_terms)?,
                    excluded: excluded.collect(),
                },
            })
        };
        let texts = self.texts.iter().zip(of_texts);
        let texts = texts.map(|(text, row)| asked(text, row, ExclusionRule::NearerThanToWanted));
        let mut all = texts.collect::<Result<Vec<Asked>>>()?;
        for mut image in self.images {
            let name = image.name.to_string();
            let pixels = preprocess.run(&name, &image.content.take(&name)?)?;
            let embedding = model.encode_image(&pixels)?;
            all.push(asked(&name, embedding.0.row(0), ExclusionRule::NearerThanWantedIs)?);
        }
        Ok(all)
    }
}

/// The embedding of what is searched for after all terms are added.
fn changed(name: &str, wanted: &[f32], terms: &[Term], of_terms: &[Vec<f32>]) -> Result<Vec<f32>> {
    if terms.is_empty() {
        return Ok(wanted.to_vec());
    }
    let weighted = terms.iter().zip(of_terms);
    let weighted = weighted.map(|(term, embedding)| (term.weight, embedding.as_slice()));
    let all: Vec<(f32, &[f32])> = std::iter::once((1.0, wanted)).chain(weighted).collect();
    combined(&all).ok_or_else(|| {
        Error::usage(
            format!("nothing is left of `{name}` after what is subtracted from it"),
            "subtract something else, or give it a smaller weight, such as 0.5",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_shows_its_sign_and_a_weight_other_than_one() {
        let shown = |weight, text: &str| {
            let text = text.to_owned();
            Term { weight, text }.to_string()
        };
        assert_eq!(shown(1.0, "a cat"), " + a cat");
        assert_eq!(shown(-0.5, "water"), " - 0.5:water");
    }

    #[test]
    fn a_number_before_a_colon_is_a_weight() {
        let parsed = |typed| Term::parse(typed).map(|parsed| (parsed.weight, parsed.text));
        assert_eq!(parsed("a cat"), Ok((1.0, "a cat".into())));
        assert_eq!(parsed("0.5:a cat"), Ok((0.5, "a cat".into())));
        assert_eq!(parsed("note: a cat"), Ok((1.0, "note: a cat".into())));
        assert_eq!(parsed("1:3:00 on a clock"), Ok((1.0, "3:00 on a clock".into())));
        assert!(parsed("-1:a cat").is_err() && parsed("0:a cat").is_err() && parsed("inf:a cat").is_err());
        assert!(parsed("2:").is_err() && parsed(" ").is_err());
    }
}
