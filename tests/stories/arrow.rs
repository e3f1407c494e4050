//! `--in arrow --out arrow`: batches come back with their results, also in lock-step, and broken streams are errors.

use std::fs;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::StreamWriter;
use insta::assert_snapshot;
use serde_json::Value;

use crate::fixture::Desk;
use crate::many::{LABELS, SMALL, arguments, ppm, with_many};

const STREAM: [&str; 5] = ["classify", "--in", "arrow", "--out", "arrow"];

fn run_of<'a>(more: &[&'a str]) -> Vec<&'a str> {
    arguments(&[&STREAM, &LABELS, &SMALL, more])
}

/// Rows from..to with a number and an encoded image; every fifth image is broken.
fn batch(from: usize, to: usize) -> RecordBatch {
    let picture = |i: usize| if i % 5 == 4 { b"broken".to_vec() } else { ppm(i) };
    let numbers = Int64Array::from_iter_values((from..to).map(|i| i as i64));
    let pictures = BinaryArray::from_iter_values((from..to).map(picture));
    let columns: [(&str, ArrayRef); 2] = [("id", Arc::new(numbers)), ("image", Arc::new(pictures))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn written(batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

#[track_caller]
fn read(bytes: &[u8]) -> Vec<RecordBatch> {
    let batches = StreamReader::try_new(bytes, None).unwrap();
    batches.map(|batch| batch.unwrap()).collect()
}

/// Fails a test that would otherwise wait forever.
fn within_two_minutes(story: impl FnOnce() + Send + 'static) {
    let (sender, receiver) = channel();
    let teller = thread::spawn(move || {
        story();
        sender.send(()).unwrap();
    });
    if receiver.recv_timeout(Duration::from_secs(120)) == Err(RecvTimeoutError::Timeout) {
        panic!("nothing came back");
    }
    teller.join().unwrap();
}

fn started(desk: &Desk, run: &[&str]) -> (Child, ChildStdin, ChildStdout) {
    let mut command = desk.command(run);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    (child, stdin, stdout)
}

#[test]
fn in_lock_step_each_batch_comes_back_before_the_next_is_written() {
    within_two_minutes(|| {
        let desk = with_many(0);
        // More rows than the model takes at once, no rows, one row, and exactly as many as it takes.
        let batches = [(0, 40), (40, 40), (40, 41), (41, 41), (41, 57)].map(|(from, to)| batch(from, to));
        let (mut child, stdin, stdout) = started(&desk, &run_of(&["--batch", "16", "-q"]));
        let mut writer = StreamWriter::try_new(stdin, &batches[0].schema()).unwrap();
        let mut reader = StreamReader::try_new(stdout, None).unwrap();
        for batch in &batches {
            writer.write(batch).unwrap();
            writer.flush().unwrap();
            let widened = reader.next().unwrap().unwrap();
            assert_eq!(widened.project(&[0, 1]).unwrap().columns(), batch.columns());
            let errors = widened.column_by_name("error").unwrap();
            let failed = batch.column(0).as_primitive::<arrow_array::types::Int64Type>();
            let expected: Vec<bool> = failed.values().iter().map(|i| i % 5 != 4).collect();
            let found: Vec<bool> = (0..errors.len()).map(|row| errors.is_null(row)).collect();
            assert_eq!(found, expected);
        }
        writer.finish().unwrap();
        drop(writer);
        assert!(reader.next().is_none());
        assert_eq!(child.wait().unwrap().code(), Some(1));
    });
}

#[test]
fn rows_have_the_numbers_of_the_plain_command() {
    let desk = with_many(50);
    let plain = desk.records(&arguments(&[
        &["classify", "many", "--format", "ndjson", "--embeddings", "-q"],
        &LABELS,
        &SMALL,
    ]));
    let paths: ArrayRef = Arc::new(StringArray::from_iter_values(
        plain.iter().map(|record| record["path"].as_str().unwrap()),
    ));
    let batch = RecordBatch::try_from_iter([("path", paths)]).unwrap();
    let desk = desk.stdin(&written(&[batch.slice(0, 13), batch.slice(13, 37)]));
    let output = desk.output(&run_of(&["--embeddings", "--threads", "2", "-q"]));
    assert_eq!(output.status.code(), Some(0));
    let batches = read(&output.stdout);
    assert_eq!(batches.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [13, 37]);
    let mut records = plain.iter();
    for row in batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows()).map(move |row| batch.slice(row, 1)))
    {
        check_row(&row, records.next().unwrap());
    }
    let metadata = batches[0].schema().metadata().clone();
    assert_eq!(metadata["longclip.labels"], r#"["a cat","a dog, asleep"]"#);
    assert_eq!(
        (
            metadata["longclip.dtype"].as_str(),
            metadata["longclip.version"].as_str()
        ),
        ("f32", env!("CARGO_PKG_VERSION"))
    );
    assert!(metadata["longclip.model"].contains("small"));
}

/// Compares a row with the record of the same image.
#[track_caller]
fn check_row(row: &RecordBatch, record: &Value) {
    let column = |name: &str| row.column_by_name(name).unwrap().clone();
    assert_eq!(column("path").as_string::<i32>().value(0), record["path"]);
    assert_eq!(
        column("label").as_string::<i32>().value(0),
        record["labels"][0]["label"]
    );
    let scores = column("scores").as_fixed_size_list().value(0);
    let labels = record["labels"].as_array().unwrap();
    for (label, score) in [LABELS[1], LABELS[3]]
        .iter()
        .zip(scores.as_primitive::<Float32Type>().values())
    {
        let labelled = labels.iter().find(|labelled| labelled["label"] == *label).unwrap();
        assert_eq!(labelled["probability"].as_f64().unwrap() as f32, *score);
    }
    let embedding = column("embedding").as_fixed_size_list().value(0);
    let embedding: Vec<Value> = embedding
        .as_primitive::<Float32Type>()
        .values()
        .iter()
        .map(|v| (*v).into())
        .collect();
    let numbers = |values: &[Value]| values.iter().map(|v| v.as_f64().unwrap() as f32).collect::<Vec<_>>();
    assert_eq!(numbers(&embedding), numbers(record["embedding"].as_array().unwrap()));
    assert!(column("error").is_null(0));
}

#[test]
fn embed_adds_embeddings_and_copies_a_labels_column() {
    let columns: [(&str, ArrayRef); 2] = [
        ("path", Arc::new(StringArray::from(vec![Some("many/00000.ppm"), None]))),
        ("labels", Arc::new(Int64Array::from(vec![3, 4]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let desk = with_many(1).stdin(&written(&[batch]));
    let output = desk.output(&arguments(&[
        &["embed", "--in", "arrow", "--out", "arrow", "--normalize", "-q"],
        &SMALL,
    ]));
    assert_eq!(output.status.code(), Some(1));
    let rows = read(&output.stdout).remove(0);
    let names: Vec<String> = rows
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(names, ["path", "labels", "embedding", "error"]);
    let vectors = rows.column(2).as_fixed_size_list();
    let length: f32 = vectors
        .value(0)
        .as_primitive::<Float32Type>()
        .values()
        .iter()
        .map(|v| v * v)
        .sum();
    assert!((length - 1.0).abs() < 1e-5, "{length}");
    assert!(vectors.is_null(1));
    assert_snapshot!(
        rows.column(3).as_string::<i32>().value(1),
        @"cannot use the image `row 2`: it has neither `path` nor `image`: both are null"
    );
}

#[test]
fn the_labels_of_a_row_are_scored_in_their_order() {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for labels in [Some(vec!["a bird", "a cat", "a fish"]), None] {
        let has_labels = labels.is_some();
        labels
            .into_iter()
            .flatten()
            .for_each(|label| lists.values().append_value(label));
        lists.append(has_labels);
    }
    let columns: [(&str, ArrayRef); 2] = [
        ("path", Arc::new(StringArray::from(vec!["many/00000.ppm"; 2]))),
        ("labels", Arc::new(lists.finish())),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap();
    let desk = with_many(1).stdin(&written(&[batch]));
    let output = desk.output(&run_of(&["-q"]));
    let rows = read(&output.stdout).remove(0);
    let scores = rows.column_by_name("scores").unwrap().as_list::<i32>();
    let own = scores.value(0).as_primitive::<Float32Type>().clone();
    let plain = desk.records(&arguments(&[
        &[
            "classify",
            "many/00000.ppm",
            "--format",
            "ndjson",
            "-q",
            "--labels",
            "a fish",
            "a cat",
            "a bird",
        ],
        &SMALL,
    ]));
    for (label, score) in ["a bird", "a cat", "a fish"].iter().zip(own.values()) {
        let labels = plain[0]["labels"].as_array().unwrap();
        let labelled = labels.iter().find(|labelled| labelled["label"] == *label).unwrap();
        assert_eq!(labelled["probability"].as_f64().unwrap() as f32, *score, "{label}");
    }
    assert_eq!(scores.value(1).len(), 2, "a row without labels uses the command's");
    // Without labels in the command, that row fails and the other does not.
    let output = desk.output(&arguments(&[&STREAM, &SMALL, &["-q"]]));
    assert_eq!(output.status.code(), Some(1));
    let rows = read(&output.stdout).remove(0);
    let errors = rows.column_by_name("error").unwrap();
    assert_eq!([errors.is_null(0), errors.is_null(1)], [true, false]);
}

#[track_caller]
fn refused(stdin: &[u8], more: &[&str]) -> String {
    let desk = with_many(0).stdin(stdin);
    let run = desk.run(&arguments(&[&STREAM, more, &SMALL]));
    let refusal = run.strip_prefix("exit code 2\n--- stdout\n--- stderr\n");
    refusal.unwrap_or_else(|| panic!("{run}")).to_owned()
}

#[test]
fn impossible_requests_are_refused_before_any_work() {
    let column = |name: &str| {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["a.jpg"]));
        RecordBatch::try_from_iter([("path", column.clone()), (name, column)]).unwrap()
    };
    assert_snapshot!(refused(b"", &LABELS), @r#"
    error: cannot read the Arrow stream on stdin: it is empty; expected a schema, even without rows
    hint: write it with `pyarrow.ipc.new_stream`; the results of the batches before it are complete
    "#);
    assert_snapshot!(refused(b"{\"path\": \"a.jpg\"}\n", &LABELS), @r#"
    error: cannot read the Arrow stream on stdin: it begins with `{"path":`
    hint: write it with `pyarrow.ipc.new_stream`; the results of the batches before it are complete
    "#);
    assert_snapshot!(refused(&written(&[column("error")]), &LABELS), @r#"
    error: the Arrow stream already has a column `error`, which is also the name of a result
    hint: rename or drop the column first
    "#);
    assert_snapshot!(refused(&written(&[column("labels")]), &LABELS), @r#"
    error: the column `labels` of the Arrow stream is of the type Utf8; expected lists of texts (list<utf8>)
    hint: cast it, or give it another name
    "#);
    assert_snapshot!(refused(&written(&[column("n")]), &[]), @r#"
    error: no labels given, and the Arrow stream has no column `labels`
    hint: say what the images may show: `--labels "a cat" "a dog"`, or `--labels-file FILE`
    "#);
    assert_snapshot!(refused(b"", &["--labels-file", "-"]), @r#"
    error: `--in arrow` and `--labels-file -` both read stdin, which can be read only once
    hint: give one of them a file
    "#);
    assert_snapshot!(refused(b"", &["--label", "a cat", "--shard", "0/2"]), @r#"
    error: `--shard` doesn't go with `--in arrow`, whose rows are the images
    hint: leave out one of them
    "#);
    assert_snapshot!(refused(b"", &["--label", "a cat", "--top-k", "1"]), @r#"
    error: `--top-k` changes nothing in an Arrow stream, whose columns are the best label and all scores
    hint: leave it out
    "#);
    let other_out = arguments(&[&["classify", "--in", "arrow", "--format", "csv"], &LABELS]);
    assert_snapshot!(with_many(0).run(&other_out), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `--in arrow` writes Arrow batches, which csv can't hold
    hint: use `--out arrow`
    "#);
    let no_batches = arguments(&[&["classify", "cat.jpg", "--out", "arrow"], &LABELS]);
    assert_snapshot!(with_many(0).run(&no_batches), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: the arrow format returns the batches of an Arrow stream, and the input is not one
    hint: add `--in arrow`, or use another format, such as parquet
    "#);
}

#[test]
fn a_stream_that_breaks_off_is_an_error_after_its_complete_batches() {
    let whole = written(&[batch(0, 4), batch(4, 8)]);
    let first = written(&[batch(0, 4)]).len() - 8;
    for length in [first + 1, first + 20, first + 700, whole.len() - 9] {
        let desk = with_many(0).stdin(&whole[..length]);
        let output = desk.output(&run_of(&["-q"]));
        assert_eq!(output.status.code(), Some(2), "{length}");
        let batches = read(&output.stdout);
        assert_eq!(batches.len(), 1, "{length}");
        assert_eq!(batches[0].column(0), batch(0, 4).column(0));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("cannot read the Arrow stream on stdin: batch 2: it "),
            "{said}"
        );
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn flipped_bytes_are_errors_and_not_panics() {
    let whole = written(&[batch(0, 3)]);
    let desk = with_many(0);
    for i in 0..40 {
        // Flip bytes near the start, where the headers are.
        let place = i * whole.len().min(900) / 40;
        let mut flipped = whole.clone();
        flipped[place] ^= if i % 2 == 0 { 0xff } else { 0x11 };
        let (mut child, mut stdin, mut stdout) = started(&desk, &run_of(&["-q"]));
        let _ = stdin.write_all(&flipped);
        drop(stdin);
        stdout.read_to_end(&mut Vec::new()).unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let code = child.wait().unwrap().code();
        assert!(code.is_some_and(|code| code <= 2), "flip at {place}: {code:?} {said}");
        assert!(!said.contains("panicked"), "flip at {place}: {said}");
    }
}

#[test]
fn a_reader_that_stops_early_is_not_an_error() {
    within_two_minutes(|| {
        let desk = with_many(0);
        let (mut child, stdin, stdout) = started(&desk, &run_of(&["-q", "--on-error", "skip"]));
        let batches: Vec<RecordBatch> = (0..200).map(|i| batch(i * 5, i * 5 + 4)).collect();
        let mut writer = StreamWriter::try_new(stdin, &batches[0].schema()).unwrap();
        writer.write(&batches[0]).unwrap();
        writer.flush().unwrap();
        let mut reader = StreamReader::try_new(stdout, None).unwrap();
        assert_eq!(reader.next().unwrap().unwrap().num_rows(), 4);
        drop(reader);
        // The program exits while we write to it, so this may fail or not.
        let _ = batches[1..].iter().try_for_each(|batch| writer.write(batch));
        drop(writer);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
    });
}

#[cfg(unix)]
#[test]
fn an_interrupted_stream_ends_after_a_complete_batch_and_exits_with_130() {
    within_two_minutes(|| {
        let desk = with_many(0);
        let (mut child, stdin, stdout) = started(&desk, &run_of(&[]));
        let mut writer = StreamWriter::try_new(stdin, &batch(0, 4).schema()).unwrap();
        writer.write(&batch(0, 4)).unwrap();
        writer.flush().unwrap();
        let mut reader = StreamReader::try_new(stdout, None).unwrap();
        reader.next().unwrap().unwrap();
        // The program is now waiting for the next batch.
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(reader.next().is_none());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        drop(writer);
    });
}

#[test]
fn reads_a_stream_from_a_file_and_writes_it_to_a_file() {
    let desk = with_many(0);
    fs::write(desk.path("in.arrows"), written(&[batch(0, 4)])).unwrap();
    let output = desk.output(&run_of(&["in.arrows", "--output", "out.arrows", "-q"]));
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert_eq!(read(&fs::read(desk.path("out.arrows")).unwrap())[0].num_rows(), 4);
    assert!(!desk.path("out.arrows.partial").exists());
    let mut broken = written(&[batch(0, 4)]);
    broken.truncate(200);
    fs::write(desk.path("in.arrows"), broken).unwrap();
    let output = desk.output(&run_of(&["in.arrows", "--output", "other.arrows", "-q"]));
    assert_eq!(output.status.code(), Some(2));
    assert!(!desk.path("other.arrows").exists());
}
