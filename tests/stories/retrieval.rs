//! `longclip eval retrieval` on each published format, on damaged data, interrupted, and compared with another model.

use std::fs;
use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::fixture::{Desk, data};
use crate::many::with_many;

/// The result of an evaluation.
#[track_caller]
fn measured(desk: &Desk, arguments: &[&str]) -> Value {
    let fixed = ["eval", "retrieval", "--format", "json", "-q"];
    let output = desk.output(&[&fixed[..], arguments].concat());
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut result: Value = serde_json::from_slice(&output.stdout).unwrap();
    // The speed is different each time.
    result["images_per_s"] = Value::Null;
    result
}

/// Unit-length embeddings from `longclip embed`.
fn embedded(desk: &Desk, arguments: &[&str]) -> Vec<Vec<f64>> {
    let fixed = ["embed", "--normalize", "--model", "nano", "-q"];
    let vector = |record: &Value| {
        let values = record["embedding"].as_array().unwrap();
        values.iter().map(|value| value.as_f64().unwrap()).collect()
    };
    desk.records(&[&fixed[..], arguments].concat())
        .iter()
        .map(vector)
        .collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// R@k by sorting; `right(query, answer)` says whether an answer is correct.
fn recall(similarities: &[Vec<f64>], k: usize, right: impl Fn(usize, usize) -> bool) -> f64 {
    let is_found = |(query, row): (usize, &Vec<f64>)| {
        let mut order: Vec<usize> = (0..row.len()).collect();
        // Compare in f32, so that equal rows are equal; the sort is stable.
        order.sort_by(|a, b| (row[*b] as f32).total_cmp(&(row[*a] as f32)));
        order[..k.min(row.len())].iter().any(|answer| right(query, *answer))
    };
    similarities.iter().enumerate().filter(|row| is_found(*row)).count() as f64 / similarities.len() as f64
}

#[test]
fn several_captions_per_image_are_counted_as_in_clip_benchmark() {
    let desk = Desk::new();
    let pairs = fs::read_to_string(data("pairs/pairs.ndjson")).unwrap();
    let records: Vec<Value> = pairs.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut texts = Vec::new();
    let mut owner = Vec::new();
    for (i, record) in records.iter().enumerate() {
        for text in record["text"].as_array().unwrap() {
            texts.push("--text");
            texts.push(text.as_str().unwrap());
            owner.push(i);
        }
    }
    let texts = embedded(&desk, &texts);
    let pictures: Vec<String> = (1..=3).map(|i| data(&format!("pairs/Urban1k/image/{i}.jpg"))).collect();
    let pictures: Vec<&str> = pictures.iter().map(String::as_str).collect();
    let images = embedded(&desk, &pictures);
    let by_text: Vec<Vec<f64>> = texts
        .iter()
        .map(|text| images.iter().map(|image| cosine(image, text)).collect())
        .collect();
    let by_image: Vec<Vec<f64>> = images
        .iter()
        .map(|image| texts.iter().map(|text| cosine(image, text)).collect())
        .collect();

    let told = measured(&desk, &["--data", &data("pairs/pairs.ndjson"), "--model", "nano"]);
    for k in [1, 5, 10] {
        let (image, text) = (
            format!("image_retrieval_recall@{k}"),
            format!("text_retrieval_recall@{k}"),
        );
        let expected = (
            recall(&by_text, k, |text, image| owner[text] == image),
            recall(&by_image, k, |image, text| owner[text] == image),
        );
        let metrics = &told["metrics"];
        assert_eq!(
            (metrics[&image].as_f64().unwrap(), metrics[&text].as_f64().unwrap()),
            expected,
            "R@{k}"
        );
    }
    assert_eq!(told["task"], "zeroshot_retrieval");
    assert_eq!(
        (&told["protocol"]["n_images"], &told["protocol"]["n_captions"]),
        (&json!(3), &json!(6))
    );
}

#[test]
fn each_published_format_gives_a_result_that_names_its_protocol() {
    let desk = Desk::new();
    for (name, kind, n_captions) in [
        ("coco/annotations/captions_val2017.json", "COCO captions", 15),
        ("flickr30k/results_20130124.token", "Flickr30k's token file", 15),
        ("flickr30k/results.csv", "Flickr30k's results.csv", 15),
        ("flickr30k/dataset_flickr30k.json", "Karpathy's splits", 15),
        ("Urban1k", "folders of images and captions", 3),
        ("share-captioner.json", "ShareGPT4V json", 3),
        ("pairs.ndjson", "records", 6),
    ] {
        let told = measured(&desk, &["--data", &data(&format!("pairs/{name}")), "--model", "nano"]);
        let protocol = &told["protocol"];
        assert_eq!(
            (protocol["kind"].as_str().unwrap(), &protocol["n_captions"]),
            (kind, &json!(n_captions))
        );
    }
}

#[test]
fn the_table_shows_the_protocol_and_intervals() {
    let desk = Desk::new().and_small_model();
    let small = data("pairs/coco/annotations/captions_val2017.json");
    let told = desk.run(&["eval", "retrieval", "--data", &small, "--model", "small.safetensors"]);
    assert_snapshot!(told.replace(&small, "captions_val2017.json"), @r#"
    exit code 0
    --- stdout
    small.safetensors in f32, on captions_val2017.json
    COCO captions: all 3 images, 15 captions (at most 5 per image), whole captions, 0 cut at 248 tokens

                   R@1                     R@5                     R@10
    text to image  33.3% (9.5 to 70.5)     100.0% (43.9 to 100.0)  100.0% (43.9 to 100.0)
    image to text  33.3% (6.1 to 79.2)     66.7% (20.8 to 93.9)    100.0% (43.9 to 100.0)

    speed: [RATE] images/s

    intervals of shares: 95%, Wilson, an image with its captions as one draw; of equal similarities the earlier one in the data comes first
    --- stderr
    note: 3 done, 0 failed, [RATE] images/s
    warning: of 3 images, each is always among the first 5: R@5 from texts means nothing
    "#);
}

#[test]
fn measures_r_at_1_by_length_and_monotonicity() {
    let desk = Desk::new();
    let arguments = ["--data", &data("pairs/Urban1k"), "--model", "nano"];
    let told = measured(
        &desk,
        &[&arguments[..], &["--sweep-length", "248,5,20", "--monotone"]].concat(),
    );
    let lengths = told["lengths"].as_array().unwrap();
    let tokens: Vec<u64> = lengths.iter().map(|at| at["tokens"].as_u64().unwrap()).collect();
    assert_eq!(tokens, [5, 20, 248]);
    let cut: Vec<u64> = lengths.iter().map(|at| at["n_cut"].as_u64().unwrap()).collect();
    assert_eq!(cut, [3, 3, 0]);
    for key in ["image_retrieval_recall@1", "text_retrieval_recall@1"] {
        assert_eq!(
            lengths[2]["metrics"][key], told["metrics"][key],
            "the longest length is the measurement without a cut"
        );
    }
    assert_eq!(
        (&told["monotonicity"]["n_captions"], &told["monotonicity"]["n_left_out"]),
        (&json!(3), &json!(0))
    );
}

/// Measures `pairs.ndjson` with the small model.
const RUN: [&str; 6] = [
    "eval",
    "retrieval",
    "--data",
    "pairs.ndjson",
    "--model",
    "small.safetensors",
];

#[test]
fn damaged_data_is_refused_with_its_place_or_skipped_on_request() {
    let lines = [
        r#"{"path":"cat.jpg","text":"A cat."}"#,
        r#"{"path":"coffee.jpg","text":"A cup of coffee."}"#,
        r#"{"path":"gone.jpg","text":"Nobody."}"#,
        r#"{"path":"astronaut.jpg","te"#,
    ];
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("pairs.ndjson", lines.join("\n"));
    assert_snapshot!(desk.run(&RUN), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: `pairs.ndjson` has 2 things that can't be used: line 4: it is not a JSON object: EOF while parsing a string at column 27; line 3: cannot find the image `gone.jpg`
    hint: fix the data, name the folder of its images by `--images`, or skip and count them by `--on-error skip`
    "#);
    assert_snapshot!(desk.run(&[&RUN[..], &["--on-error", "skip"]].concat()), @r#"
    exit code 1
    --- stdout
    small.safetensors in f32, on pairs.ndjson
    records: all 2 images, 2 captions (all of each image), whole captions, 0 cut at 248 tokens, 2 unusable things left out

                   R@1                     R@5                     R@10
    text to image  50.0% (9.5 to 90.5)     100.0% (34.2 to 100.0)  100.0% (34.2 to 100.0)
    image to text  50.0% (9.5 to 90.5)     100.0% (34.2 to 100.0)  100.0% (34.2 to 100.0)

    speed: [RATE] images/s

    intervals of shares: 95%, Wilson, an image with its captions as one draw; of equal similarities the earlier one in the data comes first
    --- stderr
    error: cannot use the sample `pairs.ndjson line 4`: it is not a JSON object: EOF while parsing a string at column 27
    error: cannot use the sample `pairs.ndjson line 3`: cannot find the image `gone.jpg`
    warning: of 2 images, each is always among the first 5: R@5 from texts means nothing
    "#);
}

#[test]
fn an_image_that_cannot_be_decoded_ends_the_evaluation() {
    let lines = [
        r#"{"path":"cat.jpg","text":"A cat."}"#,
        r#"{"path":"broken.jpg","text":"A cup of coffee."}"#,
        r#"{"path":"astronaut.jpg","text":"An astronaut."}"#,
    ];
    let desk = Desk::with_pictures()
        .and_small_model()
        .file("pairs.ndjson", lines.join("\n"))
        .file("broken.jpg", b"\xff\xd8\xff\xe0 and no more");
    assert_snapshot!(desk.run(&RUN), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: cannot use the image `broken.jpg`: the file is cut short: its end is missing
    hint: copy or fetch it again
    note: 1 done, 1 failed, [RATE] images/s
    error: 1 thing can't be used, so nothing was measured
    hint: fix the data; or `--on-error skip` skips and counts it, `--max-errors N` up to N of them
    "#);
    let output = desk.output(&[&RUN[..], &["--on-error", "skip", "--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&told["protocol"]["n_images"], &told["protocol"]["n_left_out"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(told["left_out"], json!(["broken.jpg: it could not be read"]));
    let least = |most: &str| desk.output(&[&RUN[..], &["--max-errors", most]].concat()).status.code();
    assert_eq!((least("0"), least("1")), (Some(2), Some(1)));
}

#[test]
fn compares_two_models_on_the_same_draws() {
    let desk = Desk::new();
    let urban = data("pairs/Urban1k");
    let int8 = [
        "--data",
        &urban,
        "--model",
        "nano",
        "--compare-dtype",
        "int8",
        "--resamples",
        "200",
    ];
    let told = measured(&desk, &int8);
    let compared = &told["compare"];
    assert_eq!(
        (&compared["dtype"], &compared["n_resamples"], &compared["seed"]),
        (&json!("int8"), &json!(200), &json!(0))
    );
    for (key, first) in told["metrics"].as_object().unwrap() {
        let difference = first.as_f64().unwrap() - compared["metrics"][key].as_f64().unwrap();
        assert!((compared["differences"][key]["value"].as_f64().unwrap() - difference).abs() < 1e-12);
    }
    assert_eq!(told, measured(&desk, &int8), "the same seed draws the same");
    let itself = [
        "eval",
        "retrieval",
        "--data",
        &urban,
        "--model",
        "nano",
        "--compare",
        "nano",
    ];
    assert_snapshot!(desk.run(&itself), @r#"
    exit code 2
    --- stdout
    --- stderr
    error: the model is compared with itself
    hint: name another by `--compare`, or another number type by `--compare-dtype`
    "#);
}

#[test]
fn the_report_shows_the_curve_the_comparison_and_the_worst_images() {
    let desk = Desk::new();
    let urban = data("pairs/Urban1k");
    let more = [
        "--compare-dtype",
        "int8",
        "--sweep-length",
        "5,20,248",
        "--monotone",
        "--report",
        "page.html",
    ];
    measured(&desk, &[&["--data", &urban, "--model", "nano"][..], &more].concat());
    let page = fs::read_to_string(desk.path("page.html")).unwrap();
    for part in [
        "<h1>Retrieval: ",
        "<dt>command</dt><dd>longclip eval retrieval",
        "text to image",
        "Which differences are real",
        "R@1 by the number of tokens kept",
        "<polyline",
        "nano, int8, image to text",
        "Whether more true sentences score higher",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn a_killed_evaluation_gives_the_same_numbers_when_run_again() {
    let desk = with_many(90);
    let line = |i: usize| json!({"path": format!("many/{i:05}.ppm"), "text": format!("Picture {i}. It has the number {i}. {}", "So it is. ".repeat(i % 7))});
    let lines: String = (0..90).map(|i| format!("{}\n", line(i))).collect();
    fs::write(desk.path("pairs.ndjson"), lines).unwrap();
    let fixed = [
        "--data",
        "pairs.ndjson",
        "--model",
        "small.safetensors",
        "--monotone",
        "--sweep-length",
        "5,9",
        "--batch",
        "3",
    ];
    let expected = measured(&desk, &fixed);
    let again = [&fixed[..], &["--embeddings", "kept"]].concat();
    let run = [&["eval", "retrieval"][..], &again].concat();
    let (mut n_killed, mut moment) = (0, 1_u64);
    for file in ["kept", "kept", "kept.texts", "kept.texts"] {
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let length = |name: &str| fs::metadata(desk.path(name)).map_or(0, |metadata| metadata.len());
        let until = length(file) + 1 + (moment >> 33) % 20_000;
        let mut child = desk
            .command(&run)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while child.try_wait().unwrap().is_none() {
            if length(file) >= until {
                child.kill().unwrap();
                child.wait().unwrap();
                n_killed += 1;
                break;
            }
            std::thread::yield_now();
        }
    }
    assert!(n_killed >= 2, "only {n_killed} runs could be killed");
    assert_eq!(measured(&desk, &again), expected);
    assert_eq!(measured(&desk, &again), expected, "again, only from stored embeddings");
}
