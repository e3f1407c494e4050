//! An archive, plain or compressed: as the input of a run, and as a data set.

#![no_main]

use longclip::input::{Inputs, Source};

longclip_fuzz::target!(|data| {
    let path = longclip_fuzz::file("a.tar", data);
    let inputs = Inputs {
        sources: vec![Source::Named(path)],
        ..Inputs::default()
    };
    for mut item in inputs.items() {
        let _ = item.content.take("");
    }
    longclip_fuzz::data::read("a.tar", data);
});
