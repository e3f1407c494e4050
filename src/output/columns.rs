//! Arrow arrays of results, for Arrow streams and Parquet files.

use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{FixedSizeListBuilder, Float32Builder, StringBuilder};
use arrow_schema::{DataType, Field};

/// A nullable column of lists, all with `n` numbers.
pub(super) fn vector_field(name: &str, n: usize) -> Field {
    let item = Arc::new(Field::new_list_field(DataType::Float32, true));
    Field::new(name, DataType::FixedSizeList(item, n as i32), true)
}

/// The array of a [`vector_field`].
pub(super) fn vectors<'a>(rows: impl Iterator<Item = Option<&'a [f32]>>, n: usize) -> ArrayRef {
    let mut builder = FixedSizeListBuilder::new(Float32Builder::new(), n as i32);
    for row in rows {
        match row {
            Some(values) => builder.values().append_slice(values),
            // A null list has values too. NaN can't be mistaken for a result by a reader that ignores the validity.
            None => builder.values().append_slice(&vec![f32::NAN; n]),
        }
        builder.append(row.is_some());
    }
    Arc::new(builder.finish())
}

pub(super) fn texts(rows: impl Iterator<Item = Option<impl AsRef<str>>>) -> ArrayRef {
    let mut builder = StringBuilder::new();
    rows.for_each(|text| builder.append_option(text));
    Arc::new(builder.finish())
}
