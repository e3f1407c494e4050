//! `eval zeroshot --compare` shows which of two models is better on your own class folders.

use std::fs;

use serde_json::{Value, json};

use crate::fixture::{Desk, data};

/// A working folder with one folder per class, and one image in each.
fn with_classes() -> Desk {
    let desk = Desk::new().folder("photos");
    for (class, i) in [("cat", 1), ("cup of coffee", 2), ("astronaut", 3)] {
        let folder = desk.path("photos").join(class);
        fs::create_dir(&folder).unwrap();
        fs::copy(data(&format!("pairs/Urban1k/image/{i}.jpg")), folder.join("a.jpg")).unwrap();
    }
    desk
}

fn evaluate(desk: &Desk, more: &[&str]) -> Value {
    let fixed = [
        "eval", "zeroshot", "--data", "photos", "--model", "nano", "--format", "json", "-q",
    ];
    let output = desk.output(&[&fixed[..], more].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn compared_models_have_their_own_metrics_and_differences_have_intervals() {
    let desk = with_classes();
    let compare = [
        "--compare-dtype",
        "int8",
        "--resamples",
        "300",
        "--seed",
        "5",
        "--embeddings",
        "kept",
    ];
    let both = evaluate(&desk, &compare);
    let alone = evaluate(&desk, &["--dtype", "int8"]);
    let compared = &both["compare"];
    for key in ["acc1", "mean_per_class_recall"] {
        assert_eq!(compared["metrics"][key], alone["metrics"][key], "{key}");
        let difference = both["metrics"][key].as_f64().unwrap() - alone["metrics"][key].as_f64().unwrap();
        assert!((compared["differences"][key]["value"].as_f64().unwrap() - difference).abs() < 1e-12);
    }
    assert_eq!(
        compared["differences"].as_object().unwrap().len(),
        2,
        "three classes have no top-5"
    );
    assert_eq!((&compared["n_resamples"], &compared["seed"]), (&json!(300), &json!(5)));
    assert!(desk.path("kept").is_file() && desk.path("kept.compared").is_file());
    let again = evaluate(&desk, &compare);
    assert_eq!(again["compare"], both["compare"], "from stored embeddings");
}

#[test]
fn the_table_and_the_page_name_both_models() {
    let desk = with_classes();
    let run = [
        "eval",
        "zeroshot",
        "--data",
        "photos",
        "--model",
        "nano",
        "--compare-dtype",
        "int8",
        "--report",
        "page.html",
        "-q",
    ];
    let output = desk.output(&run);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("nano, f32  nano, int8  difference"), "{table}");
    let page = fs::read_to_string(desk.path("page.html")).unwrap();
    assert!(page.contains("Which differences are real") && page.contains("nano, int8"));
}
