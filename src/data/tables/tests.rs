//! Tables as other programs write them: types, nulls, several files, several row groups, damage, and rows in any order.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, BinaryArray, DictionaryArray, Int64Array, LargeStringArray, RecordBatch, StringArray, StructArray,
};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use crate::data::kinds::open;
use crate::data::sample::ClassOf;
use crate::data::testing::{captions, check_said, fixture, folder, opened, options, read, refused};
use crate::data::{Purpose, Sample};
use crate::random::Random;

fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    let columns = columns.iter().map(|(name, column)| (*name, column.clone(), true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn texts(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

/// Encoded images as Hugging Face stores them.
fn struct_of(bytes: &[Option<&[u8]>], paths: &[Option<&str>]) -> ArrayRef {
    let bytes: ArrayRef = Arc::new(BinaryArray::from(bytes.to_vec()));
    let parts = [
        (Arc::new(Field::new("bytes", DataType::Binary, true)), bytes),
        (Arc::new(Field::new("path", DataType::Utf8, true)), texts(paths)),
    ];
    Arc::new(StructArray::from(parts.to_vec()))
}

/// Each batch is a row group.
fn parquet(batches: &[RecordBatch]) -> Vec<u8> {
    let n_rows = batches.iter().map(RecordBatch::num_rows).max().unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(n_rows))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batches[0].schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
        writer.flush().unwrap();
    }
    writer.into_inner().unwrap()
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn ipc_file(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = FileWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

/// A file of a kind.
pub(in crate::data) fn example(kind: &str) -> Vec<u8> {
    let row = batch(&[
        ("path", texts(&[Some("a.jpg")])),
        ("text", texts(&[Some("A cat.")])),
        ("label", texts(&[Some("cat")])),
    ]);
    match kind {
        "Parquet" => parquet(&[row]),
        _ => stream(&[row]),
    }
}

/// Runs a check on the same rows as Parquet, as an Arrow stream and as an Arrow file.
#[track_caller]
fn in_each_format(batches: &[RecordBatch], check: impl Fn(&Path)) {
    for (name, bytes) in [
        ("rows.parquet", parquet(batches)),
        ("rows.arrows", stream(batches)),
        ("rows.arrow", ipc_file(batches)),
    ] {
        let (_dir, root) = folder(&["a.jpg", "b.jpg"]);
        fs::write(root.join(name), bytes).unwrap();
        check(&root.join(name));
    }
}

fn images(samples: &[Sample]) -> Vec<Vec<u8>> {
    samples.iter().map(|sample| sample.image.read().unwrap()).collect()
}

#[test]
fn paths_and_texts_are_read_as_fields_of_records_are() {
    let first = batch(&[
        ("path", texts(&[Some("a.jpg"), None, Some("b.jpg")])),
        ("text", texts(&[Some("A cat."), Some("A dog."), None])),
        ("split", texts(&[Some("train"), None, None])),
    ]);
    let second = batch(&[
        ("path", texts(&[Some("b.jpg")])),
        ("text", texts(&[Some("A cup.")])),
        ("split", texts(&[None])),
    ]);
    in_each_format(&[first, second], |path| {
        let (samples, problems) = read(path, Purpose::Retrieval);
        let expected = [("a.jpg", "A cat."), ("b.jpg", "A cup.")];
        assert_eq!(
            captions(&samples),
            expected.map(|(name, text)| (name.to_owned(), vec![text.to_owned()]))
        );
        assert_eq!(images(&samples), [b"a.jpg", b"b.jpg"]);
        assert_eq!(samples[0].split.as_deref(), Some("train"));
        check_said(
            &problems,
            &[
                " row 2`: it names no image",
                " row 3`: it has no caption, as `long`, `text`",
            ],
        );
    });
}

#[test]
fn encoded_images_are_binary_or_structs_and_a_null_one_is_read_by_its_path() {
    let bytes: [Option<&[u8]>; 4] = [Some(b"one"), Some(b"two"), None, None];
    let paths = [Some("x.jpg"), None, Some("a.jpg"), None];
    let text = texts(&[Some("1"), Some("2"), Some("3"), Some("4")]);
    let of_struct = batch(&[("image", struct_of(&bytes, &paths)), ("text", text.clone())]);
    let binary: ArrayRef = Arc::new(BinaryArray::from(bytes.to_vec()));
    let of_columns = batch(&[("image", binary), ("path", texts(&paths)), ("text", text)]);
    for (batch, named) in [(of_struct, false), (of_columns, true)] {
        in_each_format(&[batch.slice(0, 1), batch.slice(1, 3)], |path| {
            let (samples, problems) = read(path, Purpose::Retrieval);
            check_said(&problems, &[]);
            assert_eq!(images(&samples[..3]), [&b"one"[..], b"two", b"a.jpg"]);
            let lacking = samples[3].image.read().unwrap_err().to_string();
            assert!(lacking.contains("row 4`: its image is null"), "{lacking}");
            // Names in a struct are often the same in all rows.
            let row = format!("{} row 1", path.display());
            let name = if named { "x.jpg" } else { &row };
            assert_eq!(samples[0].image.name(), name);
        });
    }
}

#[test]
fn texts_have_any_layout() {
    let large: ArrayRef = Arc::new(LargeStringArray::from(vec!["a.jpg", "b.jpg", "a.jpg"]));
    let keys: DictionaryArray<Int32Type> = vec![Some("A cat."), None, Some("A cat.")].into_iter().collect();
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append_value([Some("One."), Some("Two.")]);
    lists.append_null();
    lists.append_value([Some("Three.")]);
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), Some(0), None]));
    let rows = batch(&[
        ("file_name", large),
        ("caption", Arc::new(keys)),
        ("captions", Arc::new(lists.finish())),
        ("label", numbers),
    ]);
    in_each_format(&[rows.clone(), rows], |path| {
        let (samples, problems) = read(path, Purpose::Retrieval);
        let found: Vec<usize> = samples.iter().map(|sample| sample.captions.len()).collect();
        // The second row has no `caption`, and its `captions` are null.
        assert_eq!(found, [1, 1, 1, 1]);
        check_said(&problems, &["row 2`: it has no caption", "row 5`: it has no caption"]);
        let (samples, problems) = read(path, Purpose::ZeroShot);
        assert_eq!(samples[0].class, Some(ClassOf::Name("7".into())));
        check_said(&problems, &["row 3`: it has no class", "row 6`: it has no class"]);
    });
}

