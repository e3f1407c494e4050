//! Geometric parametrization: linear layers kept as length and direction of each output row, `.r` and `.theta`
//! (zer0int's CLIP fine-tunes). `weight = r * theta / |theta|`.

use super::super::stored::TensorFile;
use super::{Layout, Making};

pub(super) const LAYOUT: Layout = Layout {
    name: "GmP (geometric parametrization)",
    owns,
    making,
};

fn owns(file: &TensorFile) -> bool {
    file.tensors
        .keys()
        .any(|name| name.ends_with(".theta") && name.contains("resblocks."))
}

fn making(file: &TensorFile, name: &str) -> Making {
    if let Some(layer) = name.strip_suffix(".weight") {
        let (r, theta) = (format!("{layer}.r"), format!("{layer}.theta"));
        if file.tensors.contains_key(&r) || file.tensors.contains_key(&theta) {
            return Making::Polar { r, theta };
        }
    }
    Making::AsStored(name.to_owned())
}
