use std::io::Cursor;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::types::Int8Type;
use arrow_array::{
    Array, BinaryArray, BinaryViewArray, DictionaryArray, Int64Array, LargeBinaryArray, StringArray, StructArray,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{Field, Schema};

use super::*;
use crate::input::InputOptions;
use crate::random::Random;

fn labels() -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.values().append_value("a cat");
    lists.append(true);
    lists.append(false);
    lists.append(true);
    Arc::new(lists.finish())
}

/// Three rows: bytes, a file, nothing.
fn batch() -> RecordBatch {
    let columns: [(&str, ArrayRef); 4] = [
        ("id", Arc::new(Int64Array::from(vec![Some(7), None, Some(9)]))),
        (
            "image",
            Arc::new(BinaryArray::from_opt_vec(vec![Some(b"bytes"), None, None])),
        ),
        (
            "path",
            Arc::new(StringArray::from(vec![None, Some("folder/a.jpg"), None])),
        ),
        ("labels", labels()),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn written(batches: &[RecordBatch], packed: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(packed).unwrap();
    let schema = batches[0].schema();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

fn opened(bytes: Vec<u8>) -> Result<Stream> {
    Stream::open(Box::new(Cursor::new(bytes)), "stdin")
}

/// All batches, and all that their rows stand for: everything that a run does with foreign bytes.
fn read(bytes: Vec<u8>) -> Result<Vec<RecordBatch>> {
    let mut stream = opened(bytes)?;
    let columns = Columns::of(stream.schema(), LabelColumn::Read)?;
    let mut batches = Vec::new();
    while let Some(Batch {
        columns: batch,
        refused,
    }) = stream.next_batch()?
    {
        if let Some(problem) = refused {
            return Err(broken("stdin", problem));
        }
        for mut item in columns.items(&batch, 0, &InputOptions::default()) {
            if let super::super::Content::Deferred(_) = item.content {
                item.content.take("x")?;
            }
        }
        batches.push(batch);
    }
    Ok(batches)
}

/// Name, own labels and bytes.
type Row = (String, Option<Vec<String>>, Result<Vec<u8>, String>);

fn rows(batch: &RecordBatch) -> Vec<Row> {
    let columns = Columns::of(&batch.schema(), LabelColumn::Read).unwrap();
    let items = columns.items(batch, 10, &InputOptions::default());
    let row = |mut item: super::super::Item| {
        let name = item.name.to_string();
        let bytes = item.content.take(&name).map_err(|error| error.to_string());
        (name, item.labels, bytes)
    };
    items.map(row).collect()
}

#[test]
fn a_row_is_its_bytes_or_its_path_by_its_own_name() {
    let rows = rows(&batch());
    assert_eq!(rows[0].0, "7");
    assert_eq!(rows[0].1, Some(vec!["a cat".to_owned()]));
    assert_eq!(rows[0].2, Ok(b"bytes".to_vec()));
    assert_eq!(rows[1].0, "folder/a.jpg");
    assert!(rows[1].2.as_ref().unwrap_err().contains("cannot read `folder/a.jpg`"));
    let empty_list = rows[2].2.as_ref().unwrap_err();
    assert!(
        empty_list.contains("`9`") && empty_list.contains("one or more texts"),
        "{empty_list}"
    );
}

#[track_caller]
fn check_image(image: ArrayRef, names: [&str; 2]) {
    let batch = RecordBatch::try_from_iter_with_nullable([("image", image, true)]).unwrap();
    let rows = rows(&batch);
    assert_eq!((rows[0].0.as_str(), &rows[0].2), (names[0], &Ok(b"one".to_vec())));
    assert_eq!(rows[1].0, names[1]);
    assert!(rows[1].2.as_ref().unwrap_err().contains("both are null"));
}

#[test]
fn pictures_stand_in_any_layout_of_bytes() {
    let names = ["row 11", "row 12"];
    check_image(Arc::new(BinaryArray::from_opt_vec(vec![Some(b"one"), None])), names);
    check_image(
        Arc::new(LargeBinaryArray::from_opt_vec(vec![Some(b"one"), None])),
        names,
    );
    check_image(
        Arc::new(BinaryViewArray::from_iter([Some(b"one".as_slice()), None])),
        names,
    );
    let values: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"other", b"one"]));
    let keys = arrow_array::Int8Array::from(vec![Some(1), None]);
    check_image(
        Arc::new(DictionaryArray::<Int8Type>::try_new(keys, values).unwrap()),
        names,
    );
    let nothing: ArrayRef = Arc::new(BinaryArray::from_vec(Vec::new()));
    let keys = arrow_array::Int8Array::from(vec![None::<i8>]);
    let empty: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::try_new(keys, nothing).unwrap());
    let batch = RecordBatch::try_from_iter_with_nullable([("image", empty, true)]).unwrap();
    assert!(rows(&batch)[0].2.is_err());
}

