//! Compares an index with what a plain Parquet reader and a plain loop in f64 find in the same file.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float16Type;
use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use half::f16;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::columns;
use super::journal::{self, path_of};
use super::page::stored_embedding;
use super::*;
use crate::kernels::{Threads, cpu::Level};
use crate::random::Random;

fn origin(embed_dim: usize) -> Origin {
    Origin {
        model: "small".into(),
        weights: "0123456789abcdef".into(),
        dtype: "f32".into(),
        orientation: "upright".into(),
        embed_dim,
        folder: "/photos".into(),
        version: "1.2.3".into(),
    }
}

fn picture(i: usize) -> Picture {
    Picture {
        path: format!("a/{i}.jpg"),
        size: Some(i as u64 * 7),
        mtime_us: (!i.is_multiple_of(3)).then_some(1_700_000_000_123_456 - i as i64),
        sha256: i.is_multiple_of(3).then(|| format!("{i:064x}")),
    }
}

/// Pseudo-random numbers from -1 to 1. Every fifth row repeats the one before it, so that there are ties.
fn vectors(seed: u64, n: usize, dim: usize) -> Vec<Vec<f32>> {
    let mut random = Random::new(seed, 0);
    let mut rows: Vec<Vec<f32>> = (0..n)
        .map(|_| (0..dim).map(|_| random.signed_unit()).collect())
        .collect();
    for i in (4..n).step_by(5) {
        rows[i] = rows[i - 1].clone();
    }
    rows
}

/// Writes an index in row groups of 37 rows.
fn write(path: &Path, vectors: &[Vec<f32>], dim: usize) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = IndexWriter::new(file, &origin(dim))
        .unwrap()
        .with_group_bytes(dim * 2 * 37);
    for (i, vector) in vectors.iter().enumerate() {
        writer.push(picture(i), vector).unwrap();
    }
    writer.finish().unwrap();
}

/// The embeddings as read by the `parquet` crate.
fn read_with_parquet(path: &Path) -> Vec<Vec<f64>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
    let mut rows = Vec::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let lists = batch.column_by_name("embedding").unwrap().as_fixed_size_list();
        for i in 0..lists.len() {
            let list = lists.value(i);
            let numbers = list.as_primitive::<Float16Type>();
            rows.push(numbers.values().iter().map(|value| value.to_f64()).collect());
        }
    }
    rows
}

