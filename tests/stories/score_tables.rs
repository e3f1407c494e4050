//! `longclip score` on tables: Parquet and Arrow files, an Arrow stream in lock-step, shards and pages with thumbnails.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, BinaryArray, RecordBatch, StringArray, StructArray};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field};
use insta::assert_snapshot;
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use crate::fixture::Desk;
use crate::many::ppm;

const SMALL: [&str; 3] = ["-q", "--model", "small.safetensors"];

fn arguments<'a>(parts: &[&[&'a str]]) -> Vec<&'a str> {
    [&parts.concat()[..], &SMALL].concat()
}

fn batch(columns: &[(&str, ArrayRef)]) -> RecordBatch {
    let columns = columns.iter().map(|(name, column)| (*name, column.clone(), true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn parquet(rows: &RecordBatch) -> Vec<u8> {
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.into_inner().unwrap()
}

fn stream(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

/// Encoded images as Hugging Face stores them.
fn images(images: Vec<Option<Vec<u8>>>) -> ArrayRef {
    let bytes: ArrayRef = Arc::new(images.iter().map(Option::as_deref).collect::<BinaryArray>());
    let paths: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; images.len()]));
    Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("bytes", DataType::Binary, true)), bytes),
        (Arc::new(Field::new("path", DataType::Utf8, true)), paths),
    ]))
}

fn texts(texts: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(texts.to_vec()))
}

/// Rows, of which one has no image, one no text, and one an image that is broken.
fn rows() -> RecordBatch {
    let pictures = vec![Some(ppm(0)), None, Some(ppm(1)), Some(b"broken".to_vec()), Some(ppm(2))];
    let own = [Some("A cat."), Some("A dog."), None, Some("A cup."), Some("A cat.")];
    batch(&[("image", images(pictures)), ("caption", texts(&own))])
}

fn desk() -> Desk {
    Desk::new().and_small_model()
}

