//! WebDataset tars of `KEY.jpg` (or another picture) with `KEY.cls`, a class's name or its number from 0.
//!
//! Names of the classes stand in `classnames.txt`, one a line, in the folder of the tars or the one above it, and templates in
//! `zeroshot_classification_templates.txt` with `{c}` for the name: so do the data sets of CLIP_benchmark.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Class, DataSet, Sample, Truth, compared};
use crate::error::{Error, Result};
use crate::eval::{Picture, Shelf, Unusable, pictures};
use crate::input::records::unusable;
use crate::input::shards::{Group, Met, Range, Shards};
use crate::labels::{Template, files};

/// Where names of classes stand.
const NAMES: [&str; 3] = ["classnames.txt", "classes.txt", "labels.txt"];
const TEMPLATES: &str = "zeroshot_classification_templates.txt";
/// The most bytes of a class's name.
const CLASS_BYTES_MAX: usize = 4096;

struct Tars {
    shards: Shards,
    pictures: Vec<Range>,
    stamp: String,
}

impl Shelf for Tars {
    fn read(&self, i: usize) -> Result<Vec<u8>> {
        self.shards.bytes(self.pictures[i])
    }

    fn stamp(&self) -> String {
        self.stamp.clone()
    }
}

/// A sample whose class is still to be read.
struct Member {
    name: String,
    picture: Range,
    class: Range,
}

pub(super) fn open(paths: &[PathBuf], scratch: &Path) -> Result<DataSet> {
    let mut data = DataSet::new("WebDataset tars");
    let mut members = Vec::new();
    let (mut lonely, mut damaged) = (Vec::new(), Vec::new());
    let shards = Shards::open(paths, scratch, |met| match met {
        Met::Key(group) => match member(&group) {
            Ok(member) => members.extend(member),
            Err(problem) => lonely.push((group.name(), problem)),
        },
        Met::End(_, None) => {}
        Met::End(path, Some(source)) => damaged.push(Unusable {
            place: path.display().to_string(),
            error: Error::read(path)(source),
        }),
    })?;
    lonely
        .into_iter()
        .for_each(|(name, problem)| data.leave_out(name, problem));
    data.unusable.extend(damaged);
    let mut truths = Vec::new();
    let mut pictures_at = Vec::new();
    for Member { name, picture, class } in members {
        match shards.bytes(class).and_then(|bytes| truth(&name, bytes)) {
            Ok(truth) => {
                truths.push((name, truth));
                pictures_at.push(picture);
            }
            Err(error) => data.unusable.push(Unusable { place: name, error }),
        }
    }
    let stamps: Vec<String> = paths.iter().map(|path| pictures::file_stamp(path)).collect();
    let tars: Arc<dyn Shelf> = Arc::new(Tars {
        shards,
        pictures: pictures_at,
        stamp: stamps.join(" "),
    });
    let mut names = HashSet::new();
    for (i, (name, truth)) in truths.into_iter().enumerate() {
        let place = of_its_own(name, &mut names);
        let picture = Picture::on_shelf(place.clone(), Arc::clone(&tars), i);
        data.samples.push(Sample { picture, truth, place });
    }
    if let Some(first) = paths.first() {
        data.classes = classes(first)?;
        data.templates = templates(first)?;
    }
    Ok(data)
}

/// The name, or, where a sample before has it, one that none has: a key may come again in an archive, of another picture.
fn of_its_own(name: String, names: &mut HashSet<String>) -> String {
    let mut own = name.clone();
    let mut times = 1;
    while !names.insert(own.clone()) {
        times += 1;
        own = format!("{name} ({times})");
    }
    own
}

fn member(group: &Group<'_>) -> std::result::Result<Option<Member>, &'static str> {
    let class = group.member("cls").or_else(|| group.member("cls.txt"));
    match (group.picture(), class) {
        (Some(picture), Some(class)) => Ok(Some(Member {
            name: group.name(),
            picture,
            class,
        })),
        (Some(_), None) => Err("it has no class: a member `.cls` beside the picture"),
        (None, Some(_)) => Err("it has no picture: a member `.jpg` or the like beside the class"),
        (None, None) => Ok(None),
    }
}

fn truth(name: &str, bytes: Vec<u8>) -> Result<Truth> {
    let said = String::from_utf8(bytes)
        .ok()
        .filter(|text| text.len() <= CLASS_BYTES_MAX);
    match said.as_deref().map(str::trim) {
        Some("") => Err(unusable(name, "its `.cls` is empty")),
        Some(class) => Ok(Truth::Name(class.to_owned())),
        None => Err(unusable(name, "its `.cls` is no name and no number")),
    }
}

/// A file of the data set, beside its tars or in the folder above.
fn beside(tar: &Path, names: &[&str]) -> Option<PathBuf> {
    let folder = tar.parent().unwrap_or(Path::new(""));
    let folders = [folder.to_owned(), folder.join("..")];
    let mut places = folders
        .iter()
        .flat_map(|folder| names.iter().map(|name| folder.join(name)));
    places.find(|path| path.is_file())
}

fn classes(tar: &Path) -> Result<Vec<Class>> {
    let Some(path) = beside(tar, &NAMES) else {
        return Ok(Vec::new());
    };
    let class = |name: String| Class {
        name: compared(&name),
        key: name,
    };
    Ok(files::read_texts(&path)?.into_iter().map(class).collect())
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
                "mend the file, or choose others by `--template` or `--templates`",
            )
        })
    };
    files::read_texts(&path)?.into_iter().map(template).collect()
}
