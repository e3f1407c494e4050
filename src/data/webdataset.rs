//! WebDataset tars, plain or compressed, or a folder of them: `KEY.jpg` (or another image) with a caption as `KEY.txt`, a class as
//! `KEY.cls`, or a record as `KEY.json` (img2dataset writes both captions).
//!
//! A class is a name or a number. Names of numbered classes are in `classnames.txt`, one per line, in the folder of the tars or the one
//! above it, and templates in `zeroshot_classification_templates.txt` with `{c}` for the name, as in the data sets of CLIP_benchmark.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::Sha256;

use super::image::{Image, Shelf, file_stamp};
use super::kind::{Candidate, CaptionProtocol, DataOptions, Kind, Opened, Purpose, Split, entries_of, file_name};
use super::record_file::Record;
use super::records::describe;
use super::sample::{Class, ClassOf, Sample, Source};
use super::tar_index::{Found, Group, MemberSpan, TarIndex};
use super::unusable::{Unusable, unusable};
use crate::error::{Error, Result, counted};
use crate::input::{archive, is_named_like_a_picture};
use crate::labels::{Template, files};
use crate::plain_text::utf8;

pub(super) const KIND: Kind = Kind {
    name: "WebDataset tars",
    what: "a WebDataset tar of images with `txt`, `cls` or `json` members, or a folder of such tars",
    looks_like,
    open,
    // Packed archives are unpacked into one file.
    is_joined: true,
    has_fields: false,
    protocol: CaptionProtocol::WHOLE,
};

fn looks_like(candidate: &Candidate<'_>) -> Option<String> {
    if candidate.is_folder {
        let folder = Folder::look(candidate.path, candidate.options).ok()?;
        let first = folder.archives.first()?;
        return Some(
            first
                .strip_prefix(candidate.path)
                .unwrap_or(first)
                .display()
                .to_string(),
        );
    }
    let is_text = matches!(candidate.text().first(), Some(b'{' | b'['));
    let is_it = archive::begins_like_one(&candidate.head) || archive::is_named_like_one(candidate.path);
    (is_it && !is_text).then(|| file_name(candidate.path))
}

/// A folder of tars, or that of its split in which they are.
#[derive(Default)]
struct Folder {
    archives: Vec<PathBuf>,
    /// Images next to the archives.
    loose: Vec<PathBuf>,
}

impl Folder {
    fn look(path: &Path, options: &DataOptions) -> Result<Self> {
        let mut found = Folder::default();
        let split = match options.split {
            Split::Test => path.join("test"),
            Split::Train => path.join("train"),
        };
        for folder in [path.to_owned(), split] {
            if folder.is_dir() && found.archives.is_empty() {
                found.loose.clear();
                for file in entries_of(&folder)?.into_iter().filter(|path| path.is_file()) {
                    match archive::is_named_like_one(&file) {
                        true => found.archives.push(file),
                        false if is_named_like_a_picture(&file) => found.loose.push(file),
                        false => {}
                    }
                }
            }
        }
        Ok(found)
    }
}

/// A sample whose image and description are known by where they are.
struct Member {
    name: Box<str>,
    image: MemberSpan,
    description: Description,
}

/// What says what an image shows.
enum Description {
    Caption(MemberSpan),
    Class(MemberSpan),
    Record(MemberSpan),
}

impl Description {
    fn span(&self) -> &MemberSpan {
        match self {
            Description::Caption(span) | Description::Class(span) | Description::Record(span) => span,
        }
    }

    /// What the purpose needs of a key's members.
    fn of(group: &Group<'_>, purpose: Purpose) -> Option<Self> {
        let text = match purpose {
            Purpose::ZeroShot => group.member("cls").or(group.member("cls.txt")).map(Description::Class),
            Purpose::Training | Purpose::Retrieval => group.member("txt").map(Description::Caption),
        };
        text.or_else(|| group.member("json").map(Description::Record))
    }
}

struct Tars {
    index: TarIndex,
    n_archives: usize,
    members: Vec<Member>,
    stamp: String,
}

impl Shelf for Tars {
    fn read(&self, i: usize) -> Result<Vec<u8>> {
        self.index.bytes(&self.members[i].image)
    }

    fn stamp(&self) -> String {
        self.stamp.clone()
    }
}

