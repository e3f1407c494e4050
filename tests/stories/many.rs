//! A folder with many small images, and what tests with them have in common.

use std::fs;

use crate::fixture::Desk;

pub(crate) const SMALL: [&str; 2] = ["--model", "small.safetensors"];
pub(crate) const LABELS: [&str; 4] = ["--label", "a cat", "--label", "a dog, asleep"];

/// A folder with the small model and `n` different small images in `many/`.
pub(crate) fn with_many(n: usize) -> Desk {
    let desk = Desk::with_pictures().and_small_model().folder("many");
    for i in 0..n {
        fs::write(desk.path(&format!("many/{i:05}.ppm")), ppm(i)).unwrap();
    }
    desk
}

/// An image of 8 x 8 pixels whose colours depend on its number.
pub(crate) fn ppm(i: usize) -> Vec<u8> {
    let pixels = (0..8 * 8 * 3).map(|p| (p * 7 + i * 131 + p * i) as u8);
    b"P6 8 8 255\n".iter().copied().chain(pixels).collect()
}

pub(crate) fn arguments<'a>(parts: &[&[&'a str]]) -> Vec<&'a str> {
    parts.concat()
}

pub(crate) fn text(desk: &Desk, name: &str) -> String {
    fs::read_to_string(desk.path(name)).unwrap()
}
