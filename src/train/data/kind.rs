//! Tells by content what data a path is; names decide only where the content can't.
//!
//! A folder is either tars or folders of classes. One that could be read in two ways is refused with what was found, since
//! either reading would leave something out.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Unusable;
use super::records::holds_captions;
use crate::error::{Error, Result, counted};
use crate::input::class_folders::{folders_of, pictures_below};
use crate::input::{Content, Skipped, archive};

pub(super) const EXPECTED: &str = "data is a file of records (`{\"path\": ..., \"long\": ...}` a line), ShareGPT4V's json, a tar with \
                                   `jpg` and `txt` members, a folder of such tars, or a folder with a folder of pictures for each class";

#[derive(Debug)]
pub(super) enum Kind {
    Records,
    /// In byte order of their names.
    Archives(Vec<PathBuf>),
    Classes,
}

/// What a path is; what lies beside it in vain goes to `skipped`.
pub(super) fn kind(path: &Path, skipped: &mut Vec<Unusable>) -> Result<Kind> {
    if path.is_dir() {
        return kind_of_folder(path, skipped);
    }
    let unreadable = Error::read(path);
    let mut start = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(archive::TELLING_BYTES)
        .read_to_end(&mut start)
        .map_err(unreadable)?;
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
    let is_whole = (start.len() as u64) < archive::TELLING_BYTES;
    if text.is_empty() && is_whole {
        return Err(Error::usage(format!("`{}` is empty", path.display()), EXPECTED));
    }
    if matches!(text.first(), Some(b'{' | b'[') | None) {
        return Ok(Kind::Records);
    }
    if archive::begins_like_one(&start) || archive::is_named_like_one(path) {
        return Ok(Kind::Archives(vec![path.to_owned()]));
    }
    Err(Error::usage(
        format!("`{}` is no data to train on", path.display()),
        EXPECTED,
    ))
}

fn kind_of_folder(folder: &Path, skipped: &mut Vec<Unusable>) -> Result<Kind> {
    let unreadable = Error::read(folder);
    let (mut archives, mut records) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") || !path.is_file() {
            continue;
        }
        if archive::is_named_like_one(&path) {
            archives.push(path);
        } else if is_named_like_records(&path) && holds_captions(&path) {
            records.push(path);
        }
    }
    if archives.is_empty() && records.is_empty() {
        return Ok(Kind::Classes);
    }
    archives.sort();
    records.sort();
    let beside = Beside::look(folder);
    if records.is_empty() && beside.class.is_none() {
        skipped.extend(beside.unusable);
        return Ok(Kind::Archives(archives));
    }
    Err(ambiguous(folder, &archives, &records, beside.class.as_deref()))
}

fn is_named_like_records(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| {
        ["ndjson", "jsonl", "json"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(ending))
    })
}

/// What pictures a folder has besides its files of data.
struct Beside {
    /// The first folder with a picture.
    class: Option<String>,
    /// Pictures that lie right in the folder, and folders that can't be read.
    unusable: Vec<Unusable>,
}

impl Beside {
    /// Looks as far as to the first folder with a picture.
    fn look(folder: &Path) -> Self {
        let mut unusable = Vec::new();
        for item in pictures_below(folder, &Skipped::default()) {
            let name = item.name.to_string();
            match item.content {
                Content::File(picture) => {
                    if let Some((class, _)) = folders_of(folder, &picture) {
                        let class = Some(class.to_string_lossy().into_owned());
                        return Beside { class, unusable };
                    }
                    unusable.push(Unusable::new(name, "it lies beside tars, and is in none"));
                }
                Content::Nothing(Some(error)) => unusable.push(Unusable { sample: name, error }),
                _ => {}
            }
        }
        Beside { class: None, unusable }
    }
}

fn ambiguous(folder: &Path, archives: &[PathBuf], records: &[PathBuf], class: Option<&str>) -> Error {
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().display().to_string();
    let files = |files: &[PathBuf], what: &str| {
        let first = files.first()?;
        let like = if files.len() == 1 { "" } else { "such as " };
        Some(format!("{} ({like}`{}`)", counted(files.len(), what), name(first)))
    };
    let found = [
        files(archives, "tar"),
        files(records, "record file"),
        class.map(|class| format!("folders of pictures (such as `{class}`)")),
    ];
    let found: Vec<String> = found.into_iter().flatten().collect();
    let so = match found.len() {
        1 => "it is no data itself",
        _ => "which is meant can't be told",
    };
    let itself = records
        .first()
        .or(archives.first())
        .map(|path| path.display().to_string());
    let elsewhere = match class {
        Some(_) => "; to train on folders of pictures as classes, move other data elsewhere",
        None => "",
    };
    Error::usage(
        format!("`{}` holds {}: {so}", folder.display(), found.join(" and ")),
        format!(
            "name the data itself, such as `{}`{elsewhere}",
            itself.unwrap_or_default()
        ),
    )
}
