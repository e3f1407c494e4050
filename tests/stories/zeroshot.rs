//! `longclip eval zeroshot` measures a model on images with classes.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;

use crate::fixture::{Desk, data, repository};

pub(crate) const CLASSES: [&str; 6] = ["astronaut", "cat", "coffee", "exif", "grey", "rgb"];

/// Class folders with images of the repository, and a model whose numbers mean nothing but do not change.
pub(crate) fn desk() -> Desk {
    let mut desk = Desk::new().and_small_model().folder("photos");
    for class in CLASSES {
        desk = desk.folder(&format!("photos/{class}"));
    }
    let shipped = ["cat.jpg", "coffee.jpg", "astronaut.jpg"].map(|name| repository().join("img").join(name));
    let goldens = std::fs::read_dir(data("preprocess"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for path in shipped.into_iter().chain(goldens) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if let Some(class) = CLASSES.iter().find(|class| name.starts_with(*class)) {
            std::fs::copy(&path, desk.path(&format!("photos/{class}/{name}"))).unwrap();
        }
    }
    desk
}

pub(crate) const EVAL: [&str; 8] = [
    "eval",
    "zeroshot",
    "--model",
    "small.safetensors",
    "--data",
    "photos",
    "--format",
    "json",
];

#[track_caller]
pub(crate) fn measured(desk: &Desk, more: &[&str]) -> Value {
    let output = desk.output(&[&EVAL[..], more].concat());
    assert!(
        output.status.code().is_some_and(|code| code < 2),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A result without its speed.
fn without_speed(mut measured: Value) -> Value {
    measured.as_object_mut().unwrap().remove("images_per_s");
    measured
}

#[track_caller]
pub(crate) fn check(measured: &Value, key: &str, expected: f64) {
    let found = measured["metrics"][key].as_f64().unwrap();
    assert!((found - expected).abs() < 1e-9, "{key}: {found}, expected {expected}");
}

#[test]
fn metrics_equal_those_counted_from_classify() {
    let desk = desk();
    let more = ["--template", "a photo of a {}."];
    let found = measured(&desk, &more);
    let records = desk.records(
        &[
            &[
                "classify",
                "photos",
                "--model",
                "small.safetensors",
                "--format",
                "ndjson",
            ][..],
            &more,
            &["--labels"],
            &CLASSES,
        ]
        .concat(),
    );
    let mut by_class: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    let (mut n, mut n_first, mut n_five) = (0.0, 0.0, 0.0);
    // Sums of confidence and accuracy in each of 15 bins.
    let mut bins: HashMap<u64, (f64, f64)> = HashMap::new();
    for record in &records {
        let class = record["path"].as_str().unwrap().split('/').nth(1).unwrap();
        let labels: Vec<&str> = record["labels"]
            .as_array()
            .unwrap()
            .iter()
            .map(|label| label["label"].as_str().unwrap())
            .collect();
        let right = f64::from(u8::from(labels[0] == class));
        n += 1.0;
        n_first += right;
        n_five += f64::from(u8::from(labels[..5].contains(&class)));
        let of_class = by_class.entry(class).or_default();
        *of_class = (of_class.0 + right, of_class.1 + 1.0);
        let confidence = record["labels"][0]["probability"].as_f64().unwrap();
        let bin = bins.entry((confidence * 15.0).ceil() as u64).or_default();
        *bin = (bin.0 + confidence, bin.1 + right);
    }
    assert_eq!(found["n_images"], records.len());
    assert_eq!(by_class.len(), CLASSES.len());
    check(&found, "acc1", n_first / n);
    check(&found, "acc5", n_five / n);
    let recall = by_class.values().map(|(right, all)| right / all).sum::<f64>() / by_class.len() as f64;
    check(&found, "mean_per_class_recall", recall);
    // classify prints probabilities with about six digits.
    let error = bins
        .values()
        .map(|(confidence, right)| (confidence - right).abs())
        .sum::<f64>()
        / n;
    let found_error = found["metrics"]["expected_calibration_error"].as_f64().unwrap();
    assert!((found_error - error).abs() < 1e-5, "{found_error} {error}");
}

#[test]
fn an_interrupted_evaluation_resumes_with_the_same_numbers() {
    let desk = desk();
    let whole = without_speed(measured(&desk, &[]));
    assert_eq!(without_speed(measured(&desk, &["--embeddings", "kept"])), whole);
    let kept = std::fs::read(desk.path("kept")).unwrap();
    for share in [0, 3, 5, 8, 10] {
        // What a kill leaves behind: some records and a part of another.
        std::fs::write(desk.path("kept"), &kept[..kept.len() * share / 10]).unwrap();
        assert_eq!(
            without_speed(measured(&desk, &["--embeddings", "kept"])),
            whole,
            "{share} of 10 parts"
        );
        assert_eq!(std::fs::read(desk.path("kept")).unwrap(), kept);
    }
    let other = desk.run(&[
        "eval",
        "zeroshot",
        "--data",
        "photos",
        "--model",
        "nano",
        "--embeddings",
        "kept",
    ]);
    assert_snapshot!(other, @r"
    exit code 2
    --- stdout
    --- stderr
    error: `kept` was made with the model `small.safetensors` in f32; this run has `nano` in f32
    hint: name another file, or remove this one
    ");
    std::fs::write(
        desk.path("photos/cat/new.png"),
        std::fs::read(data("preprocess/rgb-2x3.png")).unwrap(),
    )
    .unwrap();
    let more = desk.run(&[&EVAL[..], &["--embeddings", "kept"]].concat());
    assert!(more.contains("was made with other data, `photos` of"), "{more}");
}

#[test]
fn reports_unusable_data_with_its_place_and_measures_the_rest() {
    let desk = desk()
        .file("photos/cat/broken.jpg", "not a picture")
        .file("photos/loose.jpg", "no class")
        .file(
            "list.csv",
            "path,label\nphotos/cat/cat.jpg,cat\nphotos/gone.jpg,cat\nphotos/coffee/coffee.jpg,tea\n",
        );
    let found = measured(&desk, &[]);
    assert_eq!(found["n_failed"], 2);
    let table = [
        "eval",
        "zeroshot",
        "--model",
        "small.safetensors",
        "--data",
        "list.csv",
        "--labels",
        "cat",
        "dog",
    ];
    let told = desk.run(&table);
    for line in [
        "exit code 1",
        "1 image (2 more could not be used), 2 classes; prompts: the classes' names as they are",
        "error: cannot use the sample `list.csv line 3`: cannot find the image `photos/gone.jpg`",
        "error: cannot use the sample `list.csv line 4`: its class `tea` is none of the 2 labels",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}\n{told}");
    }
    let strict = desk.output(&[&table[..6], &["--on-error", "fail", "--labels", "cat", "dog"]].concat());
    assert_eq!((strict.status.code(), strict.stdout.len()), (Some(2), 0));
    // Two unusable records and one unusable image: exactly as many as allowed, and one more.
    let broken = "path,label\nphotos/cat/cat.jpg,cat\nphotos/gone.jpg,cat\nphotos/cat/broken.jpg,cat\nphotos/coffee/coffee.jpg,tea\n";
    let desk = desk.file("list.csv", broken);
    let most = |most| {
        let output = desk.output(&[&table[..], &["--max-errors", most]].concat());
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert_eq!(most("3").0, Some(1));
    let (code, told) = most("2");
    assert!(
        code == Some(2) && told.contains("error: 3 things can't be used, so nothing was measured"),
        "{told}"
    );
}

#[test]
fn equal_scores_count_for_the_earlier_class_and_few_classes_have_no_top_5() {
    let desk = desk()
        .file(
            "two.json",
            r#"{"coffee": {"prompts": ["x"]}, "cat": {"prompts": ["x"]}, "astronaut": {"prompts": ["x"]}}"#,
        )
        .file(
            "list.ndjson",
            concat!(
                "{\"path\": \"photos/cat/cat.jpg\", \"label\": \"cat\"}\n",
                "{\"path\": \"photos/coffee/coffee.jpg\", \"label\": \"coffee\"}\n",
            ),
        );
    let output = desk.output(&[
        "eval",
        "zeroshot",
        "--model",
        "small.safetensors",
        "--data",
        "list.ndjson",
        "--labels-file",
        "two.json",
        "--format",
        "json",
    ]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    check(&found, "acc1", 0.5);
    check(&found, "mean_per_class_recall", 0.5);
    assert_eq!(found["metrics"]["acc5"], Value::Null);
    assert_eq!(found["confusions"][0]["predicted"], "coffee");
    assert_eq!(found["n_classes"], 3);
}

#[test]
fn json_has_recalls_bins_and_all_confusions() {
    let found = measured(&desk(), &[]);
    let sum = |list: &Value, key: &str| {
        let numbers = list
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry[key].as_u64().unwrap());
        numbers.sum::<u64>()
    };
    let n = found["n_images"].as_u64().unwrap();
    assert_eq!(sum(&found["recalls"], "n"), n);
    assert_eq!(sum(&found["calibration_bins"], "n"), n);
    assert_eq!(found["calibration_bins"].as_array().unwrap().len(), 15);
    let n_right = sum(&found["recalls"], "n_right");
    assert_eq!(sum(&found["confusions"], "n"), n - n_right);
    check(&found, "acc1", n_right as f64 / n as f64);
    let recalls = found["recalls"].as_array().unwrap().iter();
    let recalls: Vec<f64> = recalls.map(|recall| recall["recall"].as_f64().unwrap()).collect();
    check(
        &found,
        "mean_per_class_recall",
        recalls.iter().sum::<f64>() / recalls.len() as f64,
    );
    // Fewer than 50 images: all of them, the least fitting first.
    let least = found["least_fitting"].as_array().unwrap();
    assert_eq!(least.len() as u64, n);
    let probabilities = least.iter().map(|image| image["probability"].as_f64().unwrap());
    assert!(probabilities.is_sorted());
}

/// The mean of `-ln p` of each photo's class in records of `classify`.
fn log_loss(desk: &Desk, temperature: &str) -> f64 {
    let labels = ["--labels", "cat", "coffee", "astronaut", "mug"];
    let run = [
        "classify",
        "photos",
        "--model",
        "nano",
        "--format",
        "ndjson",
        "--temperature",
        temperature,
    ];
    let records = desk.records(&[&run[..], &labels].concat());
    let losses = records.iter().map(|record| {
        let class = record["path"].as_str().unwrap().split('/').nth(1).unwrap();
        let labels = record["labels"].as_array().unwrap();
        let own = labels.iter().find(|label| label["label"] == class).unwrap();
        -own["probability"].as_f64().unwrap().ln()
    });
    losses.sum::<f64>() / records.len() as f64
}

#[test]
fn the_fitted_temperature_has_the_lowest_log_loss_in_classify() {
    let mut desk = Desk::new().folder("photos");
    for (class, photo) in [
        ("cat", "cat"),
        ("coffee", "coffee"),
        ("astronaut", "astronaut"),
        ("mug", "cat"),
    ] {
        let bytes = std::fs::read(repository().join(format!("img/{photo}.jpg"))).unwrap();
        desk = desk
            .folder(&format!("photos/{class}"))
            .file(&format!("photos/{class}/1.jpg"), bytes);
    }
    let eval = [
        "eval",
        "zeroshot",
        "--model",
        "nano",
        "--data",
        "photos",
        "--format",
        "json",
        "--fit-temperature",
    ];
    let output = desk.output(&eval);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fitted = &found["fitted_temperature"];
    let temperature = fitted["temperature"].as_f64().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains(&format!("`longclip classify --temperature {temperature:.3}`")),
        "{said}"
    );
    let loss = |temperature: f64| log_loss(&desk, &temperature.to_string());
    let close = |key: &str, loss: f64| {
        assert!(
            (fitted[key].as_f64().unwrap() - loss).abs() < 1e-4,
            "{key} {loss} {fitted}"
        )
    };
    close("log_loss_at_1", loss(1.0));
    let best = loss(temperature);
    close("log_loss", best);
    assert!(
        loss(0.9 * temperature) > best && loss(1.1 * temperature) > best,
        "{fitted}"
    );
}

#[test]
fn the_report_is_one_page_with_images() {
    let desk = desk();
    measured(&desk, &["--report", "page.html"]);
    let page = std::fs::read_to_string(desk.path("page.html")).unwrap();
    for part in [
        "mean per-class recall",
        "<svg",
        "class=\"matrix\"",
        "whose label fits least",
        "data:image/jpeg;base64,",
        "Recall by class",
        "<dt>model</dt><dd>small.safetensors in f32</dd>",
        "<dt>command</dt><dd>longclip eval zeroshot",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!Path::new(&desk.path("page.html.partial")).exists());
    // If the page cannot be written, nothing is encoded.
    for (place, said) in [
        ("nowhere/page.html", "cannot write `nowhere/page.html`"),
        ("photos", "`photos` is a folder"),
    ] {
        for task in [&EVAL[..], &["eval", "retrieval", "--data", "photos"]] {
            let told = desk.run(&[task, &["--report", place]].concat());
            assert!(
                told.contains("exit code 2") && told.contains(said) && !told.contains("done"),
                "{told}"
            );
        }
    }
    assert!(!Path::new(&desk.path("photos.partial")).exists());
}
