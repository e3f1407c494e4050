//! Tables of images and their classes: csv and tsv.
//!
//! The first row names the columns, `path` and `label`; without such a row, the first of two columns is the path. Paths start from the
//! file's folder.

use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder, StringRecord, Trim};

use super::image::Image;
use super::kind::{CaptionProtocol, DataOptions, Kind, Opened, file_name, has_ending};
use super::sample::{ClassOf, Listed, Sample};
use super::unusable::Unusable;
use crate::error::{Error, Result};
use crate::plain_text::{LineCount, utf8};

pub(super) const KIND: Kind = Kind {
    name: "a table of paths and labels",
    what: "a csv or tsv with the columns `path` and `label`",
    looks_like: |candidate| {
        let is_it = candidate.has_ending(&["csv", "tsv"]);
        is_it.then(|| file_name(candidate.path))
    },
    open: |paths, options| open(&paths[0], options),
    is_joined: false,
    has_fields: false,
    protocol: CaptionProtocol::WHOLE,
};

const PATH: [&str; 4] = ["path", "image", "filepath", "filename"];
const LABEL: [&str; 3] = ["label", "class", "cls"];

fn open(path: &Path, options: &DataOptions) -> Result<Opened> {
    let not_a_table = |problem: String| {
        Error::usage(
            format!("`{}` is not a table of text: {problem}", path.display()),
            "save it as UTF-8; the first row names the columns: `path,label`",
        )
    };
    let bytes = std::fs::read(path).map_err(Error::read(path))?;
    let text = &*utf8(&bytes);
    let mut reader = ReaderBuilder::new()
        .delimiter(if has_ending(path, &["tsv"]) { b'\t' } else { b',' })
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(text);
    let mut rows = Rows {
        images: options.images_of(path),
        samples: Vec::new(),
        unusable: Vec::new(),
    };
    let mut lines = LineCount::new(text);
    let mut columns = None;
    let mut row = ByteRecord::new();
    while reader
        .read_byte_record(&mut row)
        .map_err(|error| not_a_table(error.to_string()))?
    {
        let line = lines.of_row(row.position().map_or(0, |position| position.byte() as usize));
        let place = format!("{} line {line}", path.display());
        let text = StringRecord::from_byte_record(row.clone());
        let Some(columns) = columns else {
            let row = text.map_err(|_| not_a_table(format!("line {line} is not UTF-8")))?;
            let (found, has_names) = columns_of(&row).ok_or_else(|| {
                Error::usage(
                    format!("`{place}`: the columns don't say which is the path and which the label"),
                    "name them in the first row: `path,label`",
                )
            })?;
            columns = Some(found);
            if !has_names {
                rows.add(&row, found, place);
            }
            continue;
        };
        match text {
            Ok(row) => rows.add(&row, columns, place),
            Err(_) => rows.unusable.push(Unusable::new(place, "it is not UTF-8")),
        }
    }
    Ok(Opened::new(&KIND, Listed(rows.samples), rows.unusable))
}

/// The columns of path and label, and whether this first row has their names.
fn columns_of(row: &StringRecord) -> Option<((usize, usize), bool)> {
    let column = |names: &[&str]| {
        let is_known = |field: &str| names.contains(&field.to_lowercase().as_str());
        row.iter().position(is_known)
    };
    match (column(&PATH), column(&LABEL)) {
        (Some(path), Some(label)) => Some(((path, label), true)),
        (None, None) if row.len() == 2 => Some(((0, 1), false)),
        _ => None,
    }
}

/// What the rows of a table hold.
struct Rows {
    images: PathBuf,
    samples: Vec<Sample>,
    unusable: Vec<Unusable>,
}

impl Rows {
    fn add(&mut self, row: &StringRecord, (path, label): (usize, usize), place: String) {
        let problem = match (row.get(path), row.get(label)) {
            _ if row.iter().any(|field| field.contains('\n')) => {
                "a field of several lines: a quote that opens here is not closed".to_owned()
            }
            (Some(path), Some(label)) if !path.is_empty() && !label.is_empty() => {
                let image = Image::file(self.images.join(path));
                let mut sample = Sample::new(image, place);
                sample.class = Some(ClassOf::Name(label.to_owned()));
                self.samples.push(sample);
                return;
            }
            _ if row.iter().all(str::is_empty) => return,
            _ => format!(
                "it has no path or no label: `{}`",
                row.iter().collect::<Vec<_>>().join(",")
            ),
        };
        self.unusable.push(Unusable::new(place, problem));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::kind::Purpose;
    use crate::data::testing::{check_said, file, read, refused};

    #[test]
    fn columns_are_named_or_two_and_problems_have_their_line() {
        for (name, text) in [
            ("a.csv", "label,path\ncat,a.jpg\n\"dog\",b.jpg\n,,\ndog\n"),
            ("b.csv", "a.jpg,cat\nb.jpg,dog\n\n\nb.jpg,\n"),
            ("c.tsv", "path\tn\tclass\na.jpg\t1\tcat\nb.jpg\t2\tdog\n\nb.jpg\t3\n"),
        ] {
            let (_dir, path) = file(name, text);
            let (samples, problems) = read(&path, Purpose::ZeroShot);
            let found: Vec<_> = samples
                .into_iter()
                .map(|sample| (sample.image.is_there(), sample.class))
                .collect();
            let expected = [(true, "cat"), (false, "dog")];
            assert_eq!(
                found,
                expected.map(|(is_there, class)| (is_there, Some(ClassOf::Name(class.into()))))
            );
            check_said(&problems, &["line 5`: it has no path or no label"]);
        }
        let (_dir, path) = file("open.csv", "a.jpg,cat\na.jpg,\"cat\na.jpg,dog\n");
        check_said(
            &read(&path, Purpose::ZeroShot).1,
            &["line 2`: a field of several lines"],
        );
        let (_dir, path) = file(
            "mixed.csv",
            b"path,label\na.jpg,cat\n\na.jpg,\xe9l\xe9phant\na.jpg,dog\n",
        );
        check_said(
            &read(&path, Purpose::ZeroShot).1,
            &["mixed.csv line 4`: it is not UTF-8"],
        );
        let (_dir, path) = file("latin.csv", b"path,\xe9,label\na.jpg,1,cat\n");
        let (problem, _) = refused(&path, Purpose::ZeroShot);
        assert!(
            problem.contains("not a table of text: line 1 is not UTF-8"),
            "{problem}"
        );
        let (_dir, path) = file("d.csv", "a,b,c\n");
        let (problem, _) = refused(&path, Purpose::ZeroShot);
        assert!(problem.contains("line 1`: the columns don't say"), "{problem}");
    }
}
