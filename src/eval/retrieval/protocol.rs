//! What was measured, in words and in numbers: two results can be compared where these are equal.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::pairs::{PairOptions, Pairs};
use super::ranks::Belonging;
use crate::data::PerImage;
use crate::error::counted;
use crate::text::{ContextLength, Tokenizer};

/// What is done where similarities are equal.
pub const TIES: &str = "of equal similarities the earlier one in the data comes first";

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Protocol {
    /// The kind of data.
    pub kind: &'static str,
    /// Which pictures: all, a split, the first ones.
    pub selection: String,
    /// How many pictures.
    pub n_pictures: usize,
    /// How many captions.
    pub n_captions: usize,
    /// Which captions of a picture.
    pub captions_per_picture: PerImage,
    /// What of a caption.
    pub part: &'static str,
    /// How many tokens the model reads.
    pub context: ContextLength,
    /// Captions that have more tokens: what is behind was not read.
    pub n_cut: usize,
    /// Captions that the model reads as it reads one of another picture. Only a picture's own counts as found.
    pub n_alike: usize,
    /// What could not be used.
    pub n_left_out: usize,
}

impl Protocol {
    /// Of `pairs`, which were opened with `options`, for a model that reads `context`.
    pub fn new(pairs: &Pairs, options: &PairOptions, context: ContextLength) -> Self {
        let belonging = pairs.belonging();
        let tokens: Vec<_> = pairs
            .captions()
            .map(|caption| Tokenizer::clip().encode(caption, context))
            .collect();
        let ids: Vec<&[u32]> = tokens.iter().map(|tokens| tokens.ids()).collect();
        Protocol {
            kind: pairs.kind,
            selection: selection(options, pairs.images.len()),
            n_pictures: pairs.images.len(),
            n_captions: tokens.len(),
            captions_per_picture: pairs.taken.per_image,
            part: pairs.taken.part.name(),
            context,
            n_cut: tokens.iter().filter(|tokens| tokens.truncated()).count(),
            n_alike: n_alike(&ids, &belonging),
            n_left_out: pairs.unusable.len(),
        }
    }

    /// In one line.
    pub fn line(&self) -> String {
        let per_picture = match self.captions_per_picture {
            PerImage::All => "all of each picture".to_owned(),
            PerImage::AtMost(n) => format!("at most {n} of a picture"),
        };
        let mut line = format!(
            "{}: {}, {} ({per_picture}), {}, {} cut at {} tokens",
            self.kind,
            self.selection,
            counted(self.n_captions, "caption"),
            self.part,
            self.n_cut,
            self.context.get()
        );
        if self.n_alike > 0 {
            line += &format!(", {} that read as another picture's", counted(self.n_alike, "caption"));
        }
        if self.n_left_out > 0 {
            line += &format!(", {} left out", counted(self.n_left_out, "unusable thing"));
        }
        line
    }

    /// By names.
    pub fn to_json(&self) -> Value {
        json!({
            "kind": self.kind,
            "selection": self.selection,
            "n_pictures": self.n_pictures,
            "n_captions": self.n_captions,
            "captions_per_picture": match self.captions_per_picture {
                PerImage::All => Value::Null,
                PerImage::AtMost(n) => json!(n),
            },
            "captions": self.part,
            "context_length": self.context.get(),
            "n_cut": self.n_cut,
            "n_alike": self.n_alike,
            "n_left_out": self.n_left_out,
            "ties": TIES,
        })
    }
}

fn selection(options: &PairOptions, n_pictures: usize) -> String {
    let pictures = counted(n_pictures, "picture");
    match (&options.split, options.first) {
        (None, None) => format!("all {pictures}"),
        (Some(split), None) => format!("{pictures} of split `{split}`"),
        (None, Some(_)) => format!("the first {pictures}"),
        (Some(split), Some(_)) => format!("the first {pictures} of split `{split}`"),
    }
}

/// Captions whose ids are those of a caption of another picture.
fn n_alike(ids: &[&[u32]], belonging: &Belonging) -> usize {
    // For each text the picture that has it, or none where several have.
    let mut owners: HashMap<&[u32], Option<usize>> = HashMap::new();
    for (caption_idx, ids) in ids.iter().enumerate() {
        let picture_idx = belonging.picture(caption_idx);
        let owner = owners.entry(ids).or_insert(Some(picture_idx));
        if *owner != Some(picture_idx) {
            *owner = None;
        }
    }
    ids.iter().filter(|ids| owners[**ids].is_none()).count()
}

#[cfg(test)]
mod tests {
    use super::super::pairs::CaptionedImage;
    use super::*;
    use crate::data::{CaptionPart, CaptionProtocol, Image};

    fn pairs(captions: &[&[&str]]) -> Pairs {
        let image = |captions: &&[&str]| CaptionedImage {
            image: Image::file("a.jpg".into()),
            captions: captions.iter().map(|caption| (*caption).to_owned()).collect(),
        };
        Pairs {
            kind: "COCO captions",
            images: captions.iter().map(image).collect(),
            taken: CaptionProtocol {
                part: CaptionPart::Whole,
                per_image: PerImage::AtMost(5),
            },
            unusable: Vec::new(),
        }
    }

    #[test]
    fn what_reads_the_same_counts_only_between_pictures() {
        let twice: &[&str] = &["A cat.", "a  CAT.", "A dog."];
        let protocol = |captions: &[&[&str]]| {
            Protocol::new(
                &pairs(captions),
                &PairOptions::default(),
                ContextLength::new(4).unwrap(),
            )
        };
        assert_eq!(protocol(&[twice, &["A bird."]]).n_alike, 0);
        // Cut at four tokens, all of them are `a dog`.
        let found = protocol(&[twice, &["A dog runs."], &["a dog."]]);
        assert_eq!((found.n_alike, found.n_cut), (3, 5));
    }

    #[test]
    fn a_protocol_names_all_that_a_result_depends_on() {
        let options = PairOptions {
            split: Some("test".into()),
            first: Some(2),
            ..PairOptions::default()
        };
        let protocol = Protocol::new(&pairs(&[&["A cat."], &["A dog."]]), &options, ContextLength::LONG);
        assert_eq!(
            protocol.line(),
            "COCO captions: the first 2 pictures of split `test`, 2 captions (at most 5 of a picture), whole captions, 0 cut at 248 tokens"
        );
    }
}
