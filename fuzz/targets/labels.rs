//! Files of labels, templates, texts and tags.

#![no_main]

use longclip::labels::{LabelList, Vocabulary, files, read_templates};

const NAMES: [&str; 6] = ["a.txt", "a.json", "a.jsonl", "a.csv", "a.tsv", "a"];

longclip_fuzz::target!(|data| {
    let Some((name, text)) = longclip_fuzz::chosen(data, &NAMES) else {
        return;
    };
    let path = longclip_fuzz::file(name, text);
    if let Ok(labels) = files::read_label_lines(&path, files::GROUP) {
        let _ = LabelList::default().extend_lines(labels);
    }
    let _ = files::read_lines(&path);
    let _ = files::read_text_lines(&path);
    let _ = read_templates(&path);
    let mut vocabulary = Vocabulary::default();
    if vocabulary.add_file(&path).is_ok() {
        let names: Vec<&str> = vocabulary.names().collect();
        names.iter().for_each(|name| drop(vocabulary.above(name)));
        let _ = vocabulary.labels(&[]);
    }
});
