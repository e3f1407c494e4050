//! Finds images of an index that show the same: exact copies, and near ones such as resized, recompressed or slightly
//! edited ones.
//!
//! Each image is compared with all others by the cosine of their embeddings. Of those that have a near one, the best comes
//! first and takes all that are near to it: each image in a group is near to the one that is kept, never only to another
//! copy.

use std::cmp::Reverse;
use std::path::Path;

use half::f16;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::index::Index;
use super::nearest::Hit;
use super::page::VALUE_BYTES;
use super::rows::{FileState, Picture};
use crate::error::{Result, counted, size_in_words};
use crate::input::Content;
use crate::kernels::{StoredRows, Threads};
use crate::named::named;
use crate::preprocess;
use crate::weights::hex;

/// Rows that are compared with all others at once.
const ROWS_AT_ONCE: usize = 32;

/// Rounded to f16, an embedding may have a cosine with itself that is this much less than 1.
const ROUNDING: f32 = 5e-4;

/// What an image is in a group of images that show the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// The best of them: the most pixels; of these, the most bytes; of these, the earliest file.
    Kept,
    /// A file with the bytes of the kept one.
    Exact,
    /// Another file that shows the same.
    Near,
}

named!(Likeness, "likeness of copies": Kept = "kept", Exact = "exact", Near = "near");

/// An image of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Copied {
    /// Its row in the index.
    pub row: usize,
    /// What the index stores of it.
    pub picture: Picture,
    /// Its width and height as stored, in pixels; `None` if it is not a file.
    pub size_px: Option<(usize, usize)>,
    /// Its cosine similarity with the kept image, -1 to 1.
    pub cosine: f32,
    /// What it is in its group.
    pub likeness: Likeness,
}

/// How duplicates are looked for.
pub struct Duplicates<'a> {
    /// The smallest cosine of images that show the same.
    pub threshold: f32,
    /// The threads that compare.
    pub threads: &'a Threads,
}

impl Duplicates<'_> {
    /// The groups of images that show the same, in the order of the index, each with the kept image first, then the others
    /// by their cosine. Files that are gone or were changed since the index was made are not in any. `go_on` is
    /// called with the number of images that were compared with all others; `None` if it returned false.
    ///
    /// # Errors
    /// [`Error::Usage`](crate::Error::Usage) if the index is damaged.
    pub fn find(&self, index: &Index, go_on: &mut dyn FnMut(usize) -> bool) -> Result<Option<Vec<Vec<Copied>>>> {
        let Some(rows) = self.rows_with_near_ones(index, go_on) else {
            return Ok(None);
        };
        let folder = &index.origin().folder;
        let pictures = index.pictures_of(&rows)?;
        let candidates = rows.into_par_iter().zip(pictures);
        let candidates = candidates.filter_map(|(row, picture)| Candidate::new(row, picture, folder));
        let mut candidates: Vec<Candidate> = candidates.collect();
        candidates.sort_by_key(Candidate::rank);
        let mut groups = self.groups(index, &candidates);
        groups.sort_by_key(|group| candidates[group.kept].row);
        let groups = groups.iter().map(|group| group.copied(&candidates));
        Ok(Some(groups.collect()))
    }

    /// The rows that are near to another row.
    fn rows_with_near_ones(&self, index: &Index, go_on: &mut dyn FnMut(usize) -> bool) -> Option<Vec<usize>> {
        let dim = index.origin().embed_dim;
        let embeddings: Vec<&[u8]> = index.parts().collect();
        let mut is_near = vec![false; index.len()];
        for first in (0..index.len()).step_by(ROWS_AT_ONCE) {
            if !go_on(first) {
                return None;
            }
            let after = first..index.len().min(first + ROWS_AT_ONCE);
            let queries: Vec<f32> = after.flat_map(|row| numbers(index.stored_embedding(row))).collect();
            for (query, hit) in self.near(from_row(&embeddings, first, dim), &queries, dim) {
                if hit.row > query {
                    is_near[first + query] = true;
                    is_near[first + hit.row] = true;
                }
            }
        }
        Some((0..index.len()).filter(|row| is_near[*row]).collect())
    }

    /// The rows that are near to each of `queries (n, dim)`, each with the query's number.
    fn near(&self, rows: Vec<&[u8]>, queries: &[f32], dim: usize) -> Vec<(usize, Hit)> {
        let least = self.threshold.min(1.0 - ROUNDING);
        let take = |hits: &mut Vec<(usize, Hit)>, first: usize, products: &[f32]| {
            for (row, products) in (first..).zip(products.chunks_exact(queries.len() / dim)) {
                let products = products.iter().enumerate();
                let near = products.filter(|(_, cosine)| **cosine >= least);
                hits.extend(near.map(|(query, &cosine)| (query, Hit { row, cosine })));
            }
        };
        let hits = StoredRows::new(rows, dim).fold(queries, self.threads, Vec::new, take);
        hits.concat()
    }

    /// Groups the candidates, of which the best are first.
    fn groups(&self, index: &Index, candidates: &[Candidate]) -> Vec<Group> {
        let row_bytes = index.origin().embed_dim * VALUE_BYTES;
        let embeddings = candidates.iter().map(|candidate| index.stored_embedding(candidate.row));
        let embeddings: Vec<u8> = embeddings.flatten().copied().collect();
        let mut is_taken = vec![false; candidates.len()];
        let mut groups = Vec::new();
        for kept in 0..candidates.len() {
            if is_taken[kept] {
                continue;
            }
            let (own, worse) = embeddings[kept * row_bytes..].split_at(row_bytes);
            let query: Vec<f32> = numbers(own).collect();
            let mut others = Vec::new();
            for (_, hit) in self.near(vec![worse], &query, query.len()) {
                let row = kept + 1 + hit.row;
                if !std::mem::replace(&mut is_taken[row], true) {
                    others.push(Hit { row, ..hit });
                }
            }
            others.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
            if !others.is_empty() {
                groups.push(Group { kept, others });
            }
        }
        groups
    }
}

