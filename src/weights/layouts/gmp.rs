//! Geometric parametrization: linear layers stored as length and direction of each output row, `.r` and `.theta`
//! (zer0int's CLIP fine-tunes). `weight = r * theta / |theta|`.

use super::super::stored::TensorFile;
use super::layout::{Assembly, Layout};

pub(super) const LAYOUT: Layout = Layout {
    name: "GmP (geometric parametrization)",
    owns,
    assembly,
    unused: &[],
};

fn owns(name: &str) -> bool {
    name.ends_with(".theta") && name.contains("resblocks.")
}

fn assembly(file: &TensorFile, name: &str) -> Assembly {
    if let Some(layer) = name.strip_suffix(".weight") {
        let (r, theta) = (format!("{layer}.r"), format!("{layer}.theta"));
        if file.tensors.contains_key(&r) || file.tensors.contains_key(&theta) {
            return Assembly::Polar { r, theta };
        }
    }
    Assembly::AsStored(name.to_owned())
}