fn unit(vector: &[f32]) -> Vec<f64> {
    let norm = vector.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    vector.iter().map(|v| f64::from(*v) / norm).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// What a plain loop finds: row and cosine, nearest first.
fn plain_search(rows: &[Vec<f64>], question: &Question, limits: AnswerLimits) -> Vec<(usize, f64)> {
    let wanted = unit(&question.wanted);
    // Rounded as an index stores it.
    let as_row: Vec<f64> = stored_embedding(&question.wanted)
        .unwrap()
        .chunks(2)
        .map(|pair| f16::from_le_bytes([pair[0], pair[1]]).to_f64())
        .collect();
    let is_excluded = |row: &[f64]| {
        question.excluded.iter().any(|excluded| {
            let other = unit(&excluded.embedding);
            let limit = match excluded.rule {
                ExclusionRule::NearerThanToWanted => dot(row, &wanted),
                ExclusionRule::NearerThanWantedIs => dot(&as_row, &other),
            };
            dot(row, &other) > limit + 1e-9
        })
    };
    let mut found: Vec<(usize, f64)> = rows.iter().enumerate().map(|(i, row)| (i, dot(row, &wanted))).collect();
    found.retain(|(i, cosine)| {
        limits.threshold.is_none_or(|least| *cosine >= f64::from(least)) && !is_excluded(&rows[*i])
    });
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.truncate(limits.top_k.get());
    found
}

fn limits(top_k: usize, threshold: Option<f32>) -> AnswerLimits {
    AnswerLimits {
        top_k: NonZeroUsize::new(top_k).unwrap(),
        threshold,
    }
}

#[track_caller]
fn check_answers(index: &Index, rows: &[Vec<f64>], dim: usize) {
    let texts = vectors(99, 4, dim);
    let exclude = |embedding: &[f32], rule| Excluded {
        embedding: embedding.to_vec(),
        rule,
    };
    let questions = [
        Question {
            wanted: texts[0].clone(),
            excluded: Vec::new(),
        },
        Question {
            wanted: texts[1].clone(),
            excluded: vec![exclude(&texts[2], ExclusionRule::NearerThanToWanted)],
        },
        Question {
            wanted: texts[2].clone(),
            excluded: vec![
                exclude(&texts[0], ExclusionRule::NearerThanWantedIs),
                exclude(&texts[1], ExclusionRule::NearerThanToWanted),
            ],
        },
    ];
    for limits in [limits(1, None), limits(10, Some(0.05)), limits(10_000, None)] {
        for level in Level::ALL {
            for count in [1, 2, 3] {
                let threads = Threads::with_level(count, level);
                let found = index.nearest(&questions, limits, &threads);
                for (found, question) in found.iter().zip(&questions) {
                    let expected = plain_search(rows, question, limits);
                    let found_rows: Vec<usize> = found.iter().map(|hit| hit.row).collect();
                    let expected_rows: Vec<usize> = expected.iter().map(|(row, _)| *row).collect();
                    assert_eq!(found_rows, expected_rows, "{level:?}, {count} threads, {limits:?}");
                    for (hit, (_, cosine)) in found.iter().zip(expected) {
                        assert!(
                            (f64::from(hit.cosine) - cosine).abs() < 1e-6,
                            "{} for {cosine}",
                            hit.cosine
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn answers_equal_those_of_a_plain_loop() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("i.parquet");
    for (n, dim) in [(1, 16), (200, 3), (230, 64), (111, 100), (40, 512)] {
        write(&path, &vectors(7, n, dim), dim);
        let index = Index::open(&path).unwrap();
        assert!(index.is_searched_in_place(), "{n} rows of {dim}");
        check_answers(&index, &read_with_parquet(&path), dim);
    }
}

#[test]
fn equal_images_are_in_the_order_of_the_index_for_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("i.parquet");
    write(&path, &vec![vec![1.0; 8]; 500], 8);
    let index = Index::open(&path).unwrap();
    let question = Question {
        wanted: vec![1.0; 8],
        excluded: vec![Excluded {
            embedding: vec![1.0; 8],
            rule: ExclusionRule::NearerThanToWanted,
        }],
    };
    for count in 1..5 {
        let found = index.nearest(std::slice::from_ref(&question), limits(7, None), &Threads::new(count));
        let rows: Vec<usize> = found[0].iter().map(|hit| hit.row).collect();
        assert_eq!(
            rows,
            [0, 1, 2, 3, 4, 5, 6],
            "{count} threads; equally near is not nearer"
        );
    }
}

#[test]
fn all_rows_or_some_can_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("i.parquet");
    write(&path, &vectors(1, 300, 5), 5);
    let index = Index::open(&path).unwrap();
    assert_eq!(index.origin(), &origin(5));
    // Programs that rewrite the file through Arrow keep the schema's metadata.
    let file = std::fs::File::open(&path).unwrap();
    let schema = Arc::clone(ParquetRecordBatchReaderBuilder::try_new(file).unwrap().schema());
    assert_eq!(schema.metadata().get("longclip.weights"), Some(&origin(5).weights));
    let all: Vec<Picture> = (0..300).map(picture).collect();
    assert_eq!(index.pictures().unwrap(), all);
    for rows in [vec![], vec![0], vec![299], vec![3, 36, 37, 38, 150, 298]] {
        let few: Vec<Picture> = rows.iter().map(|i| picture(*i)).collect();
        assert_eq!(index.pictures_of(&rows).unwrap(), few);
    }
    for (row, vector) in vectors(1, 300, 5).iter().enumerate() {
        assert_eq!(index.stored_embedding(row), stored_embedding(vector).unwrap());
    }
}

/// Writes the same rows as another program might.
fn write_with_parquet(path: &Path, vectors: &[Vec<f32>], dim: usize) {
    let number = Arc::new(Field::new("item", DataType::Float32, true));
    let schema = Arc::new(Schema::new(vec![
        Field::new("path", DataType::Utf8, true),
        Field::new(
            "embedding",
            DataType::FixedSizeList(Arc::clone(&number), dim as i32),
            true,
        ),
    ]));
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(columns::metadata(&origin(dim))))
        .build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties)).unwrap();
    let paths: Vec<String> = (0..vectors.len()).map(|i| picture(i).path).collect();
    let values = vectors.iter().flat_map(|vector| unit(vector)).map(|value| value as f32);
    let lists = FixedSizeListArray::new(number, dim as i32, Arc::new(values.collect::<Float32Array>()), None);
    let columns: Vec<ArrayRef> = vec![Arc::new(arrow_array::StringArray::from(paths)), Arc::new(lists)];
    writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
    writer.close().unwrap();
}

#[test]
fn a_file_rewritten_by_another_program_gives_the_same_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (dir.path().join("ours.parquet"), dir.path().join("theirs.parquet"));
    let vectors = vectors(3, 90, 48);
    write(&ours, &vectors, 48);
    write_with_parquet(&theirs, &vectors, 48);
    let index = Index::open(&theirs).unwrap();
    assert!(!index.is_searched_in_place());
    check_answers(&index, &read_with_parquet(&ours), 48);
    let known = index.pictures_of(&[5]).unwrap();
    assert_eq!((known[0].path.as_str(), known[0].size), ("a/5.jpg", None));
}

#[test]
fn a_truncated_index_is_refused_and_a_flipped_bit_never_panics() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("i.parquet");
    write(&path, &vectors(5, 9, 3), 3);
    let whole = std::fs::read(&path).unwrap();
    for length in 0..whole.len() {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = Index::open(&path).err().expect("it is truncated").to_string();
        assert!(error.contains("i.parquet") && !error.contains('\n'), "{error}");
    }
    let question = Question {
        wanted: vec![1.0; 3],
        excluded: Vec::new(),
    };
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        std::fs::write(&path, bytes).unwrap();
        if let Ok(index) = Index::open(&path)
            && index.origin().embed_dim == 3
        {
            index.nearest(std::slice::from_ref(&question), limits(3, None), &Threads::new(1));
            let _ = index.pictures();
            let _ = index.pictures_of(&[0]);
        }
    }
}