/// An image that is near to another one.
struct Candidate {
    row: usize,
    picture: Picture,
    size_px: Option<(usize, usize)>,
    /// The hash of its bytes, if they can be read.
    sha256: Option<String>,
}

impl Candidate {
    /// `None` if the file is not the one that was indexed.
    fn new(row: usize, picture: Picture, folder: &Path) -> Option<Self> {
        if picture.file_state(folder) != FileState::AsIndexed {
            return None;
        }
        let bytes = bytes(&picture, folder);
        let hash = |bytes: &Vec<u8>| hex(&Sha256::digest(bytes));
        Some(Candidate {
            row,
            size_px: bytes.as_deref().and_then(preprocess::size),
            sha256: picture.sha256.clone().or_else(|| bytes.as_ref().map(hash)),
            picture,
        })
    }

    /// The least of a group is kept.
    fn rank(&self) -> impl Ord + use<> {
        let n_pixels = self.size_px.map(|(width, height)| width * height);
        let mtime_us = self.picture.mtime_us.unwrap_or(i64::MAX);
        (Reverse(n_pixels), Reverse(self.picture.size), mtime_us, self.row)
    }
}

/// Candidates that show the same, by their places.
struct Group {
    kept: usize,
    others: Vec<Hit>,
}

impl Group {
    fn copied(&self, candidates: &[Candidate]) -> Vec<Copied> {
        let copied = |place: usize, cosine, likeness| {
            let candidate = &candidates[place];
            Copied {
                row: candidate.row,
                picture: candidate.picture.clone(),
                size_px: candidate.size_px,
                cosine,
                likeness,
            }
        };
        let kept = &candidates[self.kept].sha256;
        let others = self
            .others
            .iter()
            .map(|hit| match kept.is_some() && candidates[hit.row].sha256 == *kept {
                true => copied(hit.row, 1.0, Likeness::Exact),
                false => copied(hit.row, hit.cosine, Likeness::Near),
            });
        std::iter::once(copied(self.kept, 1.0, Likeness::Kept))
            .chain(others)
            .collect()
    }
}

/// The parts of embeddings that begin with this row.
fn from_row<'a>(parts: &[&'a [u8]], row: usize, dim: usize) -> Vec<&'a [u8]> {
    let mut skipped = row * dim * VALUE_BYTES;
    let rest = parts.iter().map(|part| {
        let n_bytes = skipped.min(part.len());
        skipped -= n_bytes;
        &part[n_bytes..]
    });
    rest.collect()
}

/// The numbers of a stored embedding.
fn numbers(stored: &[u8]) -> impl Iterator<Item = f32> {
    let values = stored.chunks_exact(VALUE_BYTES);
    values.map(|bytes| f16::from_le_bytes([bytes[0], bytes[1]]).to_f32())
}

/// The bytes of an image's file, if it is one that can be read.
fn bytes(picture: &Picture, folder: &Path) -> Option<Vec<u8>> {
    let file = picture.is_file().then(|| picture.file_path(folder))?;
    Content::File(file).take(&picture.path).ok()
}

/// What was found among `n_images` images, in words.
pub fn groups_in_words(groups: &[Vec<Copied>], n_images: usize) -> String {
    let all = counted(n_images, "image");
    if groups.is_empty() {
        return format!("{all}: no two show the same");
    }
    let copies = groups.iter().flat_map(|group| group.iter().skip(1));
    let n_bytes: u64 = copies.clone().filter_map(|copy| copy.picture.size).sum();
    format!(
        "{all}: {} of images that show the same; {} of {} besides those to keep",
        counted(groups.len(), "group"),
        counted(copies.count(), "copy"),
        size_in_words(n_bytes),
    )
}
