//! Evaluations: the tables that the papers on CLIP compare models by, on anyone's data.
//!
//! Called by `longclip eval`. [`zeroshot`] measures how often a picture's own class is the likeliest, on [`data`] of classes;
//! [`retrieval`] how captions and pictures find each other. [`interval`] says how sure a share is, and [`bootstrap`]
//! which differences between two models are real. All are functions on what was encoded, so that the same embeddings give the
//! same numbers: encoding [`Picture`]s is the command line's, and a file of [`Embeddings`] survives its interruption.

pub mod bootstrap;
pub mod data;
mod embeddings;
pub mod interval;
mod pictures;
pub mod retrieval;
mod unusable;
pub mod zeroshot;

pub use self::embeddings::{Embeddings, Origin, beside};
pub use self::pictures::{Picture, Shelf, fingerprint, in_words};
pub use self::unusable::Unusable;
