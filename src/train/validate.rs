//! What a validation measures: how often an image's own caption is the nearest of all captions in the set, and the other
//! way round (R@1), for long and for short captions, and how often an image's class is right.
//!
//! These are the measures of Long-CLIP's tables (arXiv 2403.15378, tables 1 and 2). Captions with the same tokens can't be
//! distinguished, so any of them counts. Images are loaded again for each validation; only embeddings are kept in memory.

use std::collections::HashMap;
use std::fmt;

use candle_core::{D, DType, Device, Tensor};
use serde_json::{Value, json};

use super::loader::{Loaded, Loader, Preparation};
use super::order::{Draw, Position};
use super::pass::Example;
use super::towers::Towers;
use crate::error::{Error, Result};
use crate::labels::Template;
use crate::preprocess::Pixels;
use crate::text::Tokenizer;

/// Rows of similarities per matrix product, to limit memory.
const BLOCK_ROWS: usize = 512;

/// R@1 in both directions, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecallAt1 {
    /// The share of images whose caption is the nearest.
    pub image_to_text: f64,
    /// The share of captions whose image is the nearest.
    pub text_to_image: f64,
}

/// The result of a validation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Validation {
    /// Images that were used.
    pub n_images: usize,
    /// With long captions.
    pub long: RecallAt1,
    /// With short captions.
    pub short: RecallAt1,
    /// Zero-shot accuracy over the classes in the data, 0 to 1; `None` for fewer than two classes.
    pub top1: Option<f64>,
}

/// As it follows "validated on".
impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |value: f64| format!("{:.1}", 100.0 * value);
        write!(
            f,
            "{} images, R@1 image to text and text to image: long {} and {}%, short {} and {}%",
            self.n_images,
            percent(self.long.image_to_text),
            percent(self.long.text_to_image),
            percent(self.short.image_to_text),
            percent(self.short.text_to_image),
        )?;
        match self.top1 {
            Some(top1) => write!(f, "; zero-shot top-1 {}%", percent(top1)),
            None => Ok(()),
        }
    }
}

impl Validation {
    /// The number that the best weights are chosen by: the mean of all measures.
    pub fn score(&self) -> f64 {
        let measures = self.measures();
        measures.iter().map(|(_, value)| value).sum::<f64>() / measures.len() as f64
    }

    fn measures(&self) -> Vec<(&'static str, f64)> {
        let mut measures = vec![
            ("val_long_i2t_r1", self.long.image_to_text),
            ("val_long_t2i_r1", self.long.text_to_image),
            ("val_short_i2t_r1", self.short.image_to_text),
            ("val_short_t2i_r1", self.short.text_to_image),
        ];
        measures.extend(self.top1.map(|top1| ("val_top1", top1)));
        measures
    }

    /// The fields in `metrics.ndjson`.
    pub(super) fn fields(&self) -> Vec<(&'static str, Value)> {
        let measures = self.measures().into_iter().map(|(name, value)| (name, json!(value)));
        let rest = [("val_score", json!(self.score())), ("val_images", json!(self.n_images))];
        measures.chain(rest).collect()
    }
}

/// How a validation is done.
pub(super) struct Validator<'a> {
    pub(super) preparation: Preparation,
    /// Templates for the names of classes, at least one.
    pub(super) templates: &'a [Template],
    /// Images per pass.
    pub(super) batch: usize,
    pub(super) n_threads: usize,
}

/// The embeddings of a set, in parts, with the captions and class of each row.
#[derive(Default)]
struct Embedded {
    image: Vec<Tensor>,
    long: Vec<Tensor>,
    short: Vec<Tensor>,
    /// Token ids of the captions.
    long_ids: Vec<Vec<u32>>,
    short_ids: Vec<Vec<u32>>,
    classes: Vec<Option<String>>,
}

