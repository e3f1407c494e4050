//! Tables in files: Parquet, and Arrow streams and files, or folders of them. A row is an image with what is known about it.
//!
//! The image is a column of encoded images, which may be a struct of `bytes` and `path` as in Hugging Face datasets, or else
//! a column of paths. All other columns are read as the fields of records are, by the same names. Texts are read separately
//! from images, so that a table can be scanned without its images, a few rows at a time.

#[cfg(feature = "arrow")]
mod arrow;
mod chunks;
mod columns;
#[cfg(feature = "parquet")]
mod parquet;

#[cfg(all(feature = "arrow", feature = "parquet"))]
#[cfg(test)]
pub(super) mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use self::chunks::{Chunk, Part};
use self::columns::Columns;
use super::image::{Image, Shelf, file_stamp};
use super::kind::{Candidate, CaptionProtocol, DataOptions, Kind, Opened, entries_of, file_name, has_ending};
use super::records::{describe, named_image};
use super::sample::{Sample, Source};
use super::unusable::{Unusable, unusable};
use crate::error::{Error, Result, counted};
use crate::input::archive;
use crate::input::cells::bytes_of;

#[cfg(feature = "parquet")]
pub(super) const PARQUET: Kind = Kind {
    name: "Parquet",
    what: "a Parquet file, or a folder of them, with columns such as `image` or `path`, and `text` or `label`",
    looks_like: |candidate| looks_like(candidate, &parquet::FORMAT),
    open: |paths, options| open(&PARQUET, &parquet::FORMAT, &paths[0], options),
    is_joined: false,
    has_fields: true,
    protocol: CaptionProtocol::WHOLE,
};

#[cfg(feature = "arrow")]
pub(super) const ARROW: Kind = Kind {
    name: "Arrow",
    what: "an Arrow stream or file with such columns, or a folder of them",
    looks_like: |candidate| looks_like(candidate, &arrow::FORMAT),
    open: |paths, options| open(&ARROW, &arrow::FORMAT, &paths[0], options),
    is_joined: false,
    has_fields: true,
    protocol: CaptionProtocol::WHOLE,
};

/// A format of files that hold rows.
struct Format {
    /// The endings of its files, by which they are found in a folder.
    endings: &'static [&'static str],
    /// Whether a file begins like one.
    begins: fn(&[u8]) -> bool,
    open: fn(&Path, &DataOptions) -> Result<LookedThrough>,
}

/// A file that was looked through.
struct LookedThrough {
    table: Box<dyn Table>,
    /// What ends it early, if anything: rows before that are used.
    damage: Option<Error>,
}

/// A file of rows.
trait Table: Send + Sync {
    fn columns(&self) -> &Columns;

    fn n_rows(&self) -> usize;

    /// The rows around this one. Columns of the other part may be missing.
    fn chunk(&self, row: usize, part: Part) -> Arc<Chunk>;
}

fn looks_like(candidate: &Candidate<'_>, format: &Format) -> Option<String> {
    if !candidate.is_folder {
        return (format.begins)(&candidate.head).then(|| file_name(candidate.path));
    }
    let entries = entries_of(candidate.path).ok()?;
    // Programs that make tars leave a table of what is in them.
    if entries.iter().any(|path| archive::is_named_like_one(path)) {
        return None;
    }
    files_in(entries, format).first().map(|file| file_name(file))
}

fn files_in(mut entries: Vec<PathBuf>, format: &Format) -> Vec<PathBuf> {
    // As readers of folders do, which have names of their own with `_`.
    entries.retain(|path| has_ending(path, format.endings) && path.is_file() && !file_name(path).starts_with('_'));
    entries
}

