//! Finds the columns of a stream that hold images, and makes items of its rows.
//!
//! `image` holds encoded images: binary, or a struct of `bytes` and `path` as in Hugging Face datasets. `path` names files or
//! URLs. If a row has both, `image` is read and `path` is its name. `id` names rows without a path. `labels`, a list of
//! texts, replaces the run's labels for a row. Texts and bytes can have any of Arrow's layouts, also in a dictionary.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, downcast_integer_array};
use arrow_schema::{DataType, Field, Schema};

use super::super::limit::{Unread, admit};
use super::super::{Content, Deferred, InputOptions, Item, Items, Name, content, ndjson};
use crate::error::{Error, Result};
use crate::json_fields::JsonFields;

/// How this run treats a column `labels`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelColumn {
    /// It holds each row's labels.
    Read,
    /// It is a column like any other.
    Carried,
}

/// The indices of the columns with a stream's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    path: Option<usize>,
    image: Option<usize>,
    id: Option<usize>,
    labels: Option<usize>,
}

impl Columns {
    /// Finds the columns by name.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is neither `path` nor `image`, if there are two of a name, or one has a wrong type.
    pub fn of(schema: &Schema, labels: LabelColumn) -> Result<Columns> {
        let path = found(schema, "path", &is_text, "text (utf8)")?;
        let image = found(schema, "image", &is_image, "encoded images (binary)")?;
        if ["path", "image"].iter().all(|name| schema.index_of(name).is_err()) {
            let names: Vec<String> = schema
                .fields()
                .iter()
                .map(|field| format!("`{}`", field.name()))
                .collect();
            return Err(Error::usage(
                format!(
                    "the Arrow stream has neither a column `path` nor `image`; its columns are {}",
                    if names.is_empty() {
                        "none".into()
                    } else {
                        names.join(", ")
                    }
                ),
                "name the column of files or URLs `path`, or the one of encoded images `image`",
            ));
        }
        Ok(Columns {
            path,
            image,
            // An id of another type is copied to the output, and names nothing.
            id: schema.index_of("id").ok().filter(|&i| {
                let data_type = schema.field(i).data_type();
                is_text(data_type) || data_type.is_integer()
            }),
            labels: match labels {
                LabelColumn::Read => found(schema, "labels", &is_list_of_text, "lists of texts (list<utf8>)")?,
                LabelColumn::Carried => None,
            },
        })
    }

    /// Whether rows have their own labels.
    pub fn have_labels(&self) -> bool {
        self.labels.is_some()
    }

    /// A batch's rows as items, in order. `n_before` is the number of rows in earlier batches.
    pub fn items(&self, batch: &RecordBatch, n_before: u64, options: &InputOptions) -> Items {
        let column = |place: Option<usize>| place.map(|i| batch.column(i));
        let image = column(self.image).map(Image::new);
        let path = column(self.path).map(Values::new);
        let id = column(self.id).cloned();
        let labels = column(self.labels).cloned();
        let options = options.clone();
        Box::new((0..batch.num_rows()).map(move |row| {
            let bytes = image.as_ref().and_then(|image| image.bytes(row));
            let in_image = || image.as_ref()?.path(row);
            let path = path.as_ref().and_then(|path| path.text(row)).or_else(in_image);
            let name = path.clone().or_else(|| id.as_ref().and_then(|id| id_at(id, row)));
            let name = name.unwrap_or_else(|| format!("row {}", n_before + row as u64 + 1));
            let content = match (bytes, &path) {
                (Some((values, place)), _) => copied(name.clone(), values, place),
                (None, Some(path)) => content::named(path, &options),
                (None, None) => refused(&name, "it has neither `path` nor `image`: both are null"),
            };
            let (labels, content) = match labels.as_ref().and_then(|labels| texts_at(labels, row)) {
                Some(texts) => match ndjson::checked_labels(texts) {
                    Ok(texts) => (Some(texts), content),
                    Err(problem) => (None, refused(&name, problem)),
                },
                None => (None, content),
            };
            Item {
                name: Name::Path(name),
                fields: JsonFields::default(),
                labels,
                content,
            }
        }))
    }
}

