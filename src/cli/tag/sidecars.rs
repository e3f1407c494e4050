//! What `tag` writes next to images: XMP sidecars and text files, or what it would write.

use std::path::{Path, PathBuf};

use longclip::input::{Content, Item};
use longclip::labels::Vocabulary;
use longclip::named::Named;
use longclip::output::Labelled;
use longclip::sidecar::{self, SidecarName, TagPath, Untagged};
use longclip::{Error, Result};

use crate::cli::report::Report;
use crate::cli::targets::Writing;

/// A kind of file next to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Xmp,
    Text,
}

impl Named for Kind {
    const WHAT: &'static str = "kind of file";
    const ALL: &'static [Self] = &[Kind::Xmp, Kind::Text];

    fn name(self) -> &'static str {
        match self {
            Kind::Xmp => "xmp",
            Kind::Text => "txt",
        }
    }
}

/// Whether files are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Write,
    /// A dry run: only reports what would be written.
    Rehearse,
}

/// How many files there were of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FileCounts {
    pub(super) n_new: u64,
    pub(super) n_changed: u64,
    pub(super) n_unchanged: u64,
    pub(super) n_removed: u64,
}

impl FileCounts {
    /// The counts in words, without zeros.
    pub(super) fn in_words(&self, doing: Doing) -> String {
        let counts = [
            (self.n_new, "new"),
            (self.n_changed, "changed"),
            (self.n_unchanged, "unchanged"),
            (self.n_removed, "removed"),
        ];
        let words = counts
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, what)| format!("{n} {what}"));
        let words: Vec<String> = words.collect();
        let words = if words.is_empty() {
            "none".to_owned()
        } else {
            words.join(", ")
        };
        match doing {
            Doing::Write => format!("files next to them: {words}"),
            Doing::Rehearse => format!("files next to them, if this were not a dry run: {words}"),
        }
    }
}

/// Writes files next to images, or takes our tags out of them.
pub(super) struct Sidecars<'a> {
    pub(super) kinds: &'a [Kind],
    pub(super) name: SidecarName,
    pub(super) doing: Doing,
    pub(super) vocabulary: &'a Vocabulary,
    /// What the run reads, and whether files of others may be replaced.
    pub(super) writing: Writing<'a>,
    pub(super) report: Report,
    pub(super) counts: FileCounts,
}

/// The file of an image.
///
/// # Errors
/// [`Error::Picture`] if it is not a file.
pub(super) fn file_of(item: &Item) -> Result<PathBuf> {
    match &item.content {
        Content::File(path) => Ok(path.clone()),
        _ => Err(Error::Picture {
            name: item.name.to_string(),
            problem: "only an image that is a file can have a file next to it".into(),
            hint: Some("save it to a file first, or leave out `--write`".into()),
        }),
    }
}

