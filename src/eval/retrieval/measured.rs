//! Measures one model on the pairs: encodes the texts, and computes all requested measures.

use super::lengths::{AtLength, at_lengths};
use super::monotone::{Monotonicity, monotonicity};
use super::pairs::{PairOptions, Pairs};
use super::protocol::Protocol;
use super::ranks::{Ranks, rank};
use super::recall::{Recall, recalls};
use crate::error::Error;
use crate::eval::comparison::ModelFacts;
use crate::kernels::Threads;
use crate::model::{ImageEmbeddings, TextEmbeddings};
use crate::text::{ContextLength, Reading, Tokenizer};

/// The numbers of first results for which recall is reported.
pub const KS: [usize; 3] = [1, 5, 10];

/// What is measured on the pairs.
#[derive(Clone, Copy)]
pub struct Measuring<'a> {
    /// The images with their captions.
    pub pairs: &'a Pairs,
    /// How they were selected.
    pub options: &'a PairOptions,
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The lengths that captions are cut to for R@1.
    pub lengths: &'a [ContextLength],
    /// Whether to measure if more true sentences score higher.
    pub monotone: bool,
}

/// The measures of one model.
#[derive(Debug)]
pub struct Measured {
    /// The model.
    pub model: ModelFacts,
    /// The number of tokens it reads.
    pub context: ContextLength,
    /// What was measured.
    pub protocol: Protocol,
    /// Where each image's and caption's own counterpart ranks.
    pub ranks: Ranks,
    /// R@k for each k of [`KS`], in both directions.
    pub recalls: Vec<Recall>,
    /// R@1 by length.
    pub lengths: Vec<AtLength>,
    /// Whether more true sentences score higher.
    pub monotonicity: Option<Monotonicity>,
    /// How fast images were encoded; none if all embeddings were there already.
    pub images_per_s: Option<f64>,
}

impl Measuring<'_> {
    /// Measures a model, given one embedding per image and a function that encodes texts, given as token ids.
    ///
    /// # Errors
    /// Whatever `encode` returns; [`Error::Usage`] if the model's context length is not possible.
    pub fn measure<E: From<Error>>(
        self,
        model: ModelFacts,
        images: &ImageEmbeddings,
        mut encode: impl FnMut(&[Vec<u32>]) -> Result<TextEmbeddings, E>,
        threads: &Threads,
    ) -> Result<Measured, E> {
        let reading = Reading {
            tokenizer: self.tokenizer,
            context: ContextLength::new(model.context_length)?,
        };
        let belonging = self.pairs.belonging();
        let captions: Vec<&str> = self.pairs.captions().collect();
        let whole: Vec<Vec<u32>> = captions
            .iter()
            .map(|caption| reading.tokens(caption).ids().to_vec())
            .collect();
        let ranks = rank(images, &encode(&whole)?, &belonging, threads);
        let at_one = |texts: &TextEmbeddings| recalls(&rank(images, texts, &belonging, threads), &belonging, &[1]);
        let lengths = at_lengths(self.lengths, reading, &captions, &mut encode, at_one)?;
        let monotonicity = match self.monotone {
            true => Some(monotonicity(reading, &captions, images, &belonging, &mut encode)?),
            false => None,
        };
        Ok(Measured {
            model,
            context: reading.context,
            protocol: Protocol::new(self.pairs, self.options, reading),
            recalls: recalls(&ranks, &belonging, &KS),
            ranks,
            lengths,
            monotonicity,
            images_per_s: None,
        })
    }
}
