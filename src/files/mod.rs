//! Files that the program writes, and the rules by which it loses none.
//!
//! A [`Target`] is a place to write to that was looked at before anything is opened: it knows what is there, whether a
//! run reads it, and whether an earlier run wrote it. A [`Destination`] is an open one. Caches, weights and saved states,
//! which nobody names on a command line, are written by [`replace`]. Nothing else in this crate creates a file that is
//! to last.

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
pub use replacement::{copy_new, name_new, remove_leftovers, replace};
pub use target::{Excerpt, Existing, Looking, Refusal, Target};
pub use turn::Turn;
