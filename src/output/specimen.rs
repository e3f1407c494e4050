//! The records in the tests of formats: labels that need quoting, a carried field, a failure.

use std::io::Cursor;

use super::{Format, Grouped, Held, Labelled, Outcome, Record, Settings, Subject, Task, Vectors};
use crate::json_fields::JsonFields;

pub(super) fn settings() -> Settings {
    Settings {
        labels: vec!["two\nlines".into(), "a \"cat\", lying".into()],
        carries_fields: true,
        ..Settings::new(Task::Labels(Vectors::None), "nano", "f32")
    }
}

pub(super) fn records() -> [Record; 2] {
    let labelled = |label: &str, probability, logit, cosine| Labelled {
        label: label.into(),
        probability: Some(probability),
        logit: Some(logit),
        cosine: Some(cosine),
        group: None,
        parents: Vec::new(),
    };
    let labels = vec![
        labelled("a \"cat\", lying", 0.75, 20.5, 0.25),
        labelled("two\nlines", 0.25, 19.5, 0.125),
    ];
    let record = |path: &str, outcome| Record {
        subject: Subject::Path(path.into()),
        fields: JsonFields::default(),
        outcome,
        thumbnail: None,
        file: None,
    };
    let outcome = Outcome::Labels {
        labels,
        groups: Vec::new(),
        embedding: None,
    };
    let mut first = record("a.jpg", outcome);
    first.fields.insert("n", 1);
    // A field with one of our own names must not be written.
    first.fields.insert("error", "not ours");
    [first, record("b.jpg", Outcome::Failed("no such file".into()))]
}

/// Records with groups, and labels without probability. No label of the second image reaches the threshold.
pub(super) fn bare_records() -> [Record; 2] {
    let bare = |label: &str, cosine| Labelled {
        label: label.into(),
        probability: None,
        logit: None,
        cosine,
        group: cosine.map(|_| "=a, b".into()),
        parents: Vec::new(),
    };
    let [mut first, mut second] = records();
    first.outcome = Outcome::Labels {
        labels: vec![bare("two\nlines", Some(0.25)), bare("none of these", None)],
        groups: vec![Grouped {
            group: "=a, b".into(),
            probability: 0.75,
        }],
        embedding: None,
    };
    second.outcome = Outcome::Labels {
        labels: Vec::new(),
        groups: Vec::new(),
        embedding: None,
    };
    [first, second]
}

/// The settings of [`bare_records`].
pub(super) fn bare_settings() -> Settings {
    Settings {
        groups: vec!["=a, b".into()],
        ..settings()
    }
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