#[test]
fn rows_are_read_in_any_order() {
    let rows = |from: usize, to: usize| {
        let bytes: Vec<Vec<u8>> = (from..to).map(|i| i.to_string().repeat(300_000).into_bytes()).collect();
        let images: ArrayRef = Arc::new(BinaryArray::from_iter_values(&bytes));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((from..to).map(|i| format!("Text {i}."))));
        batch(&[("image", images), ("text", texts)])
    };
    in_each_format(&[rows(0, 40), rows(40, 41), rows(41, 60)], |path| {
        let opened = opened(path, Purpose::Retrieval);
        assert_eq!(opened.source.len(), 60);
        for i in (0..60).map(|i| i * 37 % 60).chain(0..60).chain((0..60).rev()) {
            let sample = opened.source.read(i).unwrap();
            assert_eq!(sample.captions, [format!("Text {i}.")]);
            assert!(
                sample
                    .image
                    .read()
                    .unwrap()
                    .starts_with(i.to_string().repeat(3).as_bytes()),
                "{i}"
            );
        }
    });
}

#[test]
fn a_folder_of_tables_is_read_in_the_order_of_its_names_and_tars_come_first() {
    let row = |text: &str| batch(&[("path", texts(&[Some("a.jpg")])), ("text", texts(&[Some(text)]))]);
    let (_dir, root) = folder(&["a.jpg", "notes.txt"]);
    for (name, text) in [
        ("1.parquet", "Two."),
        ("0.parquet", "One."),
        ("_metadata.parquet", "No."),
    ] {
        fs::write(root.join(name), parquet(&[row(text)])).unwrap();
    }
    let (samples, _) = read(&root, Purpose::Retrieval);
    let found: Vec<&str> = samples.iter().map(|sample| &*sample.captions[0]).collect();
    assert_eq!(found, ["One.", "Two."]);
    let tar = crate::input::testing::archive_of(&[("1.jpg", b"1"), ("1.txt", b"In a tar.")]);
    fs::write(root.join("0.tar"), tar).unwrap();
    assert_eq!(read(&root, Purpose::Retrieval).0[0].captions, ["In a tar."]);
}

#[test]
fn a_missing_column_is_named_with_those_that_there_are() {
    let rows = batch(&[("path", texts(&[Some("a.jpg")])), ("summary", texts(&[Some("A cat.")]))]);
    in_each_format(&[rows], |path| {
        let (problem, hint) = refused(path, Purpose::Retrieval);
        let expected = "has no column of texts or names called `long`, `text`, `caption`, `captions`, `description`; its columns \
                        are `path` (Utf8";
        assert!(problem.contains(expected), "{problem}");
        assert!(problem.contains("`summary` (Utf8"), "{problem}");
        assert!(hint.contains("rename one"), "{hint}");
    });
    let rows = batch(&[("img", texts(&[Some("a.jpg")])), ("text", texts(&[Some("A cat.")]))]);
    in_each_format(&[rows], |path| {
        let (problem, _) = refused(path, Purpose::Retrieval);
        assert!(
            problem.contains("has no column of images; its columns are `img`"),
            "{problem}"
        );
    });
}

