//! How folders are searched and URLs fetched, and which part of the images is used.

use super::excluded::ExcludedFolders;
use super::shard::Shard;
use super::skipped::Skipped;
use super::url::Web;
use crate::named::named;

/// How folders are searched and URLs fetched.
#[derive(Debug, Clone, Default)]
pub struct InputOptions {
    /// Whether links to folders are followed, each folder once. Without it, they are skipped and counted. Links to files are
    /// always followed.
    pub follows_links: bool,
    /// How deep to search; 1 is only the named folder's own files. No limit if `None`.
    pub max_depth: Option<usize>,
    /// Which raw photos in folders are read.
    pub raw: RawPhotos,
    /// Folders in folders that are not searched.
    pub excluded: ExcludedFolders,
    /// The part of all images to use; all if `None`.
    pub shard: Option<Shard>,
    /// How URLs are fetched.
    pub web: Web,
    /// Counts what is skipped.
    pub skipped: Skipped,
}

/// Which of a camera's raw photos in folders are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RawPhotos {
    /// Those without a JPEG or HEIC photo of the same name in the same folder.
    #[default]
    Alone,
    /// All.
    Both,
    /// None.
    Skip,
}

named!(RawPhotos, "choice of raw photos": Alone = "alone", Both = "both", Skip = "skip");
