//! Files of records and tables of text: as the input of a run, and as data sets.

#![no_main]

use longclip::input::{Content, Inputs, Source};

const NAMES: [&str; 7] = [
    "a.ndjson",
    "a.csv",
    "a.tsv",
    "a.json",
    "results_20130124.token",
    "results.csv",
    "captions_val2017.json",
];

longclip_fuzz::target!(|data| {
    let Some((name, text)) = longclip_fuzz::chosen(data, &NAMES) else {
        return;
    };
    longclip_fuzz::data::read(name, text);
    if name.ends_with("ndjson") {
        let inputs = Inputs {
            sources: vec![Source::Ndjson(longclip_fuzz::file(name, text))],
            ..Inputs::default()
        };
        for mut item in inputs.items() {
            // What a record names is not read.
            if let Content::Deferred(_) = item.content {
                let _ = item.content.take("");
            }
        }
    }
});