/// The rows of a batch that was refused, each with the reason.
pub(crate) fn refused_items(n_rows: usize, n_before: u64, problem: String) -> Items {
    Box::new((0..n_rows as u64).map(move |row| {
        let name = format!("row {}", n_before + row + 1);
        let content = refused(&name, &problem);
        Item::new(name, content)
    }))
}

/// A row's bytes, copied when they are read, within the limits of files.
fn copied(name: String, values: ArrayRef, place: usize) -> Content {
    Content::Deferred(Deferred::new(move || {
        let bytes = bytes_at(&*values, place);
        match admit(bytes.len() as u64) {
            Ok(()) => Ok(bytes.to_vec()),
            Err(Unread::TooMany) => Err(Error::Picture {
                name,
                problem: "its bytes are more than 1 GiB".into(),
                hint: None,
            }),
            Err(Unread::Failed(source)) => Err(Error::read(&name)(source)),
        }
    }))
}

fn refused(name: &str, problem: &str) -> Content {
    Content::Nothing(Some(Error::Picture {
        name: name.to_owned(),
        problem: problem.to_owned(),
        hint: None,
    }))
}

/// The index of the only column of this name, if there is one; checks its type.
fn found(schema: &Schema, name: &str, fits: &dyn Fn(&DataType) -> bool, expected: &str) -> Result<Option<usize>> {
    let mut named = schema
        .fields()
        .iter()
        .enumerate()
        .filter(|(_, field)| field.name() == name);
    let Some((place, field)) = named.next() else {
        return Ok(None);
    };
    if named.next().is_some() {
        return Err(Error::usage(
            format!("the Arrow stream has two columns `{name}`"),
            "rename or drop one of them",
        ));
    }
    if field.data_type() == &DataType::Null {
        // Some programs write a column without any value this way; it fits any type.
        return Ok(None);
    }
    if !fits(field.data_type()) {
        return Err(Error::usage(
            format!(
                "the column `{name}` of the Arrow stream is of the type {}; expected {expected}",
                field.data_type()
            ),
            "cast it, or give it another name",
        ));
    }
    Ok(Some(place))
}

fn is_text(data_type: &DataType) -> bool {
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

fn is_image(data_type: &DataType) -> bool {
    let DataType::Struct(fields) = data_type else {
        return is_bytes(data_type);
    };
    let fits = |name: &str, fits: &dyn Fn(&DataType) -> bool| fields.find(name).map(|(_, f)| fits(f.data_type()));
    fits("bytes", &is_bytes) == Some(true) && fits("path", &is_text) != Some(false)
}

fn is_list_of_text(data_type: &DataType) -> bool {
    // If all lists are empty, their items have no type.
    let is_of_text = |field: &Field| is_text(field.data_type()) || field.data_type() == &DataType::Null;
    match data_type {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => is_of_text(item),
        _ => false,
    }
}

/// A column's values, and the index of each row's value if they are in a dictionary.
struct Values {
    rows: ArrayRef,
    values: ArrayRef,
    keys: Option<Vec<usize>>,
}

impl Values {
    fn new(rows: &ArrayRef) -> Self {
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

    fn text(&self, row: usize) -> Option<String> {
        self.row(row).map(|(values, place)| text_at(&*values, place).to_owned())
    }
}

/// The column `image`.
struct Image {
    whole: ArrayRef,
    bytes: Values,
    path: Option<Values>,
}

impl Image {
    fn new(column: &ArrayRef) -> Self {
        let part = |name: &str| column.as_struct_opt()?.column_by_name(name).map(Values::new);
        Image {
            whole: Arc::clone(column),
            bytes: part("bytes").unwrap_or_else(|| Values::new(column)),
            path: part("path"),
        }
    }

    fn bytes(&self, row: usize) -> Option<(ArrayRef, usize)> {
        // The parts of a null struct can be anything.
        self.whole.is_valid(row).then(|| self.bytes.row(row))?
    }

    fn path(&self, row: usize) -> Option<String> {
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
fn texts_at(lists: &ArrayRef, row: usize) -> Option<Vec<String>> {
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

fn id_at(ids: &ArrayRef, row: usize) -> Option<String> {
    if is_text(ids.data_type()) {
        return Values::new(ids).text(row);
    }
    let ids = &**ids;
    downcast_integer_array!(
        ids => ids.is_valid(row).then(|| ids.value(row).to_string()),
        _ => None
    )
}
