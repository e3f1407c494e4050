//! Texts and encoded images in the columns of Arrow arrays, in any of Arrow's layouts, also in a dictionary.
//!
//! Used for the rows of an Arrow stream, and for data sets in Parquet and Arrow files.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, downcast_integer_array};
use arrow_schema::{DataType, Field, Schema};

use super::limit::{Unread, admit};
use crate::error::{Error, Result};

/// The columns that there are, for a message about one that is missing.
pub(crate) fn columns_in_words(schema: &Schema) -> String {
    let fields = schema.fields().iter();
    let columns: Vec<String> = fields
        .map(|field| format!("`{}` ({})", field.name(), field.data_type()))
        .collect();
    match columns.is_empty() {
        true => "it has no columns".to_owned(),
        false => format!("its columns are {}", columns.join(", ")),
    }
}

/// Whether a column holds texts.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        _ => data_type.is_string(),
    }
}

fn is_bytes(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_bytes(values),
        _ => matches!(
            data_type,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView
        ),
    }
}

/// Whether a column holds encoded images: bytes, or a struct with `bytes` and perhaps `path`.
pub(crate) fn is_image(data_type: &DataType) -> bool {
    let DataType::Struct(fields) = data_type else {
        return is_bytes(data_type);
    };
    let fits = |name: &str, fits: &dyn Fn(&DataType) -> bool| fields.find(name).map(|(_, f)| fits(f.data_type()));
    fits("bytes", &is_bytes) == Some(true) && fits("path", &is_text) != Some(false)
}

/// Whether a column holds lists of texts.
pub(crate) fn is_list_of_text(data_type: &DataType) -> bool {
    // If all lists are empty, their items have no type.
    let is_of_text = |field: &Field| is_text(field.data_type()) || field.data_type() == &DataType::Null;
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => is_of_text(item),
        _ => false,
    }
}

/// A column's values, and the index of each row's value if they are in a dictionary.
pub(crate) struct Values {
    rows: ArrayRef,
    values: ArrayRef,
    keys: Option<Vec<usize>>,
}

impl Values {
    pub(crate) fn new(rows: &ArrayRef) -> Self {
        let (values, keys) = match rows.as_any_dictionary_opt() {
            Some(dictionary) if dictionary.values().is_empty() => (Arc::clone(dictionary.values()), Some(Vec::new())),
            Some(dictionary) => (Arc::clone(dictionary.values()), Some(dictionary.normalized_keys())),
            None => (Arc::clone(rows), None),
        };
        Values {
            rows: Arc::clone(rows),
            values,
            keys,
        }
    }

    /// The array with a row's value, and its index there; none for null.
    fn row(&self, row: usize) -> Option<(ArrayRef, usize)> {
        let place = match &self.keys {
            _ if self.rows.is_null(row) || self.values.data_type() == &DataType::Null => return None,
            Some(keys) => *keys.get(row)?,
            None => row,
        };
        (!self.values.is_null(place)).then(|| (Arc::clone(&self.values), place))
    }

    /// A row's text, if it is not null.
    pub(crate) fn text(&self, row: usize) -> Option<String> {
        self.row(row).map(|(values, place)| text_at(&*values, place).to_owned())
    }
}

/// A column of encoded images.
pub(crate) struct Image {
    whole: ArrayRef,
    bytes: Values,
    path: Option<Values>,
}

impl Image {
    pub(crate) fn new(column: &ArrayRef) -> Self {
        let part = |name: &str| column.as_struct_opt()?.column_by_name(name).map(Values::new);
        Image {
            whole: Arc::clone(column),
            bytes: part("bytes").unwrap_or_else(|| Values::new(column)),
            path: part("path"),
        }
    }

    /// The array with a row's bytes, and their index there; none for null.
    pub(crate) fn bytes(&self, row: usize) -> Option<(ArrayRef, usize)> {
        // The parts of a null struct can be anything.
        self.whole.is_valid(row).then(|| self.bytes.row(row))?
    }

    /// The path next to a row's bytes, if there is one.
    pub(crate) fn path(&self, row: usize) -> Option<String> {
        self.whole.is_valid(row).then(|| self.path.as_ref()?.text(row))?
    }
}

fn text_at(values: &dyn Array, place: usize) -> &str {
    match values.data_type() {
        DataType::LargeUtf8 => values.as_string::<i64>().value(place),
        DataType::Utf8View => values.as_string_view().value(place),
        _ => values.as_string::<i32>().value(place),
    }
}

fn bytes_at(values: &dyn Array, place: usize) -> &[u8] {
    match values.data_type() {
        DataType::LargeBinary => values.as_binary::<i64>().value(place),
        DataType::BinaryView => values.as_binary_view().value(place),
        _ => values.as_binary::<i32>().value(place),
    }
}

/// A row's list of texts, with null ones as empty texts; none if the list itself is null.
pub(crate) fn texts_at(lists: &ArrayRef, row: usize) -> Option<Vec<String>> {
    if lists.is_null(row) {
        return None;
    }
    let list = match lists.data_type() {
        DataType::LargeList(_) => lists.as_list::<i64>().value(row),
        DataType::FixedSizeList(..) => lists.as_fixed_size_list().value(row),
        _ => lists.as_list::<i32>().value(row),
    };
    let texts = Values::new(&list);
    Some((0..list.len()).map(|i| texts.text(i).unwrap_or_default()).collect())
}

/// A row's whole number in decimal digits; none for null, and for other columns.
pub(crate) fn number_at(numbers: &ArrayRef, row: usize) -> Option<String> {
    let numbers = &**numbers;
    downcast_integer_array!(
        numbers => numbers.is_valid(row).then(|| numbers.value(row).to_string()),
        _ => None
    )
}

/// Whether this many bytes may hold as many rows as they say: compression makes more than a byte of a thousand paths or
/// images, and a few bytes must not announce rows without end.
pub(crate) fn may_have_rows(n_rows: u64, n_bytes: u64) -> bool {
    const ROWS_UNCHECKED: u64 = 1 << 17;
    const ROWS_PER_BYTE_MAX: u64 = 1000;
    n_rows <= n_bytes.saturating_mul(ROWS_PER_BYTE_MAX).max(ROWS_UNCHECKED)
}

/// A copy of the bytes at an index, within the limits of files. `name` is for messages.
///
/// # Errors
/// [`Error::Picture`] if there are too many; [`Error::Read`] if there is no memory for them.
pub(crate) fn bytes_of(name: &str, values: &dyn Array, place: usize) -> Result<Vec<u8>> {
    let bytes = bytes_at(values, place);
    match admit(bytes.len() as u64) {
        Ok(()) => Ok(bytes.to_vec()),
        Err(Unread::TooMany) => Err(Error::Picture {
            name: name.to_owned(),
            problem: "its bytes are more than 1 GiB".into(),
            hint: None,
        }),
        Err(Unread::Failed(source)) => Err(Error::read(name)(source)),
    }
}
