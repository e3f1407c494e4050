//! Pictures with their captions, as benchmarks publish them: a file a kind of data.
//!
//! Called by `longclip eval retrieval`. All captions are held, pictures are named only. What can't be used is listed with
//! file and place: an evaluation that leaves something out measures something else, so it is refused unless the person
//! says otherwise ([`PairOptions::most_unusable`]), and then counted. A new kind is a file here and an arm in [`kind`] and `read`.

mod coco;
mod flickr;
mod folders;
mod kind;
mod records;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use self::kind::Kind;
use super::ranks::Belonging;
use crate::error::{Error, Result};
use crate::eval::Unusable;
use crate::text::first_sentence;

/// What is taken of data.
#[derive(Debug, Clone, Default)]
pub struct PairOptions {
    /// The folder that pictures' names start from; where the kind of data has them if `None`.
    pub images: Option<PathBuf>,
    /// The field of records that holds captions; the first known one if `None`.
    pub text_field: Option<String>,
    /// Only pictures of this split.
    pub split: Option<String>,
    /// Only so many pictures, from the front.
    pub first: Option<usize>,
    /// What is taken of each caption; as upstream takes it for this kind of data if `None`.
    pub part: Option<Part>,
    /// The most captions of a picture, from the front; as upstream takes them for this kind of data if `None`.
    pub captions_per_picture: Option<PerPicture>,
    /// How much of the data may be unusable; with more, it is refused.
    pub most_unusable: u64,
}

/// What is taken of a caption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// All of it.
    Whole,
    /// All up to the first end of a line.
    FirstLine,
    /// All up to the first full stop with a space, as Long-CLIP's training takes it.
    FirstSentence,
}

impl Part {
    /// As a protocol says it.
    pub fn name(self) -> &'static str {
        match self {
            Part::Whole => "whole captions",
            Part::FirstLine => "the first line of each caption",
            Part::FirstSentence => "the first sentence of each caption",
        }
    }

    fn of(self, caption: &str) -> &str {
        match self {
            Part::Whole => caption,
            Part::FirstLine => caption.lines().next().unwrap_or_default(),
            Part::FirstSentence => first_sentence(caption),
        }
    }
}

/// How many captions a picture may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerPicture {
    /// All that there are.
    All,
    /// The first ones.
    AtMost(usize),
}

/// A picture with its captions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captioned {
    /// The picture's file.
    pub path: PathBuf,
    /// At least one, none of them empty.
    pub captions: Vec<String>,
}

/// A benchmark's pictures, at least one, each with its captions, in the order of the data.
#[derive(Debug)]
pub struct Pairs {
    /// What kind of data it is.
    pub kind: Kind,
    /// The pictures.
    pub pictures: Vec<Captioned>,
    /// What was taken of each caption.
    pub part: Part,
    /// How many captions a picture may have.
    pub captions_per_picture: PerPicture,
    /// What could not be used.
    pub left_out: Vec<Unusable>,
}

impl Pairs {
    /// Reads what `data` names.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is no such data, is damaged, or has no picture left; [`Error::Read`].
    pub fn open(data: &Path, options: &PairOptions) -> Result<Self> {
        let kind = kind::tell(data)?;
        let mut found = kind.read(data, options)?;
        let part = options.part.unwrap_or(kind.upstreams_part());
        let captions_per_picture = options.captions_per_picture.unwrap_or(kind.upstreams_captions());
        let chosen = chosen(data, std::mem::take(&mut found.entries), options)?;
        let images = images_folder(data, kind, &chosen, options);
        let mut pictures = Vec::with_capacity(chosen.len());
        for mut entry in chosen {
            let place = std::mem::take(&mut entry.place);
            match entry.captioned(&images, part, captions_per_picture) {
                Ok(picture) => pictures.push(picture),
                Err(problem) => found.problems.push(Unusable::new(place, problem)),
            }
        }
        if found.problems.len() as u64 > options.most_unusable {
            return Err(damaged(data, &found.problems));
        }
        if pictures.is_empty() {
            let why = found
                .problems
                .first()
                .map_or(String::new(), |first| format!("; the first problem: {first}"));
            return Err(Error::usage(
                format!(
                    "`{}` has no picture with a caption that can be used{why}",
                    data.display()
                ),
                "mend the data, or name other data",
            ));
        }
        Ok(Pairs {
            kind,
            pictures,
            part,
            captions_per_picture,
            left_out: found.problems,
        })
    }

    /// Which captions belong to which pictures.
    pub fn belonging(&self) -> Belonging {
        Belonging::new(self.pictures.iter().map(|picture| picture.captions.len()))
    }

