//! What the towers give: vectors in the joint space of pictures and texts, and the temperature between them.

use std::num::NonZeroUsize;

/// Vectors in the joint space, row-major `(n, embed_dim)`, f32, as the tower returned them or made unit length.
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

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.embed_dim
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Numbers a row.
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
    /// If its rows are of another length.
    pub fn append(&mut self, other: &Embeddings) {
        assert_eq!(self.embed_dim, other.embed_dim, "rows of one length");
        self.values.extend_from_slice(&other.values);
    }

    /// The same rows made unit length; a row of zeros stays zero.
    pub fn normalized(&self) -> Self {
        let mut values = self.values.clone();
        values.chunks_exact_mut(self.embed_dim.get()).for_each(normalize);
        Embeddings { values, ..*self }
    }
}

/// Makes a vector unit length, the norm computed in f64; zeros stay zeros.
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

/// Embeddings of pictures; another type than [`TextEmbeddings`], so that they can't be swapped.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageEmbeddings(pub Embeddings);

/// Embeddings of texts.
#[derive(Debug, Clone, PartialEq)]
pub struct TextEmbeddings(pub Embeddings);

/// Embeddings of texts with their lengths, so that a text is measured once however many pictures it is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredTexts {
    rows: TextEmbeddings,
    norms: Vec<f64>,
}

impl MeasuredTexts {
    /// Measures each row.
    pub fn new(rows: TextEmbeddings) -> Self {
        let norms = rows.0.rows().map(norm).collect();
        MeasuredTexts { rows, norms }
    }

    /// The rows, as they were given.
    pub fn rows(&self) -> &TextEmbeddings {
        &self.rows
    }

    /// The length of row `i`.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn norm(&self, i: usize) -> f64 {
        self.norms[i]
    }
}

/// The temperature learned in training, as checkpoints hold it: its natural logarithm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogitScale {
    ln: f32,
}

impl LogitScale {
    /// From the checkpoint's `logit_scale`.
    pub fn from_ln(ln: f32) -> Self {
        LogitScale { ln }
    }

    /// What cosines are multiplied with to give logits: `exp(logit_scale)`, 100 in trained CLIPs.
    pub fn multiplier(self) -> f64 {
        f64::from(self.ln).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalized_rows_have_length_one_and_zeros_stay() {
        let rows = Embeddings::new(vec![3.0, 4.0, 0.0, 0.0], 2).normalized();
        assert_eq!(rows.values(), [0.6, 0.8, 0.0, 0.0]);
    }

    #[test]
    fn the_multiplier_of_a_trained_scale_is_a_hundred() {
        assert!((LogitScale::from_ln(4.6052).multiplier() - 100.0).abs() < 0.01);
    }
}
