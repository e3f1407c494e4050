//! Embeddings, the output of the towers: vectors in the joint space of images and texts. Also the logit scale.

use std::num::NonZeroUsize;

/// Vectors in the joint space, row-major `(n, embed_dim)`, f32; either as the tower returned them or of unit length.
#[derive(Debug, Clone, PartialEq)]
pub struct Embeddings {
    values: Vec<f32>,
    embed_dim: NonZeroUsize,
}

impl Embeddings {
    /// Takes row-major values.
    ///
    /// # Panics
    /// If `embed_dim` is 0 or does not divide the number of values.
    pub fn new(values: Vec<f32>, embed_dim: usize) -> Self {
        let embed_dim = NonZeroUsize::new(embed_dim).expect("an embedding has at least one number");
        assert_eq!(
            values.len() % embed_dim,
            0,
            "{} values are not rows of {embed_dim}",
            values.len()
        );
        Embeddings { values, embed_dim }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.embed_dim
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The number of values per row.
    pub fn embed_dim(&self) -> usize {
        self.embed_dim.get()
    }

    /// Row `i`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.embed_dim.get()..(i + 1) * self.embed_dim.get()]
    }

    /// The rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.embed_dim.get())
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Appends the rows of `other`.
    ///
    /// # Panics
    /// If its rows have a different length.
    pub fn append(&mut self, other: &Embeddings) {
        assert_eq!(self.embed_dim, other.embed_dim, "both must have the same embed_dim");
        self.values.extend_from_slice(&other.values);
    }

    /// The same rows scaled to unit length. A row of zeros stays zero.
    pub fn normalized(&self) -> Self {
        let mut values = self.values.clone();
        values.chunks_exact_mut(self.embed_dim.get()).for_each(normalize);
        Embeddings { values, ..*self }
    }
}

/// Scales a vector to unit length; the norm is computed in f64. A vector of zeros stays zero.
pub fn normalize(row: &mut [f32]) {
    let norm = norm(row);
    if norm > 0.0 {
        row.iter_mut().for_each(|v| *v = (f64::from(*v) / norm) as f32);
    }
}

/// The length of a vector, in f64.
pub fn norm(row: &[f32]) -> f64 {
    row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt()
}

/// Embeddings of images. A type of its own, so that it cannot be swapped with [`TextEmbeddings`].
#[derive(Debug, Clone, PartialEq)]
pub struct ImageEmbeddings(pub Embeddings);

/// Embeddings of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct TextEmbeddings(pub Embeddings);

/// Embeddings of texts with their norms, so that a norm is computed once for any number of images.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredTexts {
    rows: TextEmbeddings,
    norms: Vec<f64>,
}

impl MeasuredTexts {
    /// Computes the norm of each row.
    pub fn new(rows: TextEmbeddings) -> Self {
        let norms = rows.0.rows().map(norm).collect();
        MeasuredTexts { rows, norms }
    }

    /// The rows as given, not normalised.
    pub fn rows(&self) -> &TextEmbeddings {
        &self.rows
    }

    /// The norm of row `i`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn norm(&self, i: usize) -> f64 {
        self.norms[i]
    }
}

/// The learned temperature, stored as in checkpoints: the natural logarithm of [`LogitScale::multiplier`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogitScale {
    ln: f32,
}

impl LogitScale {
    /// Takes the checkpoint's `logit_scale`.
    pub fn from_ln(ln: f32) -> Self {
        LogitScale { ln }
    }

    /// The factor that turns cosines into logits: `exp(logit_scale)`, 100 in trained CLIP models.
    pub fn multiplier(self) -> f64 {
        f64::from(self.ln).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalizes_rows_to_unit_length_and_keeps_zeros() {
        let rows = Embeddings::new(vec![3.0, 4.0, 0.0, 0.0], 2).normalized();
        assert_eq!(rows.values(), [0.6, 0.8, 0.0, 0.0]);
    }

    #[test]
    fn the_multiplier_is_the_exponential_of_the_scale() {
        assert!((LogitScale::from_ln(4.6052).multiplier() - 100.0).abs() < 0.01);
    }
}