impl Sidecars<'_> {
    /// Writes an image's tags.
    pub(super) fn write(&mut self, photo: &Path, tags: &[Labelled]) -> Result<()> {
        for kind in self.kinds {
            match kind {
                Kind::Xmp => self.write_xmp(photo, tags)?,
                Kind::Text => self.write_text(photo, tags)?,
            }
        }
        Ok(())
    }

    fn write_xmp(&mut self, photo: &Path, tags: &[Labelled]) -> Result<()> {
        let path = sidecar::path_of(photo, self.name);
        let paths: Vec<TagPath> = tags.iter().map(Labelled::path).collect();
        let Some(there) = sidecar::read(&path)? else {
            if paths.is_empty() {
                return Ok(());
            }
            let text = sidecar::new_text(&paths).map_err(|problem| sidecar::unusable(&path, &problem))?;
            self.counts.n_new += 1;
            return self.put(&path, &text, &format!("would be new: {}", names(tags)));
        };
        match sidecar::tagged(&there, &paths).map_err(|problem| sidecar::unusable(&path, &problem))? {
            None => self.counts.n_unchanged += 1,
            Some(text) => {
                self.counts.n_changed += 1;
                self.put(&path, &text, &format!("would have in it: {}", names(tags)))?;
            }
        }
        Ok(())
    }

    fn write_text(&mut self, photo: &Path, tags: &[Labelled]) -> Result<()> {
        let path = sidecar::text_path_of(photo);
        self.writing.refuse_input("--write txt", &path)?;
        let text = sidecar::comma_separated(tags.iter().map(|tag| tag.label.as_str()));
        let there = match self.writing.force.force {
            // Whatever it is, it is replaced.
            true if path.exists() => Some(None),
            _ => sidecar::read(&path)?.map(Some),
        };
        match there {
            None if tags.is_empty() => return Ok(()),
            None => self.counts.n_new += 1,
            Some(Some(there)) if there == text => {
                self.counts.n_unchanged += 1;
                return Ok(());
            }
            Some(Some(there)) if !self.is_ours(&there) => return Err(foreign(&path)),
            Some(_) => self.counts.n_changed += 1,
        }
        self.put(&path, &text, &format!("would say: {}", names(tags)))
    }

    fn is_ours(&self, text: &str) -> bool {
        sidecar::is_of_tags(text, |tag| self.vocabulary.has(tag))
    }

    /// Writes a file, or reports what would become of it.
    fn put(&self, path: &Path, text: &str, rehearsed: &str) -> Result<()> {
        match self.doing {
            Doing::Write => sidecar::write(path, text),
            Doing::Rehearse => {
                self.report.note(format!("`{}` {rehearsed}", path.display()));
                Ok(())
            }
        }
    }

    /// Takes our tags out of the files of an image.
    pub(super) fn remove(&mut self, photo: &Path) -> Result<()> {
        for kind in self.kinds {
            match kind {
                Kind::Xmp => self.remove_xmp(photo)?,
                Kind::Text => self.remove_text(photo)?,
            }
        }
        Ok(())
    }

    fn remove_xmp(&mut self, photo: &Path) -> Result<()> {
        // Both names: an earlier run may have made either.
        let mut paths = [SidecarName::Appended, SidecarName::Replaced]
            .map(|name| sidecar::path_of(photo, name))
            .to_vec();
        paths.dedup();
        for path in paths {
            let Some(there) = sidecar::read(&path)? else { continue };
            match sidecar::untagged(&there).map_err(|problem| sidecar::unusable(&path, &problem))? {
                Untagged::Unchanged => self.counts.n_unchanged += 1,
                Untagged::Text(text) => {
                    self.counts.n_changed += 1;
                    self.put(&path, &text, "would lose the tags of longclip")?;
                }
                Untagged::Nothing => self.delete(&path)?,
            }
        }
        Ok(())
    }

    fn remove_text(&mut self, photo: &Path) -> Result<()> {
        let path = sidecar::text_path_of(photo);
        match sidecar::read(&path)? {
            Some(text) if self.is_ours(&text) => {
                self.writing.refuse_input("--write txt", &path)?;
                self.delete(&path)
            }
            Some(_) => {
                self.counts.n_unchanged += 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn delete(&mut self, path: &Path) -> Result<()> {
        self.counts.n_removed += 1;
        match self.doing {
            Doing::Write => std::fs::remove_file(path).map_err(Error::write(path)),
            Doing::Rehearse => {
                self.report.note(format!("`{}` would be removed", path.display()));
                Ok(())
            }
        }
    }
}

fn names(tags: &[Labelled]) -> String {
    let names: Vec<&str> = tags.iter().map(|tag| tag.label.as_str()).collect();
    names.join(", ")
}

fn foreign(path: &Path) -> Error {
    Error::usage(
        format!(
            "`{}` exists, and holds something else than tags of this vocabulary",
            path.display()
        ),
        "move it away; `--force` replaces it",
    )
}
