//! What `tag` writes for photo programs: XMP sidecars, text files and keywords in photos, or what it would write.

use std::path::{Path, PathBuf};

use longclip::input::{Content, Item};
use longclip::labels::Vocabulary;
use longclip::named::Named;
use longclip::output::Labelled;
use longclip::sidecar::{self, Photo, SidecarName, TagPath, Untagged};
use longclip::{Error, Result};

use crate::cli::report::Report;
use crate::cli::targets::Writing;

/// Where tags are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Xmp,
    Text,
    /// Into the image itself, or into its sidecar if its format is not known.
    Keywords,
}

impl Named for Kind {
    const WHAT: &'static str = "kind of file";
    const ALL: &'static [Self] = &[Kind::Xmp, Kind::Text, Kind::Keywords];

    fn name(self) -> &'static str {
        match self {
            Kind::Xmp => "xmp",
            Kind::Text => "txt",
            Kind::Keywords => "keywords",
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
    fn in_words(self) -> String {
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
        if words.is_empty() {
            "none".to_owned()
        } else {
            words.join(", ")
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
    /// Files next to images.
    pub(super) counts: FileCounts,
    /// Images whose keywords are in them.
    pub(super) photos: FileCounts,
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
            problem: "tags are written only for an image that is a file".into(),
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
                Kind::Keywords => self.write_keywords(photo, tags)?,
            }
        }
        Ok(())
    }

    /// What was written, in words.
    pub(super) fn in_words(&self) -> String {
        let are_in_photos = self.kinds.contains(&Kind::Keywords);
        let are_next_to = !are_in_photos || self.kinds.len() > 1 || self.counts != FileCounts::default();
        let dry = match self.doing {
            Doing::Write => "",
            Doing::Rehearse => ", if this were not a dry run",
        };
        let counts = [
            (are_next_to, "files next to them", self.counts),
            (are_in_photos, "keywords in them", self.photos),
        ];
        let counts = counts.into_iter().filter(|(is_said, ..)| *is_said);
        let words = counts.map(|(_, what, counts)| format!("{what}{dry}: {}", counts.in_words()));
        words.collect::<Vec<_>>().join("; ")
    }

    fn write_keywords(&mut self, photo: &Path, tags: &[Labelled]) -> Result<()> {
        let Some(file) = Photo::read(photo)? else {
            return self.instead_of_keywords(|sidecars| sidecars.write_xmp(photo, tags));
        };
        let paths: Vec<TagPath> = tags.iter().map(Labelled::path).collect();
        let edited = file
            .tagged(&paths)
            .map_err(|problem| sidecar::unusable(photo, &problem))?;
        self.put_photo(photo, &file, edited, &format!("would have in it: {}", names(tags)))
    }

    fn remove_keywords(&mut self, photo: &Path) -> Result<()> {
        let Some(file) = Photo::read(photo)? else {
            return self.instead_of_keywords(|sidecars| sidecars.remove_xmp(photo));
        };
        let edited = file.untagged().map_err(|problem| sidecar::unusable(photo, &problem))?;
        self.put_photo(photo, &file, edited, "would lose the tags of longclip")
    }

    /// For an image of a format that no keywords are written into: its sidecar, unless that is asked for anyway.
    fn instead_of_keywords(&mut self, with_sidecar: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        match self.kinds.contains(&Kind::Xmp) {
            true => Ok(()),
            false => with_sidecar(self),
        }
    }

    fn put_photo(&mut self, path: &Path, photo: &Photo, edited: Option<Vec<u8>>, rehearsed: &str) -> Result<()> {
        let Some(bytes) = edited else {
            self.photos.n_unchanged += 1;
            return Ok(());
        };
        match self.doing {
            Doing::Write => photo.replace(path, &bytes)?,
            Doing::Rehearse => self.report.note(format!("`{}` {rehearsed}", path.display())),
        }
        self.photos.n_changed += 1;
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
                Kind::Keywords => self.remove_keywords(photo)?,
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
