//! The files next to weights: configs, of which the first byte of an input chooses one, and the index of shards.

#![no_main]

use std::fs;

use longclip::weights::{Checkpoint, LoadOptions};
use longclip_fuzz::model::{SIZES, header, read_all, with_numbers};

const NAMES: [&str; 6] = [
    "config.json",
    "open_clip_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
    "model.safetensors.index.json",
];

longclip_fuzz::target!(|data| {
    let Some((name, text)) = longclip_fuzz::chosen(data, &NAMES) else {
        return;
    };
    let path = longclip_fuzz::file(name, text);
    let folder = path.parent().expect("a folder");
    if name.ends_with("index.json") {
        read_all(Checkpoint::open(&path, &LoadOptions::default()));
    } else {
        let weights = folder.join("model.safetensors");
        if !weights.exists() {
            fs::write(weights, with_numbers(&header(&SIZES.tensors()))).expect("a file of weights");
        }
        read_all(Checkpoint::open(folder, &LoadOptions::default()));
    }
    fs::remove_file(path).expect("the file that was just written");
});
