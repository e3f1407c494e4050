//! At which place pictures and captions find each other, among all of a set.
//!
//! Similarities are cosines in f32, computed a block of rows at a time by the model's own product, in which equal
//! embeddings have equal similarities to the bit wherever they stand. Where similarities are equal, what stands earlier in the
//! data comes first: PyTorch's `topk` and `argsort`, which the published scripts use, promise no order at all.

use crate::kernels::{Activation, Activations, Linear, Precision, Threads, Weights};
use crate::model::{ImageEmbeddings, TextEmbeddings};

/// Similarities held at once: 64 MiB.
const SIMILARITIES_AT_ONCE: usize = 16 << 20;

/// Which captions belong to which pictures: those of a picture stand one behind the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belonging {
    /// Where each picture's captions begin, and at last how many there are.
    begins: Vec<usize>,
}

impl Belonging {
    /// Of pictures with so many captions each, at least one.
    ///
    /// # Panics
    /// If a picture has none.
    pub fn new(n_captions: impl IntoIterator<Item = usize>) -> Self {
        let mut begins = vec![0];
        for n in n_captions {
            assert!(n > 0, "picture {} has no caption", begins.len() - 1);
            begins.push(begins.last().unwrap_or(&0) + n);
        }
        Belonging { begins }
    }

    /// How many pictures there are.
    pub fn n_pictures(&self) -> usize {
        self.begins.len() - 1
    }

    /// How many captions there are.
    pub fn n_captions(&self) -> usize {
        self.begins.last().copied().unwrap_or(0)
    }

    /// The captions of a picture.
    ///
    /// # Panics
    /// If there is no such picture.
    pub fn captions(&self, picture_idx: usize) -> std::ops::Range<usize> {
        self.begins[picture_idx]..self.begins[picture_idx + 1]
    }

    /// The picture of a caption.
    pub fn picture(&self, caption_idx: usize) -> usize {
        self.begins.partition_point(|begin| *begin <= caption_idx) - 1
    }
}

/// What one query found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// How many others come before the first right one: 0 where a right one is first.
    pub rank: usize,
    /// What comes first.
    pub first: usize,
    /// Its similarity.
    pub first_similarity: f32,
    /// The similarity of the right one that comes first.
    pub own_similarity: f32,
}

/// What all queries found, both ways.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranks {
    /// A place for each caption, among pictures.
    pub text_to_image: Vec<Place>,
    /// A place for each picture, among captions.
    pub image_to_text: Vec<Place>,
}

impl Ranks {
    /// The pictures whose captions come latest, at most `n`, the worst first; those whose caption comes first are not among
    /// them.
    pub fn worst_pictures(&self, n: usize) -> Vec<usize> {
        let places = &self.image_to_text;
        let mut worst: Vec<usize> = (0..places.len()).filter(|i| places[*i].rank > 0).collect();
        worst.sort_by_key(|i| std::cmp::Reverse(places[*i].rank));
        worst.truncate(n);
        worst
    }
}

/// Lets each caption look for its picture and each picture for any of its captions.
///
/// # Panics
/// If there is not a row for each picture and each caption.
pub fn rank(images: &ImageEmbeddings, texts: &TextEmbeddings, belonging: &Belonging, threads: &Threads) -> Ranks {
    let (images, texts) = (images.0.normalized(), texts.0.normalized());
    assert_eq!(images.len(), belonging.n_pictures(), "a row for each picture");
    assert_eq!(texts.len(), belonging.n_captions(), "a row for each caption");
    let dim = images.embed_dim();
    let text_to_image = places(texts.values(), images.values(), dim, threads, |caption_idx| {
        let picture = belonging.picture(caption_idx);
        picture..picture + 1
    });
    let image_to_text = places(images.values(), texts.values(), dim, threads, |picture_idx| {
        belonging.captions(picture_idx)
    });
    Ranks {
        text_to_image,
        image_to_text,
    }
}

/// The place of each query among `candidates`; `right` tells which of these are right. Both are row-major of unit rows.
fn places(
    queries: &[f32],
    candidates: &[f32],
    dim: usize,
    threads: &Threads,
    right: impl Fn(usize) -> std::ops::Range<usize>,
) -> Vec<Place> {
    let n_candidates = candidates.len() / dim;
    let packed = Linear::pack(
        Weights::F32(candidates),
        None,
        (n_candidates, dim),
        Precision::F32,
        threads,
    );
    let rows_at_once = (SIMILARITIES_AT_ONCE / n_candidates.max(1)).clamp(1, 1024);
    let mut activations = Activations::new(Precision::F32);
    let mut similarities = Vec::new();
    let mut found = Vec::with_capacity(queries.len() / dim);
    for block in queries.chunks(rows_at_once * dim) {
        activations.fill(block, dim, threads);
        similarities.resize(block.len() / dim * n_candidates, 0.0);
        packed.run(&activations, Activation::Identity, &mut similarities, threads);
        for row in similarities.chunks_exact(n_candidates) {
            found.push(place(row, right(found.len())));
        }
    }
    found
}