fn open(kind: &'static Kind, format: &Format, path: &Path, options: &DataOptions) -> Result<Opened> {
    let files = match path.is_dir() {
        true => files_in(entries_of(path)?, format),
        false => vec![path.to_owned()],
    };
    let (mut tables, mut damaged, mut n_rows) = (Vec::new(), Vec::new(), 0);
    for file in &files {
        let LookedThrough { table, damage } = (format.open)(file, options)?;
        damaged.extend(damage.map(|error| Unusable::of(error, file.display().to_string())));
        let first_row = n_rows;
        n_rows += table.n_rows();
        tables.push(TableFile {
            images: options.images_of(file),
            path: file.clone(),
            first_row,
            table,
        });
    }
    let stamps: Vec<String> = files.iter().map(|file| file_stamp(file)).collect();
    let set = TableSet {
        tables,
        n_rows,
        stamp: stamps.join(" "),
    };
    let source = Tables {
        set: Arc::new(set),
        options: options.clone(),
    };
    let mut opened = Opened::new(kind, source, damaged);
    opened.files = files;
    Ok(opened)
}

/// The files of a data set.
struct TableSet {
    tables: Vec<TableFile>,
    n_rows: usize,
    stamp: String,
}

struct TableFile {
    path: PathBuf,
    /// Where paths of images start from.
    images: PathBuf,
    /// How many rows the files before have.
    first_row: usize,
    table: Box<dyn Table>,
}

impl TableFile {
    /// What messages call a row.
    fn place(&self, row: usize) -> String {
        format!("{} row {}", self.path.display(), row + 1)
    }
}

impl TableSet {
    /// The file of row `i` of all, and the row there.
    fn row(&self, i: usize) -> (&TableFile, usize) {
        let after = self.tables.partition_point(|file| file.first_row <= i);
        let file = &self.tables[after - 1];
        (file, i - file.first_row)
    }
}

impl Shelf for TableSet {
    fn read(&self, i: usize) -> Result<Vec<u8>> {
        let (file, row) = self.row(i);
        let place = file.place(row);
        let chunk = file.table.chunk(row, Part::Images);
        let (rows, at) = chunk.row(row).map_err(|problem| unusable(&place, problem))?;
        if let Some((values, index)) = rows.bytes(at) {
            return bytes_of(&place, &*values, index);
        }
        match rows.path(at).or_else(|| rows.path_in_image(at)) {
            Some(path) => Image::file(file.images.join(path)).read(),
            None => Err(unusable(&place, "its image is null")),
        }
    }

    fn stamp(&self) -> String {
        self.stamp.clone()
    }
}

struct Tables {
    set: Arc<TableSet>,
    options: DataOptions,
}

impl Source for Tables {
    fn len(&self) -> usize {
        self.set.n_rows
    }

    fn place(&self, i: usize) -> String {
        let (file, row) = self.set.row(i);
        file.place(row)
    }

    fn read(&self, i: usize) -> Result<Sample> {
        let (file, row) = self.set.row(i);
        let place = file.place(row);
        let chunk = file.table.chunk(row, Part::Descriptions);
        let (rows, at) = chunk.row(row).map_err(|problem| unusable(&place, problem))?;
        let record = rows.record(at);
        let image = match file.table.columns().have_images() {
            true => {
                let name = rows.path(at).unwrap_or_else(|| place.clone());
                let shelf: Arc<dyn Shelf> = self.set.clone();
                Image::on_shelf(name, shelf, i)
            }
            false => named_image(&place, &record, &file.images)?,
        };
        let mut sample = Sample::new(image, place);
        describe(&mut sample, &record, &self.options)?;
        Ok(sample)
    }

    fn file(&self, i: usize) -> Option<&Path> {
        Some(&self.set.row(i).0.path)
    }

    fn outline(&self, hash: &mut Sha256) {
        for TableFile { path, table, .. } in &self.set.tables {
            let length = path.metadata().map_or(0, |metadata| metadata.len());
            hash.update(format!("{} {} {length}", file_name(path), table.n_rows()));
        }
    }

    fn about(&self) -> String {
        let files = counted(self.set.tables.len(), "file");
        format!("{} of {files}", counted(self.len(), "row"))
    }
}
