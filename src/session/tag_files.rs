//! Writes the tags of images where photo programs read them, or takes them out again: XMP sidecars, text files, and keywords
//! in photos. A rehearsal changes nothing and says what would be written.

use std::path::Path;

use crate::error::{Control, Error, Result, hint};
use crate::input::{Content, Item};
use crate::labels::Vocabulary;
use crate::named::Named;
use crate::output::Labelled;
use crate::sidecar::{self, Photo, SidecarName, TagPath, Untagged};

/// Where tags are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagFileKind {
    /// Into the XMP sidecar.
    Xmp,
    /// Into a text file, with commas.
    Text,
    /// Into the image itself, or into its sidecar if its format is not known.
    Keywords,
}

impl Named for TagFileKind {
    const WHAT: &'static str = "kind of file";
    const ALL: &'static [Self] = &[TagFileKind::Xmp, TagFileKind::Text, TagFileKind::Keywords];

    fn name(self) -> &'static str {
        match self {
            TagFileKind::Xmp => "xmp",
            TagFileKind::Text => "txt",
            TagFileKind::Keywords => "keywords",
        }
    }
}

/// How many files there were of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct FileCounts {
    n_new: u64,
    n_changed: u64,
    n_unchanged: u64,
    n_removed: u64,
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

/// How tags are written.
pub struct TagFilesPlan<'a> {
    /// Where to, each kind once.
    pub kinds: &'a [TagFileKind],
    /// How new sidecars are named.
    pub name: SidecarName,
    /// The tags that images may get. A text file with others is of another program.
    pub vocabulary: &'a Vocabulary,
    /// Whether text files of other programs are replaced.
    pub replaces_others: bool,
    /// Refuses a text file that the run reads.
    pub refuse_input: &'a dyn Fn(&Path) -> Result<()>,
    /// Is told what would be written, in place of writing it.
    pub rehearsal: Option<&'a dyn Fn(String)>,
}

/// Writes tags next to images and into them, or takes ours out.
pub struct TagFiles<'a> {
    plan: TagFilesPlan<'a>,
    /// Files next to images.
    counts: FileCounts,
    /// Images whose keywords are in them.
    photos: FileCounts,
}

/// The file of an image.
fn file_of(item: &Item) -> Result<&Path> {
    match &item.content {
        Content::File(path) => Ok(path),
        _ => Err(Error::Picture {
            name: item.name.to_string(),
            problem: "tags are written only for an image that is a file".into(),
            hint: Some("save it to a file first".into()),
        }),
    }
}

impl<'a> TagFiles<'a> {
    /// Nothing is written yet.
    pub fn new(plan: TagFilesPlan<'a>) -> Self {
        TagFiles {
            plan,
            counts: FileCounts::default(),
            photos: FileCounts::default(),
        }
    }

    /// Whether anything is written at all.
    pub fn are_written(&self) -> bool {
        !self.plan.kinds.is_empty()
    }

    /// Writes an image's tags.
    ///
    /// # Errors
    /// [`Error::Picture`] if the image is not a file; [`Error::Usage`] for a file that can't be edited or is of another
    /// program; [`Error::Read`], [`Error::Write`].
    pub fn write(&mut self, item: &Item, tags: &[Labelled]) -> Result<()> {
        if !self.are_written() {
            return Ok(());
        }
        let photo = file_of(item)?;
        for kind in self.plan.kinds {
            match kind {
                TagFileKind::Xmp => self.write_xmp(photo, tags)?,
                TagFileKind::Text => self.write_text(photo, tags)?,
                TagFileKind::Keywords => self.write_keywords(photo, tags)?,
            }
        }
        Ok(())
    }

    /// What was written, in words.
    pub fn in_words(&self) -> String {
        let kinds = self.plan.kinds;
        let are_in_photos = kinds.contains(&TagFileKind::Keywords);
        let are_next_to = !are_in_photos || kinds.len() > 1 || self.counts != FileCounts::default();
        let dry = match self.plan.rehearsal {
            None => "",
            Some(_) => ", if this were not a dry run",
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
            return self.instead_of_keywords(|files| files.write_xmp(photo, tags));
        };
        let paths: Vec<TagPath> = tags.iter().map(Labelled::path).collect();
        let edited = file
            .tagged(&paths)
            .map_err(|problem| sidecar::unusable(photo, &problem))?;
        self.put_photo(photo, &file, edited, &format!("would have in it: {}", names(tags)))
    }

    fn remove_keywords(&mut self, photo: &Path) -> Result<()> {
        let Some(file) = Photo::read(photo)? else {
            return self.instead_of_keywords(|files| files.remove_xmp(photo));
        };
        let edited = file.untagged().map_err(|problem| sidecar::unusable(photo, &problem))?;
        self.put_photo(photo, &file, edited, "would lose the tags of longclip")
    }

    /// For an image of a format that no keywords are written into: its sidecar, unless that is asked for anyway.
    fn instead_of_keywords(&mut self, with_sidecar: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        match self.plan.kinds.contains(&TagFileKind::Xmp) {
            true => Ok(()),
            false => with_sidecar(self),
        }
    }

    fn put_photo(&mut self, path: &Path, photo: &Photo, edited: Option<Vec<u8>>, rehearsed: &str) -> Result<()> {
        let Some(bytes) = edited else {
            self.photos.n_unchanged += 1;
            return Ok(());
        };
        match self.plan.rehearsal {
            None => photo.replace(path, &bytes)?,
            Some(told) => told(format!("`{}` {rehearsed}", path.display())),
        }
        self.photos.n_changed += 1;
        Ok(())
    }

    fn write_xmp(&mut self, photo: &Path, tags: &[Labelled]) -> Result<()> {
        let path = sidecar::path_of(photo, self.plan.name);
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
        (self.plan.refuse_input)(&path)?;
        let text = sidecar::comma_separated(tags.iter().map(|tag| tag.label.as_str()));
        let there = match self.plan.replaces_others {
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
        sidecar::is_of_tags(text, |tag| self.plan.vocabulary.has(tag))
    }

    /// Writes a file, or reports what would become of it.
    fn put(&self, path: &Path, text: &str, rehearsed: &str) -> Result<()> {
        match self.plan.rehearsal {
            None => sidecar::write(path, text),
            Some(told) => {
                told(format!("`{}` {rehearsed}", path.display()));
                Ok(())
            }
        }
    }

    /// Takes our tags out of the files of an image.
    ///
    /// # Errors
    /// As [`TagFiles::write`].
    pub fn remove(&mut self, photo: &Path) -> Result<()> {
        for kind in self.plan.kinds {
            match kind {
                TagFileKind::Xmp => self.remove_xmp(photo)?,
                TagFileKind::Text => self.remove_text(photo)?,
                TagFileKind::Keywords => self.remove_keywords(photo)?,
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
                (self.plan.refuse_input)(&path)?;
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
        match self.plan.rehearsal {
            None => std::fs::remove_file(path).map_err(Error::write(path)),
            Some(told) => {
                told(format!("`{}` would be removed", path.display()));
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
    Error::Usage {
        problem: format!(
            "`{}` exists, and holds something else than tags of this vocabulary",
            path.display()
        ),
        hint: Some(hint!("move it away; {} replaces it", Control::ReplaceFiles)),
    }
}