#[test]
fn nan_is_never_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("i.parquet");
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = IndexWriter::new(file, &origin(2)).unwrap();
    assert!(writer.push(picture(0), &[f32::NAN, 1.0]).is_err());
    let broken = [f16::NAN, f16::ONE].map(f16::to_le_bytes).concat();
    writer.push_stored(picture(1), &broken).unwrap();
    writer.push(picture(2), &[0.0, -2.0]).unwrap();
    writer.finish().unwrap();
    let question = Question {
        wanted: vec![0.0, 1.0],
        excluded: Vec::new(),
    };
    let found = Index::open(&path)
        .unwrap()
        .nearest(&[question], limits(9, None), &Threads::new(2));
    assert_eq!(found, [[Hit { row: 1, cosine: -1.0 }]]);
}

#[test]
fn a_journal_gives_the_images_of_an_interrupted_build_and_their_embeddings() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("i.parquet");
    let mut journal = journal::open(&index, &origin(3)).unwrap();
    let vectors: Vec<Vec<u8>> = vectors(2, 3, 3)
        .iter()
        .map(|vector| stored_embedding(vector).unwrap())
        .collect();
    for (i, vector) in vectors.iter().enumerate() {
        journal::add(&mut journal, &picture(i), vector);
    }
    assert_eq!(journal.leave().unwrap(), Some(path_of(&index)));
    let journal = journal::open(&index, &origin(3)).unwrap();
    let found = journal::pictures(&journal, &origin(3)).unwrap();
    assert_eq!(found.len(), 3);
    for (i, (found, place)) in found.into_iter().enumerate() {
        assert_eq!((found, journal.value_at(place)), (picture(i), Some(vectors[i].clone())));
    }
}

#[test]
fn what_is_not_a_journal_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join("i.parquet");
    std::fs::write(path_of(&index), "my diary").unwrap();
    let refused = journal::open(&index, &origin(3)).err().unwrap().to_string();
    assert!(refused.ends_with("does not hold what a build has encoded"), "{refused}");
    assert_eq!(std::fs::read(path_of(&index)).unwrap(), b"my diary");
    std::fs::remove_file(path_of(&index)).unwrap();

    let mut journal = journal::open(&index, &origin(3)).unwrap();
    journal::add(&mut journal, &picture(0), &[0; 6]);
    let twice = journal::open(&index, &origin(3)).err().unwrap().to_string();
    assert!(twice.contains("is being written by another run"), "{twice}");
    journal.leave().unwrap();
    let other = journal::open(&index, &origin(4)).err().unwrap();
    assert!(other.hint().unwrap().to_string().contains("remove"), "{other}");
}
