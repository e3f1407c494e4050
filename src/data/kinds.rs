//! The table of kinds of data sets, and how a path becomes one of them.
//!
//! A path is of the first kind that it looks like. A training refuses a folder that looks like several, since either reading would
//! leave something out.

use std::path::{Path, PathBuf};

use super::kind::{Candidate, DataOptions, Kind, Opened, Purpose};
#[cfg(any(feature = "arrow", feature = "parquet"))]
use super::tables;
use super::{caption_folders, cifar, class_folders, coco, flickr, records, table, webdataset};
use crate::error::{Error, Result};

/// All kinds. A path is tried in this order.
pub const KINDS: &[Kind] = &[
    cifar::KIND,
    caption_folders::KIND,
    webdataset::KIND,
    #[cfg(feature = "parquet")]
    tables::PARQUET,
    #[cfg(feature = "arrow")]
    tables::ARROW,
    class_folders::KIND,
    coco::KARPATHY,
    coco::COCO,
    flickr::TOKENS,
    flickr::TABLE,
    table::KIND,
    records::SHAREGPT4V,
    records::RECORDS,
];

/// Opens the data set at a path.
///
/// # Errors
/// [`Error::Usage`] if it is of no known kind or has no sample, or if a field for captions is named and there are no fields;
/// [`Error::Read`] if it can't be read.
pub(crate) fn open(path: &Path, options: &DataOptions) -> Result<Opened> {
    let kind = kind_of(path, options)?;
    if let (Some(field), false) = (&options.caption_field, kind.has_fields) {
        return Err(Error::usage(
            format!(
                "the field `{field}` was named for captions; {} have no fields to choose from",
                kind.name
            ),
            "leave it out: it is for records and tables",
        ));
    }
    open_one(kind, &[path.to_owned()], options)
}

/// Opens the data sets at some paths, in that order, but with those that are joined at the end.
///
/// # Errors
/// As [`open`], and [`Error::Usage`] for a folder that could be read in several ways.
pub(crate) fn open_all(paths: &[PathBuf], options: &DataOptions) -> Result<Vec<Opened>> {
    let mut found: Vec<(&Kind, Vec<PathBuf>)> = Vec::new();
    for path in paths {
        let kind = kind_of(path, options)?;
        match found
            .iter_mut()
            .find(|(known, _)| kind.is_joined && known.name == kind.name)
        {
            Some((_, paths)) => paths.push(path.clone()),
            None => found.push((kind, vec![path.clone()])),
        }
    }
    found.sort_by_key(|(kind, _)| kind.is_joined);
    let opened = found.into_iter().map(|(kind, paths)| open_one(kind, &paths, options));
    opened.collect()
}

fn open_one(kind: &Kind, paths: &[PathBuf], options: &DataOptions) -> Result<Opened> {
    let opened = (kind.open)(paths, options)?;
    if opened.source.len() > 0 {
        return Ok(opened);
    }
    let problem = match opened.unusable.first() {
        Some(first) => format!("; the first problem is: {}", first.error),
        None => String::new(),
    };
    // Images that are in no folder of a class: their class is all that is missing.
    let are_unsorted = kind.name == class_folders::KIND.name && !opened.unusable.is_empty();
    let hint = match are_unsorted && options.purpose != Purpose::Retrieval {
        true => {
            let class = paths[0].join("cat").join("");
            format!(
                "move the images of each class into a folder such as `{}`; {}",
                class.display(),
                expected()
            )
        }
        false => expected(),
    };
    Err(Error::usage(
        format!("found no sample in {}{problem}", quoted(paths)),
        hint,
    ))
}

