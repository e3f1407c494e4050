//! Writes files, by rules that protect the files that exist.
//!
//! A [`Target`] is a file to write, examined before anything is opened: it knows what is there, whether this run reads it,
//! and whether an earlier run wrote it. A [`Destination`] is an open one. Caches, weights and saved states, which nobody
//! names on a command line, are written by [`replace`]. Nothing else in this crate creates a file that outlives the
//! process.

mod cache_folder;
mod destination;
mod identity;
mod lock;
mod replacement;
mod target;
mod turn;

pub use cache_folder::cache_folder;
pub use destination::Destination;
pub use identity::FileId;
pub(crate) use lock::is_being_written;
#[cfg(feature = "hub")]
pub(crate) use replacement::link_new;
pub use replacement::{copy_new, name_new, remove_leftovers, replace, replace_contents};
pub use target::{Excerpt, Existing, Looking, Refusal, Target};
pub use turn::Turn;