fn open(paths: &[PathBuf], options: &DataOptions) -> Result<Opened> {
    let (mut archives, mut reported) = (Vec::new(), Report::default());
    for path in paths {
        if path.is_dir() {
            let folder = Folder::look(path, options)?;
            archives.extend(folder.archives);
            if options.purpose == Purpose::Training {
                let loose = folder.loose.iter().map(|image| image.display().to_string());
                let problem = "it is next to tars, and in none of them";
                reported
                    .unusable
                    .extend(loose.map(|image| Unusable::new(image, problem)));
            }
        } else {
            archives.push(path.clone());
        }
    }
    let (mut members, mut names) = (Vec::new(), HashSet::new());
    let mut n_before = 0;
    let index = TarIndex::open(&archives, &options.scratch, |found| match found {
        Found::Key(group) => {
            reported.last_incomplete_was_whole();
            match member(&group, options.purpose) {
                Ok(Some(member)) => members.push(Member {
                    name: unique(member.name, &mut names),
                    ..member
                }),
                Ok(None) => {}
                Err(problem) => reported.last_incomplete = Some(Unusable::new(group.name(), problem)),
            }
        }
        Found::End(path, damage) => {
            reported.end(path, members.len() - n_before, damage, options.purpose);
            n_before = members.len();
        }
    })?;
    let stamps: Vec<String> = archives.iter().map(|path| file_stamp(path)).collect();
    let tars = Arc::new(Tars {
        index,
        n_archives: archives.len(),
        members,
        stamp: stamps.join(" "),
    });
    let source = WebDataset {
        tars,
        options: options.clone(),
    };
    let mut opened = Opened::new(&KIND, source, reported.unusable);
    opened.files = archives.clone();
    if let (Purpose::ZeroShot, Some(first)) = (options.purpose, archives.first()) {
        opened.classes = classes(first)?;
        opened.templates = templates(first)?;
        let lists = [beside(first, &CLASS_NAMES), beside(first, &[TEMPLATES])];
        opened.files.extend(lists.into_iter().flatten());
    }
    Ok(opened)
}

/// What of archives can't be used.
#[derive(Default)]
struct Report {
    unusable: Vec<Unusable>,
    /// The last key, if it lacked a member.
    last_incomplete: Option<Unusable>,
}

impl Report {
    fn last_incomplete_was_whole(&mut self) {
        self.unusable.extend(self.last_incomplete.take());
    }

    /// At the end of an archive that had this many samples.
    fn end(&mut self, path: &Path, n_samples: usize, damage: Option<io::Error>, purpose: Purpose) {
        let name = path.display().to_string();
        let used = match n_samples {
            0 => "no sample comes before that".to_owned(),
            1 => "the 1 sample before that is used".to_owned(),
            n => format!("the {n} samples before that are used"),
        };
        let Some(source) = damage else {
            self.last_incomplete_was_whole();
            if n_samples == 0 && purpose == Purpose::Training {
                let problem = "it holds no sample: an image `KEY.jpg` and a caption `KEY.txt` or `KEY.json`";
                self.unusable.push(Unusable::new(name, problem));
            }
            return;
        };
        // The key right before the damage is incomplete because of the damage, which is reported instead.
        self.last_incomplete = None;
        self.unusable.push(Unusable {
            place: name,
            error: Error::read(path)(io::Error::new(source.kind(), format!("{source}; {used}"))),
        });
    }
}

/// The sample of a key's members; `None` if they are of no use, and what is missing if only one is.
fn member(group: &Group<'_>, purpose: Purpose) -> std::result::Result<Option<Member>, String> {
    let (what, ending) = match purpose {
        Purpose::ZeroShot => ("class", "`.cls`"),
        Purpose::Training | Purpose::Retrieval => ("caption", "`.txt` or `.json`"),
    };
    match (group.image(), Description::of(group, purpose)) {
        (Some(image), Some(description)) => Ok(Some(Member {
            name: group.name().into(),
            image,
            description,
        })),
        (Some(_), None) => Err(format!("it has no {what}: a member {ending} next to the image")),
        (None, Some(_)) => Err(format!(
            "it has no image: a member `.jpg` or similar next to the {what}"
        )),
        (None, None) => Ok(None),
    }
}

/// The name, with a number if an earlier sample has it: a key may come again in an archive, with another image.
fn unique(name: Box<str>, names: &mut HashSet<Box<str>>) -> Box<str> {
    let mut own = name.clone();
    let mut times = 1;
    while !names.insert(own.clone()) {
        times += 1;
        own = format!("{name} ({times})").into();
    }
    own
}