/// `tests/data/tables/make.py` made them.
#[test]
fn parquet_files_of_pyarrow_are_read_in_each_compression_but_brotli() {
    for compression in ["none", "snappy", "gzip", "lz4", "zstd"] {
        let file = fixture(&format!("tables/{compression}.parquet"));
        let (_dir, root) = folder(&["a.jpg", "b.jpg"]);
        fs::copy(file, root.join("rows.parquet")).unwrap();
        let (samples, problems) = read(&root.join("rows.parquet"), Purpose::Retrieval);
        let expected = [
            ("a.jpg", "A cat sleeps. ".repeat(9)),
            ("b.jpg", "A dog runs. ".repeat(9)),
        ];
        let expected = expected.map(|(name, text)| (name.to_owned(), vec![text]));
        assert_eq!(captions(&samples), expected, "{compression}");
        check_said(&problems, &[]);
    }
    let (problem, hint) = refused(&fixture("tables/brotli.parquet"), Purpose::Retrieval);
    assert!(
        problem.contains("is compressed with brotli; Parquet files are read if"),
        "{problem}"
    );
    assert!(hint.contains("zstd"), "{hint}");
}

#[test]
fn damaged_files_are_refused_or_used_up_to_the_damage() {
    let row = batch(&[("path", texts(&[Some("a.jpg")])), ("text", texts(&[Some("A cat.")]))]);
    let (_dir, root) = folder(&["a.jpg"]);
    let whole = parquet(std::slice::from_ref(&row));
    fs::write(root.join("cut.parquet"), &whole[..whole.len() - 3]).unwrap();
    let (problem, _) = refused(&root.join("cut.parquet"), Purpose::Retrieval);
    assert!(problem.contains("cut.parquet` can't be read as Parquet"), "{problem}");
    // Of a page that is overwritten, each row says so.
    let mut spoilt = whole.clone();
    spoilt[4..60].fill(0xff);
    fs::write(root.join("spoilt.parquet"), spoilt).unwrap();
    let (samples, problems) = read(&root.join("spoilt.parquet"), Purpose::Retrieval);
    assert!(samples.is_empty());
    check_said(
        &problems,
        &["spoilt.parquet row 1`: the Parquet file can't be read there"],
    );
    let stream = stream(&[row.clone(), row.clone(), row]);
    fs::write(root.join("cut.arrows"), &stream[..stream.len() - 60]).unwrap();
    let (samples, problems) = read(&root.join("cut.arrows"), Purpose::Retrieval);
    assert_eq!(samples.len(), 2);
    check_said(&problems, &["batch 3: it is cut short"]);
}

/// Any bytes are refused, or are rows of which some can't be used: no panic, no hang, no memory that isn't there.
#[test]
fn flipped_bytes_are_errors_or_other_values() {
    let text = texts(&[Some("A cat."), None, Some("A cat."), Some("A dog.")]);
    let bytes = [Some(&b"one"[..]), Some(b"two"), None, Some(b"two")];
    let rows = batch(&[
        ("image", struct_of(&bytes, &[Some("x"), None, Some("a.jpg"), None])),
        ("text", text),
    ]);
    let (_dir, root) = folder(&["a.jpg"]);
    let mut random = Random::new(1, 0);
    let mut n_refused = 0;
    for (name, whole) in [
        ("rows.parquet", parquet(&[rows.slice(0, 3), rows.slice(3, 1)])),
        ("rows.arrows", stream(&[rows.clone(), rows.clone()])),
    ] {
        for _ in 0..2000 {
            let mut bytes = whole.clone();
            for _ in 0..=random.below(3) {
                let place = random.below(bytes.len());
                bytes[place] = match random.below(3) {
                    0 => 0xff,
                    1 => bytes[place] ^ (1 << random.below(8)),
                    _ => random.below(256) as u8,
                };
            }
            let path = root.join(name);
            fs::write(&path, bytes).unwrap();
            let Ok(opened) = open(&path, &options(Purpose::Retrieval)) else {
                n_refused += 1;
                continue;
            };
            for i in 0..opened.source.len().min(100) {
                let sample = opened.source.read(i);
                drop(sample.map(|sample| sample.image.read()));
            }
        }
    }
    assert!(n_refused > 200, "{n_refused}");
}