/// What kind of data set a path is.
fn kind_of(path: &Path, options: &DataOptions) -> Result<&'static Kind> {
    let candidate = Candidate::new(path, options)?;
    if candidate.is_blank() {
        return Err(Error::usage(format!("`{}` is empty", path.display()), expected()));
    }
    let mut fitting = KINDS
        .iter()
        .filter_map(|kind| Some((kind, (kind.looks_like)(&candidate)?)));
    let Some((kind, sign)) = fitting.next() else {
        // Its reader says what is wrong in the folder.
        return match candidate.is_folder {
            true => Ok(&class_folders::KIND),
            false => Err(Error::usage(
                format!("`{}` is not a data set", path.display()),
                expected(),
            )),
        };
    };
    let others: Vec<(&Kind, String)> = match candidate.is_folder && options.purpose == Purpose::Training {
        true => fitting.collect(),
        false => Vec::new(),
    };
    if others.is_empty() {
        return Ok(kind);
    }
    let mut all = vec![(kind, sign)];
    all.extend(others);
    let signs: Vec<String> = all
        .iter()
        .map(|(kind, sign)| format!("{} (`{sign}`)", kind.name))
        .collect();
    let file = all
        .iter()
        .rev()
        .map(|(_, sign)| path.join(sign))
        .find(|path| path.is_file());
    Err(Error::usage(
        format!(
            "`{}` holds {}: only one of them can be meant",
            path.display(),
            signs.join(" and ")
        ),
        format!(
            "name the data itself, such as `{}`, or move the other data elsewhere",
            file.unwrap_or(path.join(&all[0].1)).display()
        ),
    ))
}

/// What would be a data set.
fn expected() -> String {
    let mut kinds: Vec<&str> = KINDS.iter().map(|kind| kind.what).collect();
    kinds.dedup();
    format!("a data set is one of: {}", kinds.join("; "))
}