struct WebDataset {
    tars: Arc<Tars>,
    options: DataOptions,
}

impl Source for WebDataset {
    fn len(&self) -> usize {
        self.tars.members.len()
    }

    fn place(&self, i: usize) -> String {
        self.tars.members[i].name.to_string()
    }

    fn read(&self, i: usize) -> Result<Sample> {
        let (place, description) = (self.place(i), &self.tars.members[i].description);
        let bytes = self.tars.index.bytes(description.span())?;
        let shelf: Arc<dyn Shelf> = self.tars.clone();
        let mut sample = Sample::new(Image::on_shelf(place.clone(), shelf, i), place.clone());
        match description {
            Description::Caption(_) => sample.captions = vec![caption(bytes, &place)?],
            Description::Class(_) => sample.class = Some(ClassOf::Name(class(bytes, &place)?)),
            Description::Record(_) => {
                let record: Record = serde_json::from_slice(&utf8(&bytes))
                    .map_err(|error| unusable(&place, format!("its `.json` is not a JSON object: {error}")))?;
                describe(&mut sample, &record, &self.options)?;
            }
        }
        Ok(sample)
    }

    fn file(&self, i: usize) -> Option<&Path> {
        Some(self.tars.index.archive(&self.tars.members[i].image))
    }

    fn outline(&self, hash: &mut Sha256) {
        for Member { image, description, .. } in &self.tars.members {
            image.outline(hash);
            description.span().outline(hash);
        }
    }

    fn about(&self) -> String {
        let tars = counted(self.tars.n_archives, "tar");
        format!("{} of {tars}", counted(self.len(), "sample"))
    }
}

fn caption(bytes: Vec<u8>, place: &str) -> Result<String> {
    let bytes = utf8(&bytes);
    let text = std::str::from_utf8(&bytes).map_err(|_| unusable(place, "its caption is not UTF-8"))?;
    match text.trim() {
        "" => Err(unusable(place, "its caption is empty")),
        caption => Ok(caption.to_owned()),
    }
}

/// The most bytes of a class's name.
const CLASS_BYTES_MAX: usize = 4096;

fn class(bytes: Vec<u8>, place: &str) -> Result<String> {
    let bytes = utf8(&bytes);
    let text = std::str::from_utf8(&bytes).ok();
    let text = text.filter(|text| text.len() <= CLASS_BYTES_MAX);
    match text.map(str::trim) {
        Some("") => Err(unusable(place, "its `.cls` is empty")),
        Some(class) => Ok(class.to_owned()),
        None => Err(unusable(place, "its `.cls` is neither a name nor a number")),
    }
}

/// Files that name classes.
const CLASS_NAMES: [&str; 3] = ["classnames.txt", "classes.txt", "labels.txt"];
const TEMPLATES: &str = "zeroshot_classification_templates.txt";

/// A file of the data set, next to its tars or in the folder above.
fn beside(tar: &Path, names: &[&str]) -> Option<PathBuf> {
    let folder = tar.parent().unwrap_or(Path::new(""));
    let folders = [folder.to_owned(), folder.join("..")];
    let mut paths = folders
        .iter()
        .flat_map(|folder| names.iter().map(|name| folder.join(name)));
    paths.find(|path| path.is_file())
}

fn classes(tar: &Path) -> Result<Vec<Class>> {
    // A blank line has a number too; those at the end have none.
    let mut names = beside(tar, &CLASS_NAMES).map_or(Ok(Vec::new()), |path| files::read_text_lines(&path))?;
    let n_names = names
        .iter()
        .rposition(|name| !name.is_empty())
        .map_or(0, |last| last + 1);
    names.truncate(n_names);
    Ok(names.into_iter().map(Class::new).collect())
}

fn templates(tar: &Path) -> Result<Vec<Template>> {
    let Some(path) = beside(tar, &[TEMPLATES]) else {
        return Ok(Vec::new());
    };
    let template = |text: String| {
        Template::new(&text.replace("{c}", "{}")).map_err(|_| {
            Error::usage(
                format!(
                    "`{}`: the template `{text}` has no `{{c}}` for the class",
                    path.display()
                ),
                "fix the file, or choose other templates",
            )
        })
    };
    files::read_texts(&path)?.into_iter().map(template).collect()
}

#[cfg(test)]
mod tests;
