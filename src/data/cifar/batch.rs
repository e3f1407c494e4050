//! What a batch of CIFAR holds, and its images as PPM.

use crate::data::image::Shelf;
use crate::error::Result;

pub(super) const SIDE: usize = 32;
pub(super) const PLANE: usize = SIDE * SIDE;
/// Bytes of an image.
pub(super) const PIXELS: usize = 3 * PLANE;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CifarSet {
    Ten,
    Hundred,
}

impl CifarSet {
    pub(super) fn n_classes(self) -> usize {
        match self {
            CifarSet::Ten => 10,
            CifarSet::Hundred => 100,
        }
    }

    /// The published names, which are in the data's own files too.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        match self {
            CifarSet::Ten => include_str!("../lists/cifar10.txt").lines(),
            CifarSet::Hundred => include_str!("../lists/cifar100.txt").lines(),
        }
    }
}

/// A batch in memory; 10,000 images are 31 MB.
pub(super) struct Batch {
    /// `(n, 3, 32, 32)` bytes.
    pub(super) pixels: Vec<u8>,
    pub(super) stamp: String,
}

impl Shelf for Batch {
    fn read(&self, i: usize) -> Result<Vec<u8>> {
        let planes = &self.pixels[i * PIXELS..(i + 1) * PIXELS];
        let mut ppm = format!("P6\n{SIDE} {SIDE}\n255\n").into_bytes();
        for at in 0..PLANE {
            ppm.extend([planes[at], planes[PLANE + at], planes[2 * PLANE + at]]);
        }
        Ok(ppm)
    }

    fn stamp(&self) -> String {
        self.stamp.clone()
    }
}

/// What a batch's file holds.
pub(super) struct BatchContent {
    /// `(n, 3, 32, 32)` bytes.
    pub(super) pixels: Vec<u8>,
    /// Each image's class, and its place in the file.
    pub(super) labels: Vec<(i64, String)>,
    /// What could not be read.
    pub(super) damage: Option<String>,
}