#[test]
fn pictures_of_datasets_are_pairs_of_bytes_and_path() {
    let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
    let bytes: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![Some(b"one"), Some(b"hidden")]));
    let path: ArrayRef = Arc::new(StringArray::from(vec![Some("one.jpg"), Some("hidden.jpg")]));
    let fields = vec![
        field("bytes", bytes.data_type().clone()),
        field("path", path.data_type().clone()),
    ];
    let nulls = vec![true, false].into();
    let pair = StructArray::try_new(fields.into(), vec![bytes, path], Some(nulls)).unwrap();
    check_image(Arc::new(pair), ["one.jpg", "row 12"]);
}

#[test]
fn a_column_without_a_value_may_be_of_no_type() {
    let nothing = || Arc::new(arrow_array::NullArray::new(2)) as ArrayRef;
    let image: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"one", b"two"]));
    let batch = RecordBatch::try_from_iter([("image", image), ("path", nothing()), ("labels", nothing())]).unwrap();
    assert_eq!(rows(&batch)[1], ("row 12".to_owned(), None, Ok(b"two".to_vec())));
    let batch = RecordBatch::try_from_iter([("path", nothing())]).unwrap();
    assert!(rows(&batch)[0].2.as_ref().unwrap_err().contains("both are null"));
    let mut empty_lists = ListBuilder::new(arrow_array::builder::NullBuilder::new());
    empty_lists.values().append_null();
    empty_lists.append(true);
    let lists: ArrayRef = Arc::new(empty_lists.finish());
    let path: ArrayRef = Arc::new(StringArray::from(vec!["a.jpg"]));
    let batch = RecordBatch::try_from_iter([("path", path), ("labels", lists)]).unwrap();
    assert!(rows(&batch)[0].2.as_ref().unwrap_err().contains("one or more texts"));
}

#[track_caller]
fn check_schema(fields: Vec<Field>, problem: &str) {
    let error = Columns::of(&Schema::new(fields), LabelColumn::Read).unwrap_err();
    assert_eq!(error.to_string(), problem);
}

#[test]
fn a_column_that_is_missing_twice_there_or_of_another_type_is_named() {
    use arrow_schema::DataType::{Int64, Utf8};
    check_schema(
        vec![Field::new("img", Utf8, true), Field::new("n", Int64, true)],
        "the Arrow stream has neither a column `path` nor `image`; its columns are `img` (Utf8), `n` (Int64)",
    );
    check_schema(
        Vec::new(),
        "the Arrow stream has neither a column `path` nor `image`; it has no columns",
    );
    check_schema(
        vec![Field::new("path", Int64, true)],
        "the column `path` of the Arrow stream is of the type Int64; expected text (utf8)",
    );
    check_schema(
        vec![Field::new("image", Utf8, true)],
        "the column `image` of the Arrow stream is of the type Utf8; expected encoded images (binary)",
    );
    check_schema(
        vec![Field::new("path", Utf8, true), Field::new("labels", Utf8, true)],
        "the column `labels` of the Arrow stream is of the type Utf8; expected lists of texts (list<utf8>)",
    );
    check_schema(
        vec![Field::new("path", Utf8, true), Field::new("path", Utf8, true)],
        "the Arrow stream has two columns `path`",
    );
    let as_any_other = Schema::new(vec![Field::new("path", Utf8, true), Field::new("labels", Utf8, true)]);
    assert_eq!(Columns::of(&as_any_other, LabelColumn::Carried).unwrap().labels(), None);
}

#[test]
fn batches_come_as_they_were_written_packed_sliced_empty_or_in_a_file() {
    let batches = [batch(), batch().slice(1, 2), batch().slice(0, 0), batch()];
    for packed in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        assert_eq!(read(written(&batches, packed)).unwrap(), batches);
    }
    let mut file = FileWriter::try_new(Vec::new(), &batch().schema()).unwrap();
    batches.iter().for_each(|batch| file.write(batch).unwrap());
    file.finish().unwrap();
    assert_eq!(read(file.into_inner().unwrap()).unwrap(), batches);
}

#[test]
fn a_stream_may_end_with_its_mark_or_without_it_and_nowhere_else() {
    const MARK_BYTES: usize = 8;
    let whole = written(&[batch(), batch()], None);
    let first = written(&[batch()], None).len() - MARK_BYTES;
    let schema = written(&[batch().slice(0, 0)], None);
    let mut ends = Vec::new();
    for length in 0..=whole.len() {
        match read(whole[..length].to_vec()) {
            Ok(batches) => ends.push((length, batches.len())),
            Err(Error::Stream { problem, .. }) => assert!(!problem.is_empty()),
            Err(other) => panic!("{other}"),
        }
    }
    let begin = ends[0].0;
    assert!(begin < schema.len());
    let end = whole.len() - MARK_BYTES;
    assert_eq!(ends, [(begin, 0), (first, 1), (end, 2), (whole.len(), 2)]);
}

