//! Measures one model on the pairs: encodes the texts, and computes all requested measures.

use std::path::PathBuf;

use longclip::eval::retrieval::{
    AtLength, Monotonicity, PairOptions, Pairs, Protocol, Ranks, Recall, at_lengths, monotonicity, rank, recalls,
};
use longclip::kernels::Threads;
use longclip::model::{Embeddings, ImageEmbeddings, TextEmbeddings};
use longclip::text::{ContextLength, Tokenizer};

use crate::cli::eval::encode::Encoded;
use crate::cli::eval::texts::{Halt, Texts};
use crate::cli::model_flags::Loaded;
use crate::cli::report::Report;

/// The numbers of first results for which recall is reported.
pub(super) const KS: [usize; 3] = [1, 5, 10];

/// What one model is asked.
pub(super) struct Measuring<'a> {
    pub(super) loaded: &'a Loaded,
    pub(super) pairs: &'a Pairs,
    pub(super) lengths: &'a [ContextLength],
    pub(super) asks_monotone: bool,
    /// Where embeddings of texts are kept.
    pub(super) kept: Option<PathBuf>,
    pub(super) report: Report,
}

/// What one model answered.
pub(super) struct Measured {
    pub(super) model: String,
    pub(super) dtype: String,
    pub(super) context: ContextLength,
    pub(super) protocol: Protocol,
    pub(super) ranks: Ranks,
    pub(super) recalls: Vec<Recall>,
    pub(super) lengths: Vec<AtLength>,
    pub(super) monotonicity: Option<Monotonicity>,
    /// How fast pictures were encoded; none where all was there already.
    pub(super) images_per_s: Option<f64>,
}

impl Measuring<'_> {
    pub(super) fn measure(self, encoded: &Encoded, options: &PairOptions) -> Result<Measured, Halt> {
        let context = ContextLength::new(self.loaded.model.sizes().context_length)?;
        let belonging = self.pairs.belonging();
        let captions: Vec<&str> = self.pairs.captions().collect();
        let images = self.images(encoded);
        let threads = Threads::new(self.loaded.plan.n_threads());
        let mut texts = Texts::open(self.loaded, self.kept.as_deref(), self.report)?;
        let mut encode = |ids: &[Vec<u32>]| texts.encode(ids);
        let whole: Vec<Vec<u32>> = captions
            .iter()
            .map(|caption| Tokenizer::clip().encode(caption, context).ids().to_vec())
            .collect();
        let ranks = rank(&images, &encode(&whole)?, &belonging, &threads);
        let at_one = |texts: &TextEmbeddings| recalls(&rank(&images, texts, &belonging, &threads), &belonging, &[1]);
        let lengths = at_lengths(self.lengths, context, &captions, &mut encode, at_one)?;
        let monotonicity = match self.asks_monotone {
            true => Some(monotonicity(context, &captions, &images, &belonging, &mut encode)?),
            false => None,
        };
        Ok(Measured {
            model: self.loaded.name.clone(),
            dtype: self.loaded.dtype().to_owned(),
            context,
            protocol: Protocol::new(self.pairs, options, context),
            recalls: recalls(&ranks, &belonging, &KS),
            ranks,
            lengths,
            monotonicity,
            images_per_s: encoded.images_per_s,
        })
    }

    /// One row per image, in the data's order.
    fn images(&self, encoded: &Encoded) -> ImageEmbeddings {
        let rows = self.pairs.images.iter().map(|captioned| {
            let row = encoded.embeddings.get(captioned.image.name());
            row.expect("images without a row were left out")
        });
        let values = rows.flatten().copied().collect();
        ImageEmbeddings(Embeddings::new(values, encoded.embeddings.embed_dim()))
    }
}
