//! Results do not depend on batches, order or the number of threads, for any input.

use longclip::labels::LabelSet;
use longclip::model::{Embeddings, LongClip, LongClipOptions};
use longclip::nano;
use longclip::preprocess::Pixels;
use longclip::score::{LabelScore, Scoring};
use longclip::weights::{Checkpoint, LoadOptions};

use crate::fixture::repository;

fn built_in(threads: usize) -> LongClip {
    let checkpoint = Checkpoint::from_bytes(nano::FILE_NAME, nano::safetensors(), &LoadOptions::default()).unwrap();
    let options = LongClipOptions {
        threads: Some(threads),
        ..LongClipOptions::default()
    };
    LongClip::from_checkpoint(checkpoint, &options).unwrap()
}

fn pictures(model: &LongClip) -> Vec<Pixels> {
    let files = [
        "img/cat.jpg",
        "img/coffee.jpg",
        "img/astronaut.jpg",
        "tests/data/preprocess/rgb-97x61.png",
        "tests/data/preprocess/rgb-13x900.png",
    ];
    let read = |file| {
        let bytes = std::fs::read(repository().join(file)).unwrap();
        model.preprocess().run(file, &bytes).unwrap()
    };
    files.into_iter().map(read).collect()
}

/// Short, long, empty and truncated texts.
fn texts() -> Vec<String> {
    let long = "a grey cat with green eyes looks past the camera, ".repeat(40);
    [
        "a cat",
        "",
        "a dog in the snow",
        &long[..300],
        &long,
        "日本語の写真 😀",
        "a cup of coffee",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn encode(model: &LongClip) -> (Embeddings, Embeddings) {
    let images = model.encode_images(&pictures(model)).unwrap().0;
    (images, model.encode_texts(&texts()).unwrap().0)
}

#[test]
fn a_batch_gives_the_same_bits_as_single_inputs() {
    for threads in [1, 2] {
        let model = built_in(threads);
        let (images, labels) = encode(&model);
        for (row, picture) in images.rows().zip(&pictures(&model)) {
            assert_eq!(row, model.encode_image(picture).unwrap().0.row(0));
        }
        for (row, text) in labels.rows().zip(&texts()) {
            assert_eq!(row, model.encode_text(text).unwrap().0.row(0), "{text}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let one = encode(&built_in(1));
    for threads in [2, 3, 7] {
        assert_eq!(one, encode(&built_in(threads)), "{threads} threads");
    }
}

/// The bound on the difference that another order may cause.
const ORDER_DIFFERENCE_MAX: f64 = 1e-6;

#[test]
fn scores_do_not_depend_on_the_order_of_labels_and_images() {
    let model = built_in(2);
    let labels = ["a cat", "a dog", "a cup of coffee", "an astronaut", "a cat, asleep"].map(str::to_owned);
    let turned: Vec<String> = labels.iter().rev().cloned().collect();
    let forth = LabelSet::new(&model, labels.to_vec()).unwrap();
    let back = LabelSet::new(&model, turned).unwrap();
    let mut pictures = pictures(&model);
    let images = model.encode_images(&pictures).unwrap().0;
    pictures.reverse();
    let images_back = model.encode_images(&pictures).unwrap().0;
    for (image, image_back) in images
        .rows()
        .zip(images_back.rows().collect::<Vec<_>>().into_iter().rev())
    {
        for (one, other) in scored(&model, &forth, image)
            .into_iter()
            .zip(scored(&model, &back, image_back))
        {
            assert_eq!(forth.labels()[one.label_idx], back.labels()[other.label_idx]);
            assert!((one.cosine - other.cosine).abs() <= ORDER_DIFFERENCE_MAX);
            for (a, b) in [(one.probability, other.probability), (one.logit, other.logit)] {
                let (a, b) = (a.unwrap(), b.unwrap());
                assert!((a - b).abs() <= ORDER_DIFFERENCE_MAX, "{a} and {b}");
            }
        }
    }
}

fn scored(model: &LongClip, labels: &LabelSet, image: &[f32]) -> Vec<LabelScore> {
    let scoring = Scoring::softmax(model.logit_scale());
    scoring.scores(image, labels.texts(), labels.rows()).labels
}

#[test]
fn normalized_rows_have_unit_length() {
    let (images, labels) = encode(&built_in(2));
    for row in images.normalized().rows().chain(labels.normalized().rows()) {
        let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        assert!((length - 1.0).abs() < 1e-6, "{length}");
    }
}
