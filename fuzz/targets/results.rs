//! Results that a run continues, and logs that `sort --undo` reads.

#![no_main]

use std::io::Cursor;

use longclip::files::Excerpt;
use longclip::output::{FORMATS, Fields, Holds, Layout, Settings, Task, Vectors, is_results, moves_log};

longclip_fuzz::target!(|data| {
    for format in FORMATS.iter().filter(|format| format.holds(Holds::Continuable)) {
        let format = (format.make)(&settings()).expect("a format");
        let mut end = 0;
        for record in format.held(Box::new(Cursor::new(data.to_vec()))).expect("records") {
            let Ok(record) = record else { break };
            assert!(end <= record.start && record.start <= record.end && record.end <= data.len() as u64);
            end = record.end;
        }
    }
    let path = longclip_fuzz::file("results", data);
    if let Ok(excerpt) = Excerpt::of(&path) {
        let _ = is_results(&excerpt);
    }
    let _ = moves_log::read(&path);
});

fn settings() -> Settings {
    Settings {
        task: Task::Labels(Vectors::None),
        labels: vec!["two\nlines".into(), "a \"cat\", lying".into()],
        groups: Vec::new(),
        layout: Layout::Long,
        fields: Fields::Carried,
        terminal: None,
        model: "nano".into(),
        dtype: "f32".into(),
        links_from: String::new(),
    }
}
