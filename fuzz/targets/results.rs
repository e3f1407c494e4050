//! Results that a run continues, and logs that `sort --undo` reads.

#![no_main]

use std::io::Cursor;

use longclip::files::Excerpt;
use longclip::output::{FORMATS, Holds, Settings, Task, Vectors, is_results, moves_log};

longclip_fuzz::target!(|data| {
    let settings = Settings {
        carries_fields: true,
        ..Settings::new(Task::Labels(Vectors::None), "nano", "f32")
    };
    for format in FORMATS.iter().filter(|format| format.holds(Holds::Continuable)) {
        let format = (format.make)(&settings).expect("a format");
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
