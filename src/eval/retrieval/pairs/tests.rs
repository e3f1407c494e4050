//! Which captions and images are used, and what is reported.

use super::*;
use crate::data::testing::{check_said, file, fixture, said};

fn opened(path: &str, options: PairOptions) -> Pairs {
    Pairs::open(&fixture("pairs").join(path), &options).unwrap()
}

fn n_captions(pairs: &Pairs) -> Vec<usize> {
    pairs.images.iter().map(|image| image.captions.len()).collect()
}

fn first_caption(pairs: &Pairs) -> &str {
    &pairs.images[0].captions[0]
}

#[test]
fn upstreams_protocol_holds_unless_another_is_asked_for() {
    const COCO: &str = "coco/annotations/captions_val2017.json";
    let coco = opened(COCO, PairOptions::default());
    assert_eq!((coco.kind, n_captions(&coco)), ("COCO captions", vec![5, 5, 5]));
    let all = PairOptions {
        captions_per_image: Some(PerImage::All),
        ..PairOptions::default()
    };
    assert_eq!(n_captions(&opened(COCO, all)), [5, 5, 6]);
    let urban = opened("Urban1k", PairOptions::default());
    assert!(!first_caption(&urban).contains("second line") && first_caption(&urban).ends_with("blurred ground."));
    let part = |part| PairOptions {
        part: Some(part),
        ..PairOptions::default()
    };
    assert!(first_caption(&opened("Urban1k", part(CaptionPart::Whole))).contains("second line"));
    let sentence = opened("Urban1k", part(CaptionPart::FirstSentence));
    assert_eq!(first_caption(&sentence), "A cat looks straight into the camera");
}

#[test]
fn a_split_or_the_first_images_may_be_asked_for() {
    const KARPATHY: &str = "flickr30k/dataset_flickr30k.json";
    let split = |name: &str| PairOptions {
        split: Some(name.to_owned()),
        ..PairOptions::default()
    };
    assert_eq!(n_captions(&opened(KARPATHY, split("test"))), [5, 5]);
    let first = PairOptions {
        first: Some(1),
        ..split("test")
    };
    assert_eq!(n_captions(&opened(KARPATHY, first)), [5]);
    let error = Pairs::open(&fixture("pairs").join(KARPATHY), &split("val")).unwrap_err();
    assert!(error.to_string().contains("no image of the split `val`"), "{error}");
    assert!(error.hint().unwrap().to_string().contains("`test`, `train`"));
    let error = Pairs::open(&fixture("pairs/pairs.ndjson"), &split("val")).unwrap_err();
    assert!(error.hint().unwrap().to_string().contains("it has no splits"));
}

#[test]
fn the_field_of_captions_may_be_named() {
    assert_eq!(n_captions(&opened("pairs.ndjson", PairOptions::default())), [1, 2, 3]);
    let short = PairOptions {
        text_field: Some("short".into()),
        ..PairOptions::default()
    };
    let pairs = opened("pairs.ndjson", short.clone());
    assert_eq!(
        (n_captions(&pairs), first_caption(&pairs)),
        (vec![1, 1, 1], "A cat looks into the camera .")
    );
    let error = Pairs::open(&fixture("pairs/Urban1k"), &short).unwrap_err();
    assert!(
        error.to_string().contains("the field `short` was named for captions"),
        "{error}"
    );
}

#[test]
fn records_that_name_one_image_are_one_image() {
    let lines = r#"{"path":"a.jpg","caption":"one"}
{"image":"b.jpg","text":"two"}
{"path":"a.jpg","caption":["three","four"]}"#;
    let (_dir, path) = file("x.ndjson", lines);
    std::fs::write(path.with_file_name("b.jpg"), "B").unwrap();
    let pairs = Pairs::open(&path, &PairOptions::default()).unwrap();
    assert_eq!(n_captions(&pairs), [3, 1]);
    assert_eq!(pairs.captions().collect::<Vec<_>>(), ["one", "three", "four", "two"]);
}

#[test]
fn images_that_are_missing_or_have_no_caption_are_reported() {
    let lines = r#"{"path":"a.jpg","text":["good","also"]}
{"path":"a.jpg","te
{"path":"gone.jpg","text":"x"}
{"path":"b.jpg","text":["x"," "]}
{"path":"c.jpg","text":[]}"#;
    let (_dir, path) = file("x.ndjson", lines);
    let pairs = Pairs::open(&path, &PairOptions::default()).unwrap();
    assert_eq!(n_captions(&pairs), [2]);
    let expected = [
        "line 2`: it is not a JSON object",
        "line 3`: cannot find the image",
        "line 4`: its caption 2 is empty",
        "line 5`: it has no caption",
    ];
    check_said(&said(&pairs.unusable), &expected);
    let (_dir, path) = file("list.csv", "path,label\na.jpg,cat\n");
    let error = Pairs::open(&path, &PairOptions::default()).unwrap_err().to_string();
    assert!(
        error.contains("found no image with a caption in") && error.contains("line 2: it has no caption"),
        "{error}"
    );
}