    /// All captions, picture by picture.
    pub fn captions(&self) -> impl Iterator<Item = &str> {
        self.pictures
            .iter()
            .flat_map(|picture| picture.captions.iter().map(String::as_str))
    }
}

/// What a reader finds in a file.
#[derive(Debug, Default)]
struct Found {
    entries: Vec<Entry>,
    /// What can't be used.
    problems: Vec<Unusable>,
    /// Entries by the picture's name.
    by_picture: HashMap<String, usize>,
}

/// A picture as data names it.
#[derive(Debug)]
struct Entry {
    picture: String,
    /// Where it is named first.
    place: String,
    split: Option<String>,
    captions: Vec<String>,
}

impl Found {
    /// One more caption of a picture: places that name the same picture are one picture with several captions.
    fn add(&mut self, picture: &str, split: Option<&str>, captions: Vec<String>, place: impl FnOnce() -> String) {
        if let Some(&i) = self.by_picture.get(picture) {
            self.entries[i].captions.extend(captions);
            return;
        }
        self.by_picture.insert(picture.to_owned(), self.entries.len());
        self.entries.push(Entry {
            picture: picture.to_owned(),
            place: place(),
            split: split.map(str::to_owned),
            captions,
        });
    }
}

impl Entry {
    /// The picture with its captions, or why it can't be used.
    fn captioned(self, images: &Path, part: Part, most: PerPicture) -> Result<Captioned, String> {
        let most = match most {
            PerPicture::All => usize::MAX,
            PerPicture::AtMost(n) => n,
        };
        let path = images.join(&self.picture);
        let taken = self.captions.iter().take(most);
        let captions: Vec<String> = taken.map(|caption| part.of(caption).trim().to_owned()).collect();
        if captions.is_empty() {
            return Err(format!("the picture `{}` has no caption", self.picture));
        }
        if let Some(n) = captions.iter().position(String::is_empty) {
            let which = if captions.len() == 1 {
                String::new()
            } else {
                format!(" {}", n + 1)
            };
            return Err(format!("caption{which} of `{}` is empty", self.picture));
        }
        if !path.is_file() {
            return Err(format!("there is no picture `{}`", path.display()));
        }
        Ok(Captioned { path, captions })
    }
}

/// The entries of the split that was asked for, as many as were asked for.
fn chosen(data: &Path, mut entries: Vec<Entry>, options: &PairOptions) -> Result<Vec<Entry>> {
    if let Some(split) = &options.split {
        let mut known: Vec<String> = entries.iter().filter_map(|entry| entry.split.clone()).collect();
        known.sort();
        known.dedup();
        entries.retain(|entry| entry.split.as_ref() == Some(split));
        if entries.is_empty() {
            let hint = match known.as_slice() {
                [] => "it has no splits: leave out `--split`, or take the first pictures by `--first N`".to_owned(),
                known => format!("its splits are `{}`", known.join("`, `")),
            };
            return Err(Error::usage(
                format!("`{}` has no picture of the split `{split}`", data.display()),
                hint,
            ));
        }
    }
    entries.truncate(options.first.unwrap_or(usize::MAX));
    Ok(entries)
}

/// Where pictures' names start from: the folder given, or the first of those where this kind of data has them that holds
/// the first picture.
fn images_folder(data: &Path, kind: Kind, chosen: &[Entry], options: &PairOptions) -> PathBuf {
    if let Some(images) = &options.images {
        return images.clone();
    }
    let candidates = kind.image_folders(data);
    let holds = |folder: &&PathBuf| {
        chosen
            .first()
            .is_some_and(|entry| folder.join(&entry.picture).is_file())
    };
    let found = candidates.iter().find(holds).or(candidates.first());
    found.cloned().unwrap_or_default()
}

/// Problems that are told one by one.
const TOLD: usize = 5;

fn damaged(data: &Path, problems: &[Unusable]) -> Error {
    // The file's name stands in front already.
    let name = format!("{} ", data.display());
    let told = problems.iter().take(TOLD).map(|problem| {
        let problem = problem.to_string();
        problem.strip_prefix(&name).map_or(problem.clone(), str::to_owned)
    });
    let mut told = told.collect::<Vec<_>>().join("; ");
    if problems.len() > TOLD {
        told += &format!("; and {} more", problems.len() - TOLD);
    }
    let (are, them) = match problems.len() {
        1 => ("1 thing that can't be used".to_owned(), "it"),
        n => (format!("{n} things that can't be used"), "them"),
    };
    Error::usage(
        format!("`{}` has {are}: {told}", data.display()),
        format!(
            "mend the data, name the pictures' folder by `--images`, or leave {them} out and have {them} counted by `--on-error skip`"
        ),
    )
}