impl Embedded {
    fn add(&mut self, towers: &Towers, part: Vec<Loaded>) -> Result<()> {
        let images: Vec<&Pixels> = part.iter().map(|loaded| &loaded.example.pixels).collect();
        self.image.push(towers.embed_images(&images)?.detach());
        let texts = |ids: fn(&Example) -> &[u32]| towers.embed_texts(part.iter().map(|loaded| ids(&loaded.example)));
        self.long.push(texts(|example| &example.long)?.detach());
        self.short.push(texts(|example| &example.short)?.detach());
        for loaded in part {
            self.long_ids.push(loaded.example.long);
            self.short_ids.push(loaded.example.short);
            self.classes.push(loaded.class);
        }
        Ok(())
    }
}

impl Validator<'_> {
    /// Validates the towers. `skip` is called for each sample that can't be used.
    pub(super) fn run(&self, towers: &Towers, skip: &mut dyn FnMut(Draw, Error) -> Result<()>) -> Result<Validation> {
        let embedded = self.embed(towers, skip)?;
        let joined = |parts: &[Tensor]| unit_rows(&Tensor::cat(parts, 0)?);
        let measured = || -> candle_core::Result<(Tensor, RecallAt1, RecallAt1)> {
            let image = joined(&embedded.image)?;
            let long = recall(&image, &joined(&embedded.long)?, &embedded.long_ids)?;
            let short = recall(&image, &joined(&embedded.short)?, &embedded.short_ids)?;
            Ok((image, long, short))
        };
        let (image, long, short) = measured().map_err(Error::compute("a validation's similarities"))?;
        Ok(Validation {
            n_images: embedded.long_ids.len(),
            long,
            short,
            top1: self.top1(towers, &image, &embedded.classes)?,
        })
    }

    fn embed(&self, towers: &Towers, skip: &mut dyn FnMut(Draw, Error) -> Result<()>) -> Result<Embedded> {
        let draws = (0..self.preparation.data.len()).map(|sample_idx| Draw {
            position: Position {
                epoch: 0,
                drawn: sample_idx as u64,
            },
            sample_idx,
            number: 0,
        });
        let loader = Loader::start(self.preparation.clone(), draws, self.n_threads, self.batch)?;
        let mut embedded = Embedded::default();
        let mut part = Vec::new();
        for (draw, loaded) in loader {
            match loaded {
                Ok(loaded) => part.push(loaded),
                Err(error) => skip(draw, error)?,
            }
            if part.len() == self.batch {
                embedded.add(towers, std::mem::take(&mut part))?;
            }
        }
        if !part.is_empty() {
            embedded.add(towers, part)?;
        }
        if embedded.long_ids.is_empty() {
            return Err(Error::usage(
                "no sample of the validation data can be used",
                "`skipped.ndjson` in the run folder lists the reasons",
            ));
        }
        Ok(embedded)
    }

    /// The share of images with a class for which that class is the nearest.
    fn top1(&self, towers: &Towers, image: &Tensor, classes: &[Option<String>]) -> Result<Option<f64>> {
        let mut names: Vec<&String> = classes.iter().flatten().collect();
        names.sort();
        names.dedup();
        if names.len() < 2 {
            return Ok(None);
        }
        let labels = self.class_embeddings(towers, &names)?;
        let nearest = nearest(image, &labels).map_err(Error::compute("a validation's classes"))?;
        let hits: Vec<bool> = classes
            .iter()
            .zip(nearest)
            .filter_map(|(class, nearest)| Some(class.as_ref()? == names[nearest as usize]))
            .collect();
        let n_right = hits.iter().filter(|right| **right).count();
        Ok(Some(n_right as f64 / hits.len() as f64))
    }

    /// `(n_classes, embed_dim)` with unit rows: the mean direction of each class's prompts.
    fn class_embeddings(&self, towers: &Towers, names: &[&String]) -> Result<Tensor> {
        let mut rows = Vec::new();
        for part in names.chunks(self.batch) {
            let mut sum: Option<Tensor> = None;
            for template in self.templates {
                let encode = |name: &&String| Tokenizer::clip().encode(&template.fill(name), self.preparation.context);
                let tokens: Vec<_> = part.iter().map(encode).collect();
                let embeddings = towers.embed_texts(tokens.iter().map(|tokens| tokens.ids()))?;
                let added = unit_rows(&embeddings.detach()).and_then(|unit| match &sum {
                    Some(sum) => sum + unit,
                    None => Ok(unit),
                });
                sum = Some(added.map_err(Error::compute("a class's prompts"))?);
            }
            rows.extend(sum);
        }
        let joined = Tensor::cat(&rows, 0).and_then(|rows| unit_rows(&rows));
        joined.map_err(Error::compute("a validation's classes"))
    }
}

