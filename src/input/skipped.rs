//! Counts of what folders and archives hold besides images, so that nothing is skipped silently.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::in_words;

/// Counts what folders and archives hold besides images. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct Skipped(Arc<Mutex<SkippedCounts>>);

/// What was skipped, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkippedCounts {
    /// Files and members that are not images, by name and by content.
    pub not_pictures: Passed,
    /// How many of those have each ending, in lower case.
    pub endings: BTreeMap<String, u64>,
    /// Raw photos with a JPEG or HEIC photo of the same name, and others if none are to be read.
    pub raws: Passed,
    /// Folders that hold no photos, by their names.
    pub excluded: Passed,
    /// Links to folders that were not followed.
    pub links: Passed,
    /// Folders that were reached before, by another way.
    pub loops: Passed,
    /// Members of archives that hold no file: devices, links whose file does not come before them, data after the end.
    pub members: Passed,
    /// Folders, lists and archives that could not be read. Each is also an item that says why.
    pub unreadable: Passed,
}

/// A count, with the first name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// The number of things.
    pub n: u64,
    /// The first one's name.
    pub first: Option<String>,
}

impl Passed {
    fn add(&mut self, name: impl FnOnce() -> String) {
        self.n += 1;
        self.first.get_or_insert_with(name);
    }
}

impl SkippedCounts {
    /// The most frequent endings of what is not an image, after a colon; nothing if there is one file or none.
    pub fn endings_in_words(&self) -> String {
        const LISTED: usize = 5;
        if self.not_pictures.n < 2 || self.endings.is_empty() {
            return String::new();
        }
        let mut endings: Vec<(&String, u64)> = self.endings.iter().map(|(ending, n)| (ending, *n)).collect();
        endings.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        endings.truncate(LISTED);
        let n_listed: u64 = endings.iter().map(|(_, n)| n).sum();
        let mut words: Vec<String> = endings.iter().map(|(ending, n)| format!("{n} .{ending}")).collect();
        if self.not_pictures.n > n_listed {
            words.push(format!("{} others", self.not_pictures.n - n_listed));
        }
        format!(": {}", words.join(", "))
    }
}

impl Skipped {
    /// The counts so far.
    pub fn counts(&self) -> SkippedCounts {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, SkippedCounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn not_picture(&self, path: &Path) {
        let mut counts = self.locked();
        counts.not_pictures.add(|| in_words(path));
        if let Some(ending) = path.extension() {
            *counts.endings.entry(in_words(ending).to_lowercase()).or_default() += 1;
        }
    }

    pub(super) fn raw(&self, path: &Path) {
        self.locked().raws.add(|| in_words(path));
    }

    pub(super) fn excluded(&self, path: &Path) {
        self.locked().excluded.add(|| in_words(path));
    }

    pub(super) fn link(&self, path: &Path) {
        self.locked().links.add(|| in_words(path));
    }

    pub(super) fn member(&self, name: &str) {
        self.locked().members.add(|| name.to_owned());
    }

    pub(super) fn unreadable(&self, path: &Path) {
        self.locked().unreadable.add(|| in_words(path));
    }

    pub(super) fn circle(&self, path: &Path) {
        self.locked().loops.add(|| in_words(path));
    }
}
