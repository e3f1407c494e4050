//! Models from the Hugging Face hub: what to ask for, where it is kept, how it gets here whole.
//!
//! Called by `names.rs`, which turns what a person wrote into a file, and by `longclip model`. Files lie in the hub's own
//! cache layout (`models--OWNER--REPO/{blobs,refs,snapshots}`, as the crate `hf-hub` and Python's `huggingface_hub` keep
//! it), so nothing is downloaded twice. Around that stand the things neither does: a file is used only when its size and
//! hash are the hub's, a broken download goes on where it stopped, and the offline flags hold. Sizes are bytes.

#[cfg(not(feature = "hub"))]
mod absent;
mod address;
#[cfg(feature = "hub")]
mod cache;
mod checksum;
#[cfg(feature = "hub")]
mod choose;
#[cfg(feature = "hub")]
mod disk;
#[cfg(feature = "hub")]
mod download;
#[cfg(feature = "hub")]
mod facts;
#[cfg(feature = "hub")]
mod fetch;
#[cfg(feature = "hub")]
mod http;
#[cfg(feature = "hub")]
mod integrity;
mod proxy;
mod settings;

use std::path::PathBuf;

#[cfg(not(feature = "hub"))]
pub use absent::{cached, fetch, hub_facts, located, refresh};
pub use address::HubAddress;
pub use checksum::{Checksum, file_sha256, recorded_checksum};
#[cfg(feature = "hub")]
pub use fetch::{cached, fetch, hub_facts, located, refresh};
#[cfg(feature = "hub")]
pub(crate) use http::tls;
pub use proxy::Proxies;
pub use settings::{HubSettings, Token};

/// A model of the hub that is on this machine, whole and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubModel {
    /// What to open: the weights, or the folder of a model in several shards.
    pub path: PathBuf,
    /// The files that hold the tensors.
    pub weights: Vec<PathBuf>,
    /// Whether bytes came over the network for it just now.
    pub origin: Origin,
}

/// Where a model's files came from in this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// They were here.
    Cache,
    /// The hub was asked, and sent what was missing.
    Hub,
}

/// One file at one revision, as the hub describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// The commit that the revision names now.
    pub commit: String,
    /// The file's name among the blobs of the cache.
    pub etag: String,
    /// Its size.
    pub size_bytes: u64,
}

/// What a download is doing, told to whoever draws the progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Another process downloads this file; we wait for it.
    Waiting {
        /// The file, as the hub names it.
        file: &'a str,
    },
    /// A file of the cache is read once, to compare its hash with the hub's.
    Checking {
        /// The file, as the hub names it.
        file: &'a str,
        /// Its size.
        bytes_total: u64,
    },
    /// Bytes arrive.
    Downloading {
        /// The file, as the hub names it.
        file: &'a str,
        /// How much of it is here, with what an earlier run left.
        bytes_done: u64,
        /// Its size.
        bytes_total: u64,
    },
    /// The file is here, and its size and hash are the hub's.
    Finished {
        /// The file, as the hub names it.
        file: &'a str,
    },
}