/// Paths as a message names them.
pub(crate) fn quoted(paths: &[PathBuf]) -> String {
    let names: Vec<String> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::testing::{file, fixture, folder, hint_of, options, refused, said};
    use crate::input::testing::{archive_of, slashed};

    /// A data set of a kind. A new kind needs one here.
    fn example(kind: &str) -> (tempfile::TempDir, PathBuf) {
        let published = |path: &str| (tempfile::tempdir().unwrap(), fixture(path));
        match kind {
            "CIFAR" => file("test_batch.bin", vec![0; 3073]),
            "folders of images and captions" => published("pairs/Urban1k"),
            "WebDataset tars" => file("a.tar", archive_of(&[("1.jpg", b"1"), ("1.txt", b"A cat.")])),
            #[cfg(all(feature = "arrow", feature = "parquet"))]
            "Parquet" | "Arrow" => file("rows", tables::tests::example(kind)),
            "class folders" => folder(&["cat/1.jpg", "dog/1.jpg"]),
            "Karpathy's splits" => published("pairs/flickr30k/dataset_flickr30k.json"),
            "COCO captions" => published("pairs/coco/annotations/captions_val2017.json"),
            "Flickr30k's token file" => published("pairs/flickr30k/results_20130124.token"),
            "Flickr30k's results.csv" => published("pairs/flickr30k/results.csv"),
            "a table of paths and labels" => file("a.csv", "path,label\na.jpg,cat\n"),
            "ShareGPT4V json" => published("pairs/share-captioner.json"),
            "records" => published("pairs/pairs.ndjson"),
            other => panic!("add an example of `{other}` here, and a line in docs/data.md"),
        }
    }

    #[test]
    fn each_kind_is_recognised_and_documented() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/data.md");
        let documented = fs::read_to_string(docs).unwrap();
        for kind in KINDS {
            let (_dir, path) = example(kind.name);
            let opened = open(&path, &options(Purpose::Retrieval)).unwrap();
            assert_eq!(opened.kind.name, kind.name);
            assert!(
                documented.contains(&format!("| {} |", kind.name)),
                "`{}` has no line in docs/data.md",
                kind.name
            );
        }
    }

    #[test]
    fn files_of_text_may_be_utf16() {
        for (name, text) in [
            ("a.csv", "path,label\na.jpg,cat\n"),
            ("a.ndjson", "{\"path\":\"a.jpg\",\"label\":\"cat\"}\n"),
            ("a.json", "[{\"path\":\"a.jpg\",\"label\":\"cat\"}]"),
        ] {
            for mark in ["", "\u{feff}"] {
                let text = format!("{mark}{text}");
                let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                let (_dir, path) = file(name, bytes);
                let opened = open(&path, &options(Purpose::ZeroShot)).unwrap();
                let class = opened.source.read(0).unwrap().class;
                assert_eq!(class, Some(crate::data::ClassOf::Name("cat".into())), "{name}");
            }
        }
        for name in [
            "coco/annotations/captions_val2017.json",
            "flickr30k/results_20130124.token",
        ] {
            let text = fs::read_to_string(fixture("pairs").join(name)).unwrap();
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
            let (_dir, path) = file(Path::new(name).file_name().unwrap().to_str().unwrap(), bytes);
            assert!(
                open(&path, &options(Purpose::Retrieval)).unwrap().source.len() > 1,
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_not_a_data_set_is_refused_with_what_would_be() {
        let (_dir, root) = folder(&["words.txt", "notes/a.txt"]);
        fs::write(root.join("blank.ndjson"), "\u{feff}\n\n").unwrap();
        fs::write(root.join("empty.json"), "[]").unwrap();
        for (name, expected) in [
            ("words.txt", "words.txt` is not a data set"),
            ("blank.ndjson", "blank.ndjson` is empty"),
            ("empty.json", "found no sample in"),
            ("notes", "found no sample in"),
            ("gone", "cannot read"),
        ] {
            for purpose in [Purpose::Training, Purpose::ZeroShot, Purpose::Retrieval] {
                let (problem, hint) = refused(&root.join(name), purpose);
                assert!(problem.contains(expected), "{problem}");
                assert_eq!(
                    hint.contains("a data set is one of: CIFAR-10"),
                    name != "gone",
                    "{hint}"
                );
            }
        }
    }

    #[test]
    fn a_folder_of_several_kinds_of_data_is_refused_for_training() {
        let trained = |names: &[&str]| {
            let (dir, root) = folder(names);
            for name in names {
                let bytes = match name.rsplit('.').next().unwrap() {
                    "tar" => archive_of(&[("1.jpg", b"1"), ("1.txt", b"y")]),
                    "json" => b"{\n  \"count\": 2\n}".to_vec(),
                    "ndjson" => br#"{"path": "a/1.jpg", "text": "A cat."}"#.to_vec(),
                    _ => continue,
                };
                fs::write(root.join(name), bytes).unwrap();
            }
            let words = match open(&root, &options(Purpose::Training)) {
                Ok(data) => [vec![data.source.about()], said(&data.unusable)].concat().join("; "),
                Err(error) => format!("{error}; {}", hint_of(&error)),
            };
            slashed(&words.replace(dir.path().to_str().unwrap(), ""))
        };
        assert_eq!(
            trained(&["cat/1.jpg", "dog/1.jpg", "backup.tar"]),
            "`/data` holds WebDataset tars (`backup.tar`) and class folders (`cat`): only one of them can be meant; name the data \
             itself, such as `/data/backup.tar`, or move the other data elsewhere"
        );
        assert_eq!(
            trained(&["0.tar", "1.tar", "captions.ndjson"]),
            "`/data` holds WebDataset tars (`0.tar`) and records (`captions.ndjson`): only one of them can be meant; name the data \
             itself, such as `/data/captions.ndjson`, or move the other data elsewhere"
        );
        assert_eq!(
            trained(&["captions.ndjson"]),
            "`/data` is not a data set itself, but holds files of records; name the file"
        );
        // What tools leave next to archives, and what macOS does.
        let stray = ["0.tar", "0_stats.json", "._0.tar", "notes/a.txt"];
        assert_eq!(trained(&stray), "1 sample of 1 tar");
        assert_eq!(
            trained(&["0.tar", "preview.jpg"]),
            "1 sample of 1 tar; cannot use the sample `/data/preview.jpg`: it is next to tars, and in none of them"
        );
    }
}