/// The rows normalised, in f32 on the CPU.
fn unit_rows(x: &Tensor) -> candle_core::Result<Tensor> {
    let x = x.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    // A row of zeros stays zero.
    let lengths = x.sqr()?.sum_keepdim(1)?.sqrt()?.clamp(f32::MIN_POSITIVE, f32::MAX)?;
    x.broadcast_div(&lengths)
}

fn recall(image: &Tensor, text: &Tensor, ids: &[Vec<u32>]) -> candle_core::Result<RecallAt1> {
    // Captions with the same tokens get the same number.
    let mut numbers: HashMap<&[u32], usize> = HashMap::new();
    let mut number_of = Vec::with_capacity(ids.len());
    for ids in ids {
        let next = numbers.len();
        number_of.push(*numbers.entry(ids).or_insert(next));
    }
    let share = |nearest: Vec<u32>| {
        let is_right = |(i, found): &(usize, &u32)| number_of[*i] == number_of[**found as usize];
        nearest.iter().enumerate().filter(is_right).count() as f64 / nearest.len() as f64
    };
    Ok(RecallAt1 {
        image_to_text: share(nearest(image, text)?),
        text_to_image: share(nearest(text, image)?),
    })
}

/// For each row of `a`, the index of the row of `b` with the largest product.
fn nearest(a: &Tensor, b: &Tensor) -> candle_core::Result<Vec<u32>> {
    let b = b.t()?;
    let mut found = Vec::new();
    for first in (0..a.dim(0)?).step_by(BLOCK_ROWS) {
        let rows = a.narrow(0, first, BLOCK_ROWS.min(a.dim(0)? - first))?;
        found.extend(rows.matmul(&b)?.argmax(D::Minus1)?.to_vec1::<u32>()?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f32], n: usize) -> Tensor {
        Tensor::from_slice(values, (n, values.len() / n), &Device::Cpu).unwrap()
    }

    #[test]
    fn recall_is_counted_both_ways_and_equal_captions_are_one() {
        let image = rows(&[1.0, 0.0, 0.0, 1.0, 0.8, 0.6], 3);
        let text = rows(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0], 3);
        let distinct = [vec![1], vec![2], vec![3]];
        // Image 2 is nearest to text 0; texts 0 and 2 are both nearest to image 0.
        let found = recall(&image, &text, &distinct).unwrap();
        assert_eq!((found.image_to_text * 3.0, found.text_to_image * 3.0), (2.0, 2.0));
        let same = [vec![1], vec![2], vec![1]];
        let found = recall(&image, &text, &same).unwrap();
        assert_eq!((found.image_to_text, found.text_to_image), (1.0, 1.0));
    }

    #[test]
    fn a_score_is_the_mean_of_all_measures() {
        let recall = |value| RecallAt1 {
            image_to_text: value,
            text_to_image: value,
        };
        let validation = Validation {
            n_images: 10,
            long: recall(0.5),
            short: recall(0.25),
            top1: None,
        };
        assert_eq!(validation.score(), 0.375);
        let with_classes = Validation {
            top1: Some(1.0),
            ..validation
        };
        assert_eq!(with_classes.score(), 0.5);
    }
}
