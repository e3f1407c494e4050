//! The files of `eval zeroshot --predictions`.

use serde_json::Value;

use crate::zeroshot::{EVAL, check, desk, measured};

#[test]
fn predictions_have_a_row_per_image_in_every_format() {
    let desk = desk();
    let found = measured(&desk, &["--predictions", "p.ndjson"]);
    measured(&desk, &["--predictions", "p.csv"]);
    let text = std::fs::read_to_string(desk.path("p.ndjson")).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(found["n_images"], records.len());
    let n_right = records.iter().filter(|record| record["is_right"] == true).count();
    check(&found, "acc1", n_right as f64 / records.len() as f64);
    let columns = "path,truth,truth_probability,is_right,predicted_1,probability_1,predicted_2,probability_2,predicted_3,\
                   probability_3,predicted_4,probability_4,predicted_5,probability_5";
    let csv = std::fs::read_to_string(desk.path("p.csv")).unwrap();
    assert_eq!(csv.lines().next(), Some(columns));
    for (record, row) in records.iter().zip(csv.lines().skip(1)) {
        let path = record["path"].as_str().unwrap();
        assert_eq!(record["truth"], path.split('/').nth(1).unwrap());
        assert_eq!(record["is_right"] == true, record["predicted_1"] == record["truth"]);
        for (column, value) in columns.split(',').zip(row.split(',')) {
            match &record[column] {
                Value::Number(number) => assert_eq!(number.as_f64(), value.parse::<f64>().ok(), "{column}"),
                other => assert_eq!(other.to_string().trim_matches('"'), value, "{column}"),
            }
        }
    }
    for (file, said) in [
        ("p.txt", "`p.txt` has no ending that predictions can be written as"),
        ("p.csv", "`p.csv` holds results already"),
        ("-", "has no ending"),
    ] {
        let told = desk.run(&[&EVAL[..], &["--predictions", file]].concat());
        assert!(told.contains("exit code 2") && told.contains(said), "{told}");
    }
}

#[cfg(feature = "parquet")]
#[test]
fn predictions_in_parquet_have_typed_columns() {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let desk = desk();
    let found = measured(&desk, &["--predictions", "p.parquet"]);
    let file = std::fs::File::open(desk.path("p.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let types = reader.schema().fields().iter().take(6);
    let types: Vec<String> = types
        .map(|field| format!("{} {}", field.name(), field.data_type()))
        .collect();
    assert_eq!(
        types,
        [
            "path Utf8",
            "truth Utf8",
            "truth_probability Float32",
            "is_right Boolean",
            "predicted_1 Utf8",
            "probability_1 Float32"
        ]
    );
    let n_rows: usize = reader.build().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(found["n_images"], n_rows);
}
