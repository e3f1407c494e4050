//! Key layouts: what each family of files calls upstream's tensors, and how it stores them.
//!
//! One file a layout, with two functions: does this set of names belong to it, and how is upstream's tensor X made from
//! what it holds. A new layout is one such file and one line in [`LAYOUTS`].

mod factorised;
mod gmp;
mod huggingface;
mod openai;
mod openclip;

pub(super) use self::huggingface::LAYOUT as HUGGING_FACE;
pub(super) use self::openai::LAYOUT as OPENAI;
use super::stored::TensorFile;

/// How one of upstream's tensors is made from stored ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Making {
    /// It stands there.
    AsStored(String),
    /// It stands there with its two axes exchanged.
    Transposed(String),
    /// Parts one below the other (q, k and v).
    Joined([String; 3]),
    /// Length and direction of each output row: `r * theta / |theta|`.
    Polar {
        /// `(n_out, 1)`.
        r: String,
        /// `(n_out, n_in)`.
        theta: String,
    },
    /// A product of two thin matrices with a scale a row: `scale[i] * (a[i] @ b)`.
    LowRank {
        /// `(n, rank)`.
        a: String,
        /// `(n,)`.
        scale: Option<String>,
        /// `(rank, width)`.
        b: String,
    },
}

impl Making {
    /// The stored tensors that it needs.
    pub(super) fn parts(&self) -> Vec<&str> {
        match self {
            Making::AsStored(name) | Making::Transposed(name) => vec![name],
            Making::Joined(names) => names.iter().map(String::as_str).collect(),
            Making::Polar { r, theta } => vec![r, theta],
            Making::LowRank { a, scale, b } => [Some(a), scale.as_ref(), Some(b)]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect(),
        }
    }

    /// The shape of what is made; `None` if a part is missing or the parts don't fit each other.
    pub(super) fn shape(&self, file: &TensorFile) -> Option<Vec<usize>> {
        let shape = |name: &str| file.tensors.get(name).map(|tensor| tensor.shape().to_vec());
        match self {
            Making::AsStored(name) => shape(name),
            Making::Transposed(name) => shape(name).map(|mut shape| {
                shape.reverse();
                shape
            }),
            Making::Joined(names) => {
                let shapes: Option<Vec<Vec<usize>>> = names.iter().map(|name| shape(name)).collect();
                let shapes = shapes?;
                let mut joined = shapes[0].clone();
                let same = shapes.iter().all(|s| !s.is_empty() && s[1..] == joined[1..]);
                *joined.first_mut().filter(|_| same)? = shapes.iter().map(|s| s[0]).sum();
                Some(joined)
            }
            Making::Polar { r, theta } => {
                let theta = shape(theta)?;
                let lengths: usize = shape(r)?.iter().product();
                (theta.len() == 2 && lengths == theta[0]).then_some(theta)
            }
            Making::LowRank { a, scale, b } => {
                let (a, b) = (shape(a)?, shape(b)?);
                let scales = scale
                    .as_ref()
                    .map_or(Some(a[0]), |scale| shape(scale).map(|s| s.iter().product()))?;
                (a.len() == 2 && b.len() == 2 && a[1] == b[0] && scales == a[0]).then(|| vec![a[0], b[1]])
            }
        }
    }
}

/// One family of files.
pub(super) struct Layout {
    /// What messages call it.
    pub(super) name: &'static str,
    /// Whether the names of this file are its own.
    pub(super) owns: fn(&TensorFile) -> bool,
    /// How upstream's tensor of this name is made.
    pub(super) making: fn(&TensorFile, &str) -> Making,
}

/// All layouts, the most particular first.
static LAYOUTS: [Layout; 6] = [
    factorised::LAYOUT,
    gmp::LAYOUT,
    huggingface::NESTED,
    huggingface::LAYOUT,
    openclip::CUSTOM_TEXT,
    openai::LAYOUT,
];

/// The layout of a file, if it is one that we know.
pub(super) fn recognise(file: &TensorFile) -> Option<&'static Layout> {
    LAYOUTS.iter().find(|layout| (layout.owns)(file))
}

/// Entries that files carry beside the weights and that hold nothing to learn: counters, masks, sizes as tensors.
pub(super) fn is_bookkeeping(name: &str) -> bool {
    const LAST_PARTS: [&str; 5] = [
        "position_ids",
        "attn_mask",
        "input_resolution",
        "context_length",
        "vocab_size",
    ];
    let last = name.rsplit('.').next().unwrap_or(name);
    LAST_PARTS.contains(&last)
}