/// The place of the first right one in a row of similarities. One that is no number comes behind all that are.
fn place(similarities: &[f32], right: std::ops::Range<usize>) -> Place {
    let key = |i: usize| {
        if similarities[i].is_nan() {
            f32::NEG_INFINITY
        } else {
            similarities[i]
        }
    };
    let best = |mut range: std::ops::Range<usize>| {
        let start = range.next().unwrap_or(0);
        range.fold(start, |best, i| if key(i) > key(best) { i } else { best })
    };
    let own = best(right);
    let own_key = key(own);
    let before = |i: &usize| key(*i) > own_key || (key(*i) == own_key && *i < own);
    let first = best(0..similarities.len());
    Place {
        rank: (0..similarities.len()).filter(before).count(),
        first,
        first_similarity: similarities[first],
        own_similarity: similarities[own],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Embeddings;
    use crate::random::Random;

    fn ranks(images: &[f32], texts: &[f32], dim: usize, n_captions: &[usize]) -> Ranks {
        rank(
            &ImageEmbeddings(Embeddings::new(images.to_vec(), dim)),
            &TextEmbeddings(Embeddings::new(texts.to_vec(), dim)),
            &Belonging::new(n_captions.iter().copied()),
            &Threads::new(2),
        )
    }

    fn only(places: &[Place]) -> Vec<usize> {
        places.iter().map(|place| place.rank).collect()
    }

    #[test]
    fn a_picture_is_content_with_any_of_its_captions() {
        // Picture 0 looks to the right, picture 1 up. Of picture 0's captions one is right and one is far off.
        let found = ranks(&[1.0, 0.0, 0.0, 2.0], &[-1.0, 0.1, 3.0, 0.1, 0.1, 1.0], 2, &[2, 1]);
        assert_eq!(only(&found.image_to_text), [0, 0]);
        assert_eq!(only(&found.text_to_image), [1, 0, 0]);
        assert_eq!(found.image_to_text[0].first, 1);
    }

    #[test]
    fn of_equals_the_earlier_one_comes_first() {
        // All captions read the same: each picture's own stands where it stands in the data.
        let found = ranks(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0], &[1.0; 6], 2, &[1, 1, 1]);
        assert_eq!(only(&found.image_to_text), [0, 1, 2]);
        assert_eq!(only(&found.text_to_image), [0, 1, 2]);
        // A picture's own equal captions don't stand in each other's way.
        let found = ranks(&[1.0, 0.0, 1.0, 0.0], &[1.0; 8], 2, &[2, 2]);
        assert_eq!(only(&found.image_to_text), [0, 2]);
    }

    #[test]
    fn what_is_no_number_is_never_found_before_what_is_one() {
        let found = ranks(
            &[f32::NAN, 1.0, 1.0, 0.0, 0.0, 1.0],
            &[1.0, 0.0, 1.0, 0.0, 0.0, 1.0],
            2,
            &[1, 1, 1],
        );
        assert_eq!(only(&found.text_to_image), [2, 0, 0]);
    }

    #[test]
    fn equal_rows_are_equal_wherever_they_stand_and_all_agrees_with_plain_sums() {
        let dim = 37;
        let mut random = Random::new(1, 0);
        let mut noise = |n: usize| -> Vec<f32> { (0..n).map(|_| random.signed_unit()).collect() };
        let counts: Vec<usize> = (0..83).map(|i| 1 + i % 3).collect();
        let n_captions: usize = counts.iter().sum();
        let images = noise(83 * dim);
        let mut texts = noise(n_captions * dim);
        // Copies of one caption, far from each other.
        let copy = texts[5 * dim..6 * dim].to_vec();
        for i in [40, 77, n_captions - 1] {
            texts[i * dim..][..dim].copy_from_slice(&copy);
        }
        let found = ranks(&images, &texts, dim, &counts);

        let images = Embeddings::new(images, dim).normalized();
        let texts = Embeddings::new(texts, dim).normalized();
        let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let belonging = Belonging::new(counts);
        for (i, image) in images.rows().enumerate() {
            let mut order: Vec<usize> = (0..n_captions).collect();
            // Stable, so that of equals the earlier one comes first.
            order.sort_by(|a, b| cosine(image, texts.row(*b)).total_cmp(&cosine(image, texts.row(*a))));
            let own = belonging.captions(i);
            let rank = order.iter().position(|caption| own.contains(caption)).unwrap();
            assert_eq!(found.image_to_text[i].rank, rank, "picture {i}");
            assert_eq!(found.image_to_text[i].first, order[0]);
        }
        for (t, text) in texts.rows().enumerate() {
            let own = belonging.picture(t);
            let before = images.rows().enumerate().filter(|(i, image)| {
                let (other, mine) = (cosine(image, text), cosine(images.row(own), text));
                other > mine || (other == mine && *i < own)
            });
            assert_eq!(found.text_to_image[t].rank, before.count(), "caption {t}");
        }
    }
}
