//! Models from the Hugging Face hub: addresses, the cache, downloads.
//!
//! Called by `names.rs`, which turns a model's name into a file, and by `longclip model`. The cache is the one of all
//! Hugging Face tools (`models--OWNER--REPO/{blobs,refs,snapshots}`; the crate `hf-hub` knows its paths), so nothing is
//! downloaded twice. Unlike those tools, this one uses a file only if its size and hash are the hub's. A broken download is
//! resumed, and the offline variables are obeyed. Sizes are in bytes.

mod address;
#[cfg(feature = "hub")]
mod cache;
mod checksum;
#[cfg(feature = "hub")]
mod choose;
#[cfg(not(feature = "hub"))]
mod disabled;
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
#[cfg(feature = "hub")]
pub(crate) mod retry;
mod settings;

use std::path::PathBuf;

pub use address::HubAddress;
pub use checksum::{Checksum, file_sha256, recorded_checksum};
#[cfg(not(feature = "hub"))]
pub use disabled::{cached, fetch, hub_facts, located, refresh};
#[cfg(feature = "hub")]
pub use fetch::{cached, fetch, hub_facts, located, refresh};
#[cfg(feature = "hub")]
pub(crate) use http::tls;
pub use proxy::Proxies;
#[cfg(feature = "hub")]
pub(crate) use proxy::without_password;
pub use settings::{HubSettings, Token};

/// A model of the hub that is on this machine, complete and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubModel {
    /// What to open: the weights, or the folder of a model in several shards.
    pub path: PathBuf,
    /// The files that hold the tensors.
    pub weights: Vec<PathBuf>,
    /// Whether it was downloaded just now.
    pub origin: Origin,
}

/// Where a model's files came from in this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From the cache.
    Cache,
    /// From the hub, which was asked for what was missing.
    Hub,
}

/// One file at one revision, as the hub describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFacts {
    /// The commit of the revision.
    pub commit: String,
    /// The file's name among the blobs of the cache.
    pub etag: String,
    /// Its size.
    pub size_bytes: u64,
}

/// What a download is doing, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Another process downloads this file, which is waited for.
    Waiting {
        /// The file, as the hub names it.
        file: &'a str,
    },
    /// A file of the cache is read to compare its hash with the hub's.
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
        /// How much of it is here, including what an earlier run left.
        bytes_done: u64,
        /// Its size.
        bytes_total: u64,
    },
    /// The file is here, with the hub's size and hash.
    Finished {
        /// The file, as the hub names it.
        file: &'a str,
    },
}
