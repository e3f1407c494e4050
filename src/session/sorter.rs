//! Puts each photo of a run into the folder of its best label or group.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Classifier, Grouping};
use crate::error::{Error, Result, counted};
use crate::files::Destination;
use crate::input::{Content, Item, Name};
use crate::labels::Notice;
use crate::output::companions::Companion;
use crate::output::transfer::{Manner, Placed, Rehearsal, Transfer, place};
use crate::output::{Best, Terminal, folder_names, moves_log};
use crate::score::Views;
use crate::text::printable;

/// How photos are sorted.
pub struct SortPlan {
    /// The folder in which the labels' folders are.
    pub into: PathBuf,
    /// How a photo is put into its folder.
    pub manner: Manner,
    /// Whether nothing is written, and only what would go where is returned.
    pub is_rehearsal: bool,
    /// What went where is written here before the next photo goes.
    pub log: Option<Destination>,
}

/// Puts photos into folders.
pub struct Sorter<'a> {
    classifier: Classifier<'a>,
    grouping: Grouping,
    /// The folder of each label or group.
    folders: HashMap<String, String>,
    plan: SortPlan,
    rehearsal: Rehearsal,
    /// Files that went with a photo, which may be inputs themselves.
    gone_along: HashSet<PathBuf>,
}

/// Where a photo was, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sorted {
    /// Where it was.
    pub from: PathBuf,
    /// Where it is and why; `None` if it stays, because no label fits well enough.
    pub to: Option<(PathBuf, Placed, Best)>,
    /// How many files went with it.
    pub n_along: usize,
}

impl Sorted {
    /// A line about it: for a program where it was and where it is, for a person also why. `folder` is that of the labels'
    /// folders.
    pub fn line(&self, folder: &Path, terminal: Option<Terminal>) -> String {
        const STAYS: &str = "stays: no label reaches the threshold";
        let from = shown(&self.from);
        let Some((to, placed, best)) = &self.to else {
            return match terminal {
                Some(terminal) => Best::moved(None, terminal, &from, STAYS),
                None => format!("{from} {STAYS}"),
            };
        };
        let mut note = match placed {
            Placed::New => String::new(),
            Placed::WasThere => " (was there)".to_owned(),
        };
        if self.n_along > 0 {
            note += &format!(" (with {})", counted(self.n_along, "file"));
        }
        let Some(terminal) = terminal else {
            return format!("{from} -> {}{note}", shown(to));
        };
        let below = to.strip_prefix(folder).unwrap_or(to);
        let is_renamed = below.file_name() != self.from.file_name();
        let folder = below.parent().filter(|_| !is_renamed);
        let to = folder.map_or_else(|| shown(below), |folder| shown(folder) + "/");
        Best::moved(Some(best), terminal, &from, &(to + &note))
    }
}

/// A path as a terminal can show it. Bytes that are not UTF-8 are escaped too.
fn shown(path: &Path) -> String {
    printable(&Name::from(path).to_string()).into_owned()
}

impl<'a> Sorter<'a> {
    /// `shelves` are the labels, or the groups if labels are grouped; each gets a folder.
    pub fn new(classifier: Classifier<'a>, grouping: Grouping, shelves: &[String], plan: SortPlan) -> Self {
        Sorter {
            classifier,
            grouping,
            folders: shelves.iter().cloned().zip(folder_names(shelves)).collect(),
            plan,
            rehearsal: Rehearsal::default(),
            gone_along: HashSet::new(),
        }
    }

    /// The folder in which the labels' folders are.
    pub fn folder(&self) -> &Path {
        &self.plan.into
    }

    /// Whether an input went along with an earlier photo, so that there is nothing left to do.
    pub fn has_gone_along(&self, item: &Item) -> bool {
        matches!(&item.content, Content::File(path) if self.gone_along.contains(path))
    }

    /// What the user should know of labels that records brought since this was last called.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        self.classifier.take_notices()
    }

    /// Puts a photo, as the model saw it, into the folder of its best label.
    ///
    /// # Errors
    /// [`Error::Picture`] for an image that is not a file; [`Error::Write`]; as [`Classifier::answer`].
    pub fn sort(&mut self, item: &Item, views: &Views) -> Result<Sorted> {
        let Content::File(from) = &item.content else {
            return Err(Error::Picture {
                name: item.name.to_string(),
                problem: "only files can be sorted".into(),
                hint: Some("save it to a file first".into()),
            });
        };
        let answer = self.classifier.answer(item, views)?;
        let best = match self.grouping {
            Grouping::None => Best::of(&answer.labels, &[]),
            Grouping::ByGroup => Best::of(&[], &answer.groups),
        };
        let Some(best) = best else {
            return Ok(Sorted {
                from: from.clone(),
                to: None,
                n_along: 0,
            });
        };
        let transfers = self.place(from, &self.plan.into.join(self.folder_of(&best.answer)))?;
        let [photo, along @ ..] = &transfers[..] else {
            unreachable!("the photo is the first");
        };
        let along_from = along.iter().map(|transfer| transfer.from.clone());
        self.gone_along.extend(along_from);
        Ok(Sorted {
            from: from.clone(),
            to: Some((photo.to.clone(), photo.placed, best)),
            n_along: along.len(),
        })
    }

    fn place(&mut self, from: &Path, folder: &Path) -> Result<Vec<Transfer>> {
        let name = Path::new(from.file_name().unwrap_or(from.as_os_str()));
        let companions = Companion::of(from);
        let manner = self.plan.manner;
        let transfers = match self.plan.is_rehearsal {
            true => self.rehearsal.place(from, folder, name, &companions)?,
            false => place(from, folder, name, &companions, manner)?,
        };
        if let Some(log) = &mut self.plan.log {
            let mut lines = transfers.iter();
            let written = lines.try_for_each(|transfer| moves_log::write_line(log, transfer, manner));
            written.and_then(|()| log.flush()).map_err(|source| log.error(source))?;
        }
        Ok(transfers)
    }

    /// The folder of a label or a group, which may be from a record's own labels.
    fn folder_of(&self, shelf: &str) -> String {
        match self.folders.get(shelf) {
            Some(folder) => folder.clone(),
            None => folder_names(&[shelf.to_owned()]).swap_remove(0),
        }
    }
}