#[test]
fn each_row_of_a_table_has_its_record_in_its_place() {
    let rows = rows();
    let desk = desk()
        .file("rows.parquet", parquet(&rows))
        .file("rows.arrows", stream(&[rows.slice(0, 2), rows.slice(2, 3)]));
    let score = |file: &str| {
        let output = desk.output(&arguments(&[&["score", file, "--format", "{path}\t{label}\t{error}"]]));
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_snapshot!(score("rows.parquet"), @r"
    rows.parquet row 1	A cat.	
    rows.parquet row 2		cannot use the sample `rows.parquet row 2`: its image is null
    rows.parquet row 3		cannot use the sample `rows.parquet row 3`: it has no caption, as `long`, `text`, `caption`, `captions`, `description`
    rows.parquet row 4		cannot use the image `rows.parquet row 4`: it is text, not an image that can be decoded; give an image: jpeg, png, webp, gif, bmp, tiff, ico, pnm, qoi, tga or hdr
    rows.parquet row 5	A cat.	
    ");
    assert_eq!(score("rows.arrows"), score("rows.parquet").replace("parquet", "arrows"));
}

#[test]
fn rows_have_the_numbers_of_the_same_pairs_in_files() {
    let rows = rows();
    let lines =
        [(0, "A cat."), (2, "A cat.")].map(|(i, text)| json!({"path": format!("{i}.ppm"), "text": text}).to_string());
    let desk = desk()
        .file("rows.parquet", parquet(&rows))
        .file("0.ppm", ppm(0))
        .file("2.ppm", ppm(2))
        .file("pairs.ndjson", lines.join("\n"));
    let of_files = desk.records(&arguments(&[&["score", "pairs.ndjson"]]));
    let of_rows = desk.records(&arguments(&[&["score", "rows.parquet"]]));
    let of_rows: Vec<&Value> = of_rows.iter().filter(|record| record["error"].is_null()).collect();
    assert_eq!(of_rows.len(), 2);
    for (row, file) in of_rows.iter().zip(&of_files) {
        assert_eq!(row["labels"], file["labels"]);
    }
}

#[test]
fn a_column_that_is_missing_is_named_with_those_that_there_are() {
    let desk = desk().file("rows.parquet", parquet(&rows()));
    let wrong = desk.run(&arguments(&[&["score", "rows.parquet", "--text-field", "title"]]));
    assert_snapshot!(wrong, @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `rows.parquet` has no column of texts or names called `title`; its columns are `image` (Struct("bytes": BinaryView, "path": Utf8View)), `caption` (Utf8View)
    hint: rename one, or name it by `--text-field`
    "#);
    let named = desk.output(&arguments(&[&["score", "rows.parquet", "--text-field", "caption"]]));
    assert_eq!(named.status.code(), Some(1));
}

#[test]
fn shards_together_have_each_pair_once() {
    let lines: Vec<String> = (0..30)
        .map(|i| json!({"path": format!("{}.ppm", i % 20), "text": format!("Text {i}.")}).to_string())
        .collect();
    let mut desk = desk().file("pairs.ndjson", lines.join("\n")).folder("tables");
    for i in 0..20 {
        desk = desk.file(&format!("{i}.ppm"), ppm(i));
    }
    for i in 0..4 {
        let pictures = (0..5).map(|k| Some(ppm(5 * i + k))).collect();
        let rows = batch(&[("image", images(pictures)), ("text", texts(&[Some("A cat."); 5]))]);
        desk = desk.file(&format!("tables/{i}.parquet"), parquet(&rows));
    }
    let all = ["score", "pairs.ndjson", "tables", "-f", "csv"];
    let sorted = |shards: &[&[&str]]| {
        let mut rows = Vec::new();
        for shard in shards {
            let output = desk.output(&arguments(&[&all, shard]));
            assert_eq!(output.status.code(), Some(0));
            rows.extend(
                String::from_utf8(output.stdout)
                    .unwrap()
                    .lines()
                    .skip(1)
                    .map(str::to_owned),
            );
        }
        rows.sort();
        rows
    };
    let whole = sorted(&[&[]]);
    assert_eq!(whole.len(), 50);
    let by_picture: [&[&str]; 3] = [&["--shard", "0/3"], &["--shard", "1/3"], &["--shard", "2/3"]];
    assert_eq!(sorted(&by_picture), whole);
    let by_archive = by_picture.map(|shard| [shard, &["--shard-by", "archive"]].concat());
    assert_eq!(sorted(&by_archive.each_ref().map(Vec::as_slice)), whole);
    for (i, shard) in by_archive.iter().enumerate() {
        let of_tables: Vec<String> = sorted(&[shard])
            .into_iter()
            .filter(|row| row.contains(" row "))
            .collect();
        assert_eq!(of_tables.len() % 5, 0, "whole files in shard {i}");
    }
}

#[test]
fn a_folder_of_shards_is_complete_when_all_are_there() {
    let desk = desk().file("rows.parquet", parquet(&rows()));
    let shard = |i: &str| desk.run(&arguments(&[&["score", "rows.parquet", "--shard", i, "-o", "out/"]]));
    shard("0/2");
    assert!(!desk.path("out/_SUCCESS").exists());
    shard("1/2");
    assert!(desk.path("out/_SUCCESS").exists());
    assert!(desk.path("out/part-00001-of-00002.parquet").exists());
    let other = desk.run(&arguments(&[&[
        "score",
        "rows.parquet",
        "--shard",
        "0/2",
        "-o",
        "out/",
        "--long-text",
        "chunk",
    ]]));
    assert!(
        other.contains("holds shards made with other settings: `long_text` was `truncate` there"),
        "{other}"
    );
}

#[test]
fn an_interrupted_run_over_a_table_is_continued_to_the_same_bytes() {
    let desk = desk().file("rows.parquet", parquet(&rows()));
    let score = |rest: &[&str]| desk.output(&arguments(&[&["score", "rows.parquet", "-o", "scores.ndjson"], rest]));
    score(&[]);
    let whole = fs::read(desk.path("scores.ndjson")).unwrap();
    for cut in [0, whole.len() / 2, whole.len() - 1] {
        fs::write(desk.path("scores.ndjson"), &whole[..cut]).unwrap();
        score(&["--resume"]);
        assert_eq!(fs::read(desk.path("scores.ndjson")).unwrap(), whole, "cut at {cut}");
    }
}

#[test]
fn a_page_has_the_images_of_a_table() {
    let desk = desk().file("rows.parquet", parquet(&rows()));
    desk.output(&arguments(&[&["score", "rows.parquet", "-o", "page.html"]]));
    let page = fs::read_to_string(desk.path("page.html")).unwrap();
    assert_eq!(page.matches("\"photo\":\"").count(), 2);
    assert!(page.contains("A cat."));
}

#[test]
fn tables_are_not_overwritten() {
    let desk = desk().folder("tables").file("tables/rows.parquet", parquet(&rows()));
    for data in ["tables", "tables/rows.parquet"] {
        let said = desk.run(&arguments(&[&["score", data, "-o", "tables/rows.parquet", "--force"]]));
        assert!(said.contains("would overwrite"), "{said}");
    }
}

#[test]
fn a_stream_comes_back_with_cosines_and_logits_batch_by_batch() {
    let desk = desk().file("rows.parquet", parquet(&rows()));
    let plain = desk.records(&arguments(&[&["score", "rows.parquet"]]));
    let run = arguments(&[&["score", "--in", "arrow", "--out", "arrow"]]);
    let mut child = desk
        .command(&run)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let rows = rows();
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema()).unwrap();
    let mut send = |batch: &RecordBatch| {
        writer.write(batch).unwrap();
        let bytes = std::mem::take(writer.get_mut());
        stdin.write_all(&bytes).unwrap();
    };
    let mut back = Vec::new();
    send(&rows.slice(0, 2));
    let mut reader = StreamReader::try_new(stdout, None).unwrap();
    back.push(reader.next().unwrap().unwrap());
    send(&rows.slice(2, 3));
    back.push(reader.next().unwrap().unwrap());
    drop(stdin);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut found = 0;
    for widened in &back {
        let names: Vec<String> = widened
            .schema()
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        assert_eq!(names, ["image", "caption", "cosine", "logit", "error"]);
        for row in 0..widened.num_rows() {
            let number = |name: &str| {
                let column = widened.column_by_name(name).unwrap().as_primitive::<Float32Type>();
                column.is_valid(row).then(|| f64::from(column.value(row)))
            };
            let record = &plain[found];
            for name in ["cosine", "logit"] {
                let there = record["labels"][0][name].as_f64();
                assert_eq!(number(name).is_some(), there.is_some(), "{record}");
                assert!(
                    (number(name).unwrap_or(0.0) - there.unwrap_or(0.0)).abs() < 1e-4,
                    "{record}"
                );
            }
            let errors = widened.column_by_name("error").unwrap();
            assert_eq!(errors.is_valid(row), record["error"].is_string(), "{record}");
            found += 1;
        }
    }
    assert_eq!(found, plain.len());
}

#[test]
fn a_stream_without_texts_is_refused_with_its_columns() {
    let rows = batch(&[("path", texts(&[Some("a.jpg")])), ("title", texts(&[Some("A cat.")]))]);
    let desk = desk().stdin(&stream(&[rows]));
    assert_snapshot!(desk.run(&arguments(&[&["score", "--in", "arrow", "--out", "arrow"]])), @r"
    exit code 2
    --- stdout
    --- stderr
    error: the Arrow stream has no column of texts called `long`, `text`, `caption`, `captions`, `description`; its columns are `path` (Utf8), `title` (Utf8)
    hint: rename one, or name it by `--text-field`
    ");
}
