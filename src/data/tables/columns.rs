//! Finds the columns of a table that say what its images are and show, and reads rows of them as records.

use std::path::Path;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};
use serde_json::Value;

use super::super::kind::DataOptions;
use super::super::record_file::Record;
use super::super::records::{IMAGE, needed_keys, optional_keys};
use crate::error::{Control, Error, Result, hint};
use crate::input::cells::{Image, Values, columns_in_words, is_image, is_list_of_text, is_text, number_at, texts_at};

/// The columns of a table that are used, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    /// The column of encoded images.
    image: Option<String>,
    /// The column of paths.
    path: Option<String>,
    /// Columns of what rows say, with paths.
    described: Vec<String>,
}

impl Columns {
    /// Finds the columns that a purpose needs.
    ///
    /// # Errors
    /// [`Error::Usage`], with the columns that there are, if one is missing.
    pub(super) fn of(schema: &Schema, path: &Path, options: &DataOptions) -> Result<Self> {
        let with = |keys: &[&str], fits: fn(&DataType) -> bool| -> Vec<String> {
            let is_it = |key: &&&str| schema.field_with_name(key).is_ok_and(|field| fits(field.data_type()));
            keys.iter().filter(is_it).map(|key| (*key).to_owned()).collect()
        };
        let first = |fits| with(&IMAGE, fits).into_iter().next();
        let (image, paths) = (first(is_image), first(is_text));
        if image.is_none() && paths.is_none() {
            return Err(Error::usage(
                format!(
                    "`{}` has no column of images; {}",
                    path.display(),
                    columns_in_words(schema)
                ),
                "call the one of encoded images `image`, or the one of paths `path`",
            ));
        }
        let needed = needed_keys(options);
        let mut described = with(&needed, is_said);
        if described.is_empty() {
            let problem = format!(
                "`{}` has no column of texts or names called `{}`; {}",
                path.display(),
                needed.join("`, `"),
                columns_in_words(schema)
            );
            return Err(Error::usage(
                problem,
                hint!("rename one, or name it by {}", Control::TextField),
            ));
        }
        described.extend(with(optional_keys(options), is_said));
        described.extend(paths.clone());
        Ok(Columns {
            image,
            path: paths,
            described,
        })
    }

    /// Whether there is a column of encoded images.
    pub(super) fn have_images(&self) -> bool {
        self.image.is_some()
    }

    /// The columns of what rows say, with paths.
    pub(super) fn described(&self) -> impl Iterator<Item = &str> {
        self.described.iter().map(String::as_str)
    }

    /// The columns of images, with paths.
    pub(super) fn pictured(&self) -> impl Iterator<Item = &str> {
        self.image.iter().chain(&self.path).map(String::as_str)
    }

    /// The rows of a batch, which may lack some of the columns.
    pub(super) fn rows(&self, batch: &RecordBatch) -> Rows {
        let column = |name: &String| batch.column_by_name(name);
        let described = self.described.iter();
        Rows {
            image: self.image.as_ref().and_then(column).map(Image::new),
            path: self.path.as_ref().and_then(column).map(Values::new),
            cells: described
                .filter_map(|name| Some((name.clone(), Cells::new(column(name)?))))
                .collect(),
        }
    }
}

/// Whether a column says something: in texts, lists of texts or whole numbers.
fn is_said(data_type: &DataType) -> bool {
    // Programs give a column without any value no type.
    is_text(data_type) || is_list_of_text(data_type) || data_type.is_integer() || data_type == &DataType::Null
}

/// Rows of the columns that are used.
pub(super) struct Rows {
    image: Option<Image>,
    path: Option<Values>,
    cells: Vec<(String, Cells)>,
}

impl Rows {
    /// A row's encoded image: an array of bytes, and the index there; none for null.
    pub(super) fn bytes(&self, row: usize) -> Option<(ArrayRef, usize)> {
        self.image.as_ref()?.bytes(row)
    }

    /// A row's value in the column of paths.
    pub(super) fn path(&self, row: usize) -> Option<String> {
        self.path.as_ref()?.text(row)
    }

    /// The path that a row has next to its bytes.
    pub(super) fn path_in_image(&self, row: usize) -> Option<String> {
        self.image.as_ref()?.path(row)
    }

    /// What a row says, as a record.
    pub(super) fn record(&self, row: usize) -> Record {
        let cells = self.cells.iter();
        cells.map(|(name, cells)| (name.clone(), cells.value(row))).collect()
    }
}

/// The values of a column, as a record has them.
enum Cells {
    Texts(Values),
    Lists(ArrayRef),
    Numbers(ArrayRef),
    Nulls,
}

impl Cells {
    fn new(column: &ArrayRef) -> Self {
        match column.data_type() {
            DataType::Null => Cells::Nulls,
            texts if is_text(texts) => Cells::Texts(Values::new(column)),
            numbers if numbers.is_integer() => Cells::Numbers(column.clone()),
            _ => Cells::Lists(column.clone()),
        }
    }

    fn value(&self, row: usize) -> Value {
        match self {
            Cells::Texts(texts) => texts.text(row).map(Value::from),
            Cells::Lists(lists) => texts_at(lists, row).map(Value::from),
            Cells::Numbers(numbers) => {
                number_at(numbers, row).and_then(|digits| digits.parse().ok().map(Value::Number))
            }
            Cells::Nulls => None,
        }
        .unwrap_or(Value::Null)
    }
}
