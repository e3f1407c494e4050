//! Finds the columns of a stream that hold images, and makes items of its rows.
//!
//! `image` holds encoded images: binary, or a struct of `bytes` and `path` as in Hugging Face datasets. `path` names files or
//! URLs. If a row has both, `image` is read and `path` is its name. `id` names rows without a path. `labels`, a list of
//! texts, replaces the run's labels for a row. Texts and bytes can have any of Arrow's layouts, also in a dictionary.

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Schema};

use super::super::cells::{
    Image, Values, bytes_of, columns_in_words, is_image, is_list_of_text, is_text, number_at, texts_at,
};
use super::super::{Content, Deferred, InputOptions, Item, Items, Name, content, ndjson};
use crate::error::{Control, Error, Result, hint};
use crate::json_fields::JsonFields;

/// Where a run finds the labels of each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelColumn<'a> {
    /// In a column `labels`, if there is one.
    Read,
    /// Nowhere: `labels` is a column like any other.
    Carried,
    /// In the first of these columns: a text, or a list of texts.
    Texts(&'a [&'a str]),
}

/// What a column of labels holds in each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PerRow {
    /// A list of labels; null for those of the run.
    Labels,
    /// A text.
    Text,
    /// A list of texts.
    Texts,
}

/// The indices of the columns with a stream's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    path: Option<usize>,
    image: Option<usize>,
    id: Option<usize>,
    labels: Option<(usize, PerRow)>,
}

impl Columns {
    /// Finds the columns by name.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is neither `path` nor `image`, or no column of texts although one is needed; if there are two
    /// of a name, or one has a wrong type.
    pub fn of(schema: &Schema, labels: LabelColumn<'_>) -> Result<Columns> {
        let path = found(schema, "path", &is_text, "text (utf8)")?;
        let image = found(schema, "image", &is_image, "encoded images (binary)")?;
        if ["path", "image"].iter().all(|name| schema.index_of(name).is_err()) {
            return Err(Error::usage(
                format!(
                    "the Arrow stream has neither a column `path` nor `image`; {}",
                    columns_in_words(schema)
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
                LabelColumn::Read => found(schema, "labels", &is_list_of_text, "lists of texts (list<utf8>)")?
                    .map(|place| (place, PerRow::Labels)),
                LabelColumn::Carried => None,
                LabelColumn::Texts(names) => Some(text_column(schema, names)?),
            },
        })
    }

    /// What rows have for labels of their own, if anything.
    pub fn labels(&self) -> Option<PerRow> {
        self.labels.map(|(_, per_row)| per_row)
    }

    /// A batch's rows as items, in order. `n_before` is the number of rows in earlier batches.
    pub fn items(&self, batch: &RecordBatch, n_before: u64, options: &InputOptions) -> Items {
        let column = |place: Option<usize>| place.map(|i| batch.column(i));
        let image = column(self.image).map(Image::new);
        let path = column(self.path).map(Values::new);
        let id = column(self.id).cloned();
        let labels = self
            .labels
            .map(|(place, per_row)| OwnLabels::new(batch.column(place), per_row));
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
            let (labels, content) = match labels.as_ref().map_or(Ok(None), |labels| labels.of_row(row)) {
                Ok(labels) => (labels, content),
                Err(problem) => (None, refused(&name, problem)),
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

/// A column of labels.
enum OwnLabels {
    Labels(ArrayRef),
    Text(Values),
    Texts(ArrayRef),
}

impl OwnLabels {
    fn new(column: &ArrayRef, per_row: PerRow) -> Self {
        match per_row {
            PerRow::Labels => OwnLabels::Labels(column.clone()),
            PerRow::Text => OwnLabels::Text(Values::new(column)),
            PerRow::Texts => OwnLabels::Texts(column.clone()),
        }
    }

    /// A row's labels; none for those of the run.
    fn of_row(&self, row: usize) -> Result<Option<Vec<String>>, &'static str> {
        let texts = match self {
            OwnLabels::Labels(lists) => return texts_at(lists, row).map(ndjson::checked_labels).transpose(),
            OwnLabels::Text(texts) => texts.text(row).map(|text| vec![text]),
            OwnLabels::Texts(lists) => texts_at(lists, row),
        };
        let texts = texts.ok_or("its text is null")?;
        match texts.is_empty() || texts.iter().any(|text| text.trim().is_empty()) {
            true => Err("it has no text, or an empty one"),
            false => Ok(Some(texts)),
        }
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

/// A row's bytes, copied when they are read.
fn copied(name: String, values: ArrayRef, place: usize) -> Content {
    Content::Deferred(Deferred::new(move || bytes_of(&name, &*values, place)))
}

fn refused(name: &str, problem: &str) -> Content {
    Content::Nothing(Some(Error::Picture {
        name: name.to_owned(),
        problem: problem.to_owned(),
        hint: None,
    }))
}

/// The first of these columns that there is, which must hold texts or lists of texts.
fn text_column(schema: &Schema, names: &[&str]) -> Result<(usize, PerRow)> {
    for name in names {
        let fits = |data_type: &DataType| is_text(data_type) || is_list_of_text(data_type);
        if let Some(place) = found(schema, name, &fits, "texts (utf8 or list<utf8>)")? {
            let per_row = match is_text(schema.field(place).data_type()) {
                true => PerRow::Text,
                false => PerRow::Texts,
            };
            return Ok((place, per_row));
        }
    }
    Err(Error::usage(
        format!(
            "the Arrow stream has no column of texts called `{}`; {}",
            names.join("`, `"),
            columns_in_words(schema)
        ),
        hint!("rename one, or name it by {}", Control::TextField),
    ))
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

fn id_at(ids: &ArrayRef, row: usize) -> Option<String> {
    match is_text(ids.data_type()) {
        true => Values::new(ids).text(row),
        false => number_at(ids, row),
    }
}