#[test]
fn what_is_no_stream_is_told_by_what_it_is() {
    let problem = |bytes: &[u8]| opened(bytes.to_vec()).err().unwrap().to_string();
    assert!(problem(b"").contains("it is empty"));
    assert!(problem(b"path,label\n").ends_with("it begins with `path,lab`"));
    assert!(problem(b"PAR1\0\0\0\0").ends_with("it is a Parquet file"));
    let batch_first = written(&[batch()], None);
    let schema_bytes = 8 + u32::from_le_bytes(batch_first[4..8].try_into().unwrap()) as usize;
    assert!(problem(&batch_first[schema_bytes..]).contains("its first message is a record batch, not a schema"));
}

#[test]
fn a_length_that_no_machine_has_room_for_takes_no_room() {
    let mut bytes = written(&[batch()], None);
    // The length of a header, and that of a body, which is in the header.
    bytes[4..8].copy_from_slice(&(u32::MAX - 7).to_le_bytes());
    assert!(opened(bytes).err().unwrap().to_string().contains("at most"));
    let image: ArrayRef = Arc::new(BinaryArray::from_vec(vec![&[0; 4096]]));
    let zeros = RecordBatch::try_from_iter([("image", image)]).unwrap();
    for packed in [CompressionType::ZSTD, CompressionType::LZ4_FRAME] {
        let mut bytes = written(std::slice::from_ref(&zeros), Some(packed));
        let prefix = bytes.windows(8).rposition(|bytes| bytes == 4096_i64.to_le_bytes());
        let prefix = prefix.expect("compressed bytes begin with their uncompressed length");
        bytes[prefix..prefix + 8].copy_from_slice(&(i64::MAX - 4096).to_le_bytes());
        assert!(read(bytes).unwrap_err().to_string().contains("bytes uncompressed"));
    }
}

#[test]
fn a_batch_that_is_too_large_costs_its_rows_and_not_the_stream() {
    let image: ArrayRef = Arc::new(BinaryArray::from_opt_vec(vec![Some(&[0; 4096]), None]));
    let id: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let zeros = RecordBatch::try_from_iter_with_nullable([("image", image, true), ("id", id, true)]).unwrap();
    let packed = Some(CompressionType::ZSTD);
    let mut bytes = written(&[zeros.clone(), zeros.clone()], packed);
    let n_first = written(std::slice::from_ref(&zeros), packed).len() - 8;
    let prefix = bytes[..n_first]
        .windows(8)
        .rposition(|bytes| bytes == 4096_i64.to_le_bytes());
    let prefix = prefix.expect("compressed bytes begin with their uncompressed length");
    bytes[prefix..prefix + 8].copy_from_slice(&(1_i64 << 60).to_le_bytes());
    let mut stream = opened(bytes).unwrap();
    let Batch { columns, refused } = stream.next_batch().unwrap().unwrap();
    assert_eq!((columns.num_rows(), columns.column(1).null_count()), (2, 2));
    let mut items = refused_items(2, 0, refused.unwrap());
    let mut item = items.next().unwrap();
    let problem = item.content.take("row 1").unwrap_err().to_string();
    assert!(problem.contains("its batch has more than"), "{problem}");
    let Batch { columns, refused } = stream.next_batch().unwrap().unwrap();
    assert_eq!((columns, refused), (zeros, None));
    assert!(stream.next_batch().unwrap().is_none());
}

/// Any bytes make an error or a batch: no panic, no hang, no memory that isn't there.
#[test]
fn flipped_bytes_are_errors_or_other_values() {
    let streams = [
        written(&[batch(), batch()], None),
        written(&[batch(), batch()], Some(CompressionType::ZSTD)),
        written(&[batch(), batch()], Some(CompressionType::LZ4_FRAME)),
    ];
    let mut random = Random::new(1, 0);
    let mut random = |below: usize| random.below(below);
    let mut n_errors = 0;
    for round in 0..30_000 {
        let mut bytes = streams[round % streams.len()].clone();
        for _ in 0..=random(3) {
            let place = random(bytes.len());
            bytes[place] = match random(4) {
                0 => 0xff,
                1 => 0x80,
                2 => bytes[place] ^ (1 << random(8)),
                _ => random(256) as u8,
            };
        }
        n_errors += usize::from(read(bytes).is_err());
    }
    assert!(n_errors > 5_000, "{n_errors}");
}
