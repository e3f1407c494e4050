//! What a key layout says: which files have it, and how each of upstream's tensors is assembled from the stored ones.

use super::super::stored::{StoredType, TensorFile};

/// How one of upstream's tensors is assembled from stored ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::weights) enum Assembly {
    /// Stored unchanged.
    AsStored(String),
    /// Stored with its two axes exchanged.
    Transposed(String),
    /// Stored with axes of length 1 before its own.
    Framed {
        /// The stored tensor.
        name: String,
        /// How many of these axes it has.
        n_axes: usize,
    },
    /// The rows of three tensors: q, k and v.
    Joined([String; 3]),
    /// Length and direction of each output row: `r * theta / |theta|`.
    Polar {
        /// `(n_out, 1)`.
        r: String,
        /// `(n_out, n_in)`.
        theta: String,
    },
    /// Integers of 8 bits with one scale per row: `scale[i] * rows[i]`.
    Scaled {
        /// The shape of upstream's tensor.
        rows: String,
        /// `(n_out,)`.
        scale: String,
    },
    /// A product of two thin matrices with one scale per row: `scale[i] * (a[i] @ b)`.
    LowRank {
        /// `(n, rank)`, or bytes of two 4-bit integers each, `(n, rank / 2)`.
        a: String,
        /// `(n,)`.
        scale: Option<String>,
        /// `(rank, width)`.
        b: String,
    },
}

impl Assembly {
    /// The names of the stored tensors.
    pub(in crate::weights) fn parts(&self) -> Vec<&str> {
        match self {
            Assembly::AsStored(name) | Assembly::Transposed(name) | Assembly::Framed { name, .. } => vec![name],
            Assembly::Joined(names) => names.iter().map(String::as_str).collect(),
            Assembly::Polar { r, theta } => vec![r, theta],
            Assembly::Scaled { rows, scale } => vec![rows, scale],
            Assembly::LowRank { a, scale, b } => [Some(a), scale.as_ref(), Some(b)]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect(),
        }
    }

    /// The assembled shape; `None` if a part is missing or the parts don't fit together.
    pub(in crate::weights) fn shape(&self, file: &TensorFile) -> Option<Vec<usize>> {
        let shape = |name: &str| file.tensors.get(name).map(|tensor| tensor.shape().to_vec());
        match self {
            Assembly::AsStored(name) => shape(name),
            Assembly::Transposed(name) => shape(name).map(|mut shape| {
                shape.reverse();
                shape
            }),
            Assembly::Framed { name, n_axes } => {
                let shape = shape(name)?;
                let (frame, own) = shape.split_at_checked(*n_axes)?;
                frame.iter().all(|n| *n == 1).then(|| own.to_vec())
            }
            Assembly::Joined(names) => {
                let shapes: Vec<Vec<usize>> = names.iter().map(|name| shape(name)).collect::<Option<_>>()?;
                let (_, inner) = shapes[0].split_first()?;
                let mut n_rows = shapes.iter().map(|shape| match shape.split_first() {
                    Some((n_rows, others)) if others == inner => Some(*n_rows),
                    _ => None,
                });
                let n_rows = n_rows.try_fold(0usize, |sum, n| sum.checked_add(n?))?;
                Some([&[n_rows], inner].concat())
            }
            Assembly::Polar { theta, .. } => shape(theta),
            Assembly::Scaled { rows, .. } => shape(rows),
            Assembly::LowRank { a, b, .. } => match (shape(a)?.as_slice(), shape(b)?.as_slice()) {
                (&[n, stored], &[rank, width]) if rank == stored * self.numbers_per_element(a, file) => {
                    Some(vec![n, width])
                }
                _ => None,
            },
        }
    }

    /// Whether a part holds one number per row, which files write with and without a second axis.
    pub(in crate::weights) fn is_per_row(&self, part: &str) -> bool {
        match self {
            Assembly::Polar { r, .. } => r == part,
            Assembly::Scaled { scale, .. } => scale == part,
            Assembly::LowRank { scale, .. } => scale.as_deref() == Some(part),
            Assembly::AsStored(_) | Assembly::Transposed(_) | Assembly::Framed { .. } | Assembly::Joined(_) => false,
        }
    }

    /// Whether a part may have this type of whole numbers, because there is a scale for it.
    pub(in crate::weights) fn is_scaled(&self, part: &str, stored_type: StoredType) -> bool {
        match self {
            Assembly::Scaled { rows, .. } => rows == part && stored_type == StoredType::I8,
            Assembly::LowRank { a, scale: Some(_), .. } => {
                a == part && matches!(stored_type, StoredType::I8 | StoredType::U8)
            }
            Assembly::LowRank { scale: None, .. }
            | Assembly::AsStored(_)
            | Assembly::Transposed(_)
            | Assembly::Framed { .. }
            | Assembly::Joined(_)
            | Assembly::Polar { .. } => false,
        }
    }

    /// How many numbers an element of a part holds: two if a thin matrix is stored as bytes.
    pub(in crate::weights) fn numbers_per_element(&self, part: &str, file: &TensorFile) -> usize {
        let stored_type = file.tensors.get(part).map(|tensor| tensor.stored_type());
        match self {
            Assembly::LowRank { a, scale: Some(_), .. } if a == part && stored_type == Some(StoredType::U8) => 2,
            _ => 1,
        }
    }

    /// The stored tensors with their shapes, if upstream's tensor has the given shape; an axis of 0 may have any length.
    pub(in crate::weights) fn stored_shapes(&self, shape: &[usize], file: &TensorFile) -> Vec<(&str, Vec<usize>)> {
        let n_rows = shape.first().copied().unwrap_or(1);
        match self {
            Assembly::AsStored(name) => vec![(name, shape.to_vec())],
            Assembly::Transposed(name) => vec![(name, shape.iter().rev().copied().collect())],
            Assembly::Framed { name, n_axes } => vec![(name, [&vec![1; *n_axes], shape].concat())],
            Assembly::Joined(names) => {
                let mut part = shape.to_vec();
                part.iter_mut().take(1).for_each(|n_rows| *n_rows /= names.len());
                names.iter().map(|name| (name.as_str(), part.clone())).collect()
            }
            Assembly::Polar { r, theta } => vec![(r, vec![n_rows, 1]), (theta, shape.to_vec())],
            Assembly::Scaled { rows, scale } => vec![(rows, shape.to_vec()), (scale, vec![n_rows])],
            Assembly::LowRank { a, scale, b } => {
                let rank = match file.tensors.get(b).map(|b| b.shape()) {
                    Some(&[rank, _]) => rank,
                    _ => 0,
                };
                let mut parts = vec![(a.as_str(), vec![n_rows, rank / self.numbers_per_element(a, file)])];
                parts.extend(scale.as_ref().map(|scale| (scale.as_str(), vec![n_rows])));
                parts.push((b, vec![rank, shape.last().copied().unwrap_or(0)]));
                parts
            }
        }
    }
}

/// The key layout of one family of files.
pub(in crate::weights) struct Layout {
    /// Its name in messages.
    pub(in crate::weights) name: &'static str,
    /// Whether a file with a tensor of this name has this layout.
    pub(in crate::weights) owns: fn(&str) -> bool,
    /// Tensors of the file that aren't used: of another way to use the model, or of its training.
    pub(in crate::weights) unused: &'static [&'static str],
    /// How upstream's tensor of this name is assembled.
    pub(in crate::weights) assembly: fn(&TensorFile, &str) -> Assembly,
}
