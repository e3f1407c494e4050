//! Records that the formats' tests are written with: hard labels, a carried field, a failure.

use std::io::Cursor;

use serde_json::Map;

use super::{Bars, Fields, Format, Held, Labelled, Layout, Outcome, Record, Settings, Subject, Task, Vectors};

pub(super) fn settings() -> Settings {
    Settings {
        task: Task::Labels(Vectors::None),
        labels: vec!["two\nlines".into(), "a \"cat\", lying".into()],
        layout: Layout::Long,
        fields: Fields::Carried,
        bars: Bars::None,
        model: "nano".into(),
    }
}

pub(super) fn records() -> [Record; 2] {
    let labelled = |label: &str, probability, logit, cosine| Labelled {
        label: label.into(),
        probability,
        logit,
        cosine,
    };
    let labels = vec![
        labelled("a \"cat\", lying", 0.75, 20.5, 0.25),
        labelled("two\nlines", 0.25, 19.5, 0.125),
    ];
    let record = |path: &str, outcome| Record {
        subject: Subject::Path(path.into()),
        fields: Map::new(),
        outcome,
        thumbnail: None,
    };
    let embedding = None;
    let mut first = record("a.jpg", Outcome::Labels { labels, embedding });
    first.fields.insert("n".into(), 1.into());
    // A field by one of our names would make a line ambiguous.
    first.fields.insert("error".into(), "not ours".into());
    [first, record("b.jpg", Outcome::Failed("no such file".into()))]
}

pub(super) fn bytes(format: &mut dyn Format, records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    format.begin(&mut out).unwrap();
    records
        .iter()
        .for_each(|record| format.record(record, &mut out).unwrap());
    format.end(&mut out).unwrap();
    out
}

pub(super) fn written(format: &mut dyn Format, records: &[Record]) -> String {
    String::from_utf8(bytes(format, records)).unwrap()
}

pub(super) fn held(format: &dyn Format, text: &str) -> Vec<Held> {
    let file = Box::new(Cursor::new(text.to_owned()));
    format.held(file).unwrap().collect::<std::io::Result<_>>().unwrap()
}
