//! What was measured, in words and as JSON. Results are comparable if these are equal.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::pairs::{PairOptions, Pairs};
use super::ranks::Belonging;
use crate::data::PerImage;
use crate::error::counted;
use crate::text::{ContextLength, Reading};

/// How equal similarities are ordered.
pub const TIES: &str = "of equal similarities the earlier one in the data comes first";

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Protocol {
    /// The kind of data.
    pub kind: &'static str,
    /// Which images: all, a split, or the first ones.
    pub selection: String,
    /// The number of images.
    pub n_images: usize,
    /// The number of captions.
    pub n_captions: usize,
    /// Which captions of an image.
    pub captions_per_image: PerImage,
    /// Which part of a caption.
    pub part: &'static str,
    /// The context length of the model.
    pub context: ContextLength,
    /// Captions that were cut to the context length.
    pub n_cut: usize,
    /// Captions with the same tokens as a caption of another image. Still, only an image's own captions are right.
    pub n_alike: usize,
    /// What could not be used.
    pub n_left_out: usize,
}

impl Protocol {
    /// The protocol for `pairs`, which were opened with `options`, and a model that reads texts so.
    pub fn new(pairs: &Pairs, options: &PairOptions, reading: Reading<'_>) -> Self {
        let belonging = pairs.belonging();
        let tokens: Vec<_> = pairs.captions().map(|caption| reading.tokens(caption)).collect();
        let ids: Vec<&[u32]> = tokens.iter().map(|tokens| tokens.ids()).collect();
        Protocol {
            kind: pairs.kind,
            selection: selection(options, pairs.images.len()),
            n_images: pairs.images.len(),
            n_captions: tokens.len(),
            captions_per_image: pairs.taken.per_image,
            part: pairs.taken.part.in_words(),
            context: reading.context,
            n_cut: tokens.iter().filter(|tokens| tokens.truncated()).count(),
            n_alike: n_alike(&ids, &belonging),
            n_left_out: pairs.unusable.len(),
        }
    }

    /// The protocol in one line.
    pub fn line(&self) -> String {
        let per_image = match self.captions_per_image {
            PerImage::All => "all of each image".to_owned(),
            PerImage::AtMost(n) => format!("at most {n} per image"),
        };
        let mut line = format!(
            "{}: {}, {} ({per_image}), {}, {} cut at {} tokens",
            self.kind,
            self.selection,
            counted(self.n_captions, "caption"),
            self.part,
            self.n_cut,
            self.context.get()
        );
        if self.n_alike > 0 {
            line += &format!(
                ", {} with the same tokens as another image's",
                counted(self.n_alike, "caption")
            );
        }
        if self.n_left_out > 0 {
            line += &format!(", {} left out", counted(self.n_left_out, "unusable thing"));
        }
        line
    }

    /// The protocol as a JSON object.
    pub fn to_json(&self) -> Value {
        json!({
            "kind": self.kind,
            "selection": self.selection,
            "n_images": self.n_images,
            "n_captions": self.n_captions,
            "captions_per_image": match self.captions_per_image {
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

fn selection(options: &PairOptions, n_images: usize) -> String {
    let images = counted(n_images, "image");
    match (&options.split, options.first) {
        (None, None) => format!("all {images}"),
        (Some(split), None) => format!("{images} of split `{split}`"),
        (None, Some(_)) => format!("the first {images}"),
        (Some(split), Some(_)) => format!("the first {images} of split `{split}`"),
    }
}

/// The number of captions with the same ids as a caption of another image.
fn n_alike(ids: &[&[u32]], belonging: &Belonging) -> usize {
    // The image that has each text; `None` if several have it.
    let mut owners: HashMap<&[u32], Option<usize>> = HashMap::new();
    for (caption_idx, ids) in ids.iter().enumerate() {
        let image_idx = belonging.picture(caption_idx);
        let owner = owners.entry(ids).or_insert(Some(image_idx));
        if *owner != Some(image_idx) {
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
    use crate::text::Tokenizer;

    fn reading(context: ContextLength) -> Reading<'static> {
        Reading {
            tokenizer: Tokenizer::clip(),
            context,
        }
    }

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
    fn equal_captions_are_counted_only_between_images() {
        let twice: &[&str] = &["A cat.", "a  CAT.", "A dog."];
        let protocol = |captions: &[&[&str]]| {
            Protocol::new(
                &pairs(captions),
                &PairOptions::default(),
                reading(ContextLength::new(4).unwrap()),
            )
        };
        assert_eq!(protocol(&[twice, &["A bird."]]).n_alike, 0);
        // Cut to four tokens, three of them are `a dog`.
        let found = protocol(&[twice, &["A dog runs."], &["a dog."]]);
        assert_eq!((found.n_alike, found.n_cut), (3, 5));
    }

    #[test]
    fn the_line_names_everything_that_a_result_depends_on() {
        let options = PairOptions {
            split: Some("test".into()),
            first: Some(2),
            ..PairOptions::default()
        };
        let pairs = pairs(&[&["A cat."], &["A dog."]]);
        let protocol = Protocol::new(&pairs, &options, reading(ContextLength::LONG));
        assert_eq!(
            protocol.line(),
            "COCO captions: the first 2 images of split `test`, 2 captions (at most 5 per image), whole captions, 0 cut at 248 tokens"
        );
    }
}
