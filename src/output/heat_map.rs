//! Heat maps: values of a square grid, painted over the part of a photo that the model saw.
//!
//! The model sees the central square of a photo. In the square, colours go from blue (lowest) through green to red
//! (highest) and are half transparent. The rest of the photo becomes dark grey.

use std::io;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

/// The map's share of a pixel's colour.
const OPACITY: f64 = 0.5;
/// The share of brightness that is left outside the square.
const OUTSIDE: f64 = 0.4;

/// Values from 0 to 1 on a square grid, `(side, side)`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    values: Vec<f64>,
    side: usize,
}

impl HeatMap {
    /// Scales the numbers to 0..=1; all become 0 if they are equal.
    ///
    /// # Panics
    /// If the count is not a square number.
    pub fn new(numbers: &[f64]) -> Self {
        let side = numbers.len().isqrt();
        assert!(
            side > 0 && side * side == numbers.len(),
            "{} numbers don't fill a square grid",
            numbers.len()
        );
        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let scaled = |number: &f64| {
            if most > least {
                (number - least) / (most - least)
            } else {
                0.0
            }
        };
        HeatMap {
            values: numbers.iter().map(scaled).collect(),
            side,
        }
    }

    /// The value at `(x, y)`, each 0 to 1 from the left and the top; bilinear between the centres of the cells.
    fn at(&self, x: f64, y: f64) -> f64 {
        let last = (self.side - 1) as f64;
        let in_cells = |v: f64| (v * self.side as f64 - 0.5).clamp(0.0, last);
        let (x, y) = (in_cells(x), in_cells(y));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.side - 1), (top + 1).min(self.side - 1));
        let (across, down) = (x - left as f64, y - top as f64);
        let row = |row: usize| {
            let of = |column: usize| self.values[row * self.side + column];
            of(left) * (1.0 - across) + of(right) * across
        };
        row(top) * (1.0 - down) + row(bottom) * down
    }

    /// Paints over `(height_px, width_px, 3)` RGB bytes, row-major.
    ///
    /// # Panics
    /// If the number of bytes is another.
    pub fn paint(&self, rgb: &mut [u8], width_px: usize, height_px: usize) {
        assert_eq!(rgb.len(), width_px * height_px * 3, "bytes of the photo");
        let square_px = width_px.min(height_px);
        let (left, top) = ((width_px - square_px) / 2, (height_px - square_px) / 2);
        for (i, pixel) in rgb.chunks_exact_mut(3).enumerate() {
            let (x, y) = (i % width_px, i / width_px);
            let inside = (left..left + square_px).contains(&x) && (top..top + square_px).contains(&y);
            if inside {
                let share = |v: usize, start: usize| ((v - start) as f64 + 0.5) / square_px as f64;
                blend(pixel, colour(self.at(share(x, left), share(y, top))));
            } else {
                darken(pixel);
            }
        }
    }
}

/// From blue at 0 through cyan, green and yellow to red at 1; each channel is 0 to 1.
fn colour(value: f64) -> [f64; 3] {
    let ramp = |centre: f64| (1.5 - (4.0 * value - centre).abs()).clamp(0.0, 1.0);
    [ramp(3.0), ramp(2.0), ramp(1.0)]
}

fn blend(pixel: &mut [u8], colour: [f64; 3]) {
    for (byte, colour) in pixel.iter_mut().zip(colour) {
        *byte = (f64::from(*byte) * (1.0 - OPACITY) + colour * 255.0 * OPACITY).round() as u8;
    }
}

fn darken(pixel: &mut [u8]) {
    let light = pixel.iter().map(|byte| f64::from(*byte)).sum::<f64>() / 3.0;
    pixel.fill((light * OUTSIDE).round() as u8);
}

/// Encodes `(height_px, width_px, 3)` RGB bytes, row-major, as PNG.
///
/// # Errors
/// If the image is too large for the format.
pub fn png(rgb: &[u8], width_px: usize, height_px: usize) -> io::Result<Vec<u8>> {
    let side = |px: usize| u32::try_from(px).map_err(io::Error::other);
    let mut bytes = Vec::new();
    // A painted photo is mostly photographic noise: stronger compression takes time and saves little.
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(rgb, side(width_px)?, side(height_px)?, ExtendedColorType::Rgb8)
        .map_err(io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(map: &HeatMap, width_px: usize, height_px: usize) -> Vec<[u8; 3]> {
        let mut rgb = vec![100; width_px * height_px * 3];
        map.paint(&mut rgb, width_px, height_px);
        rgb.as_chunks::<3>().0.to_vec()
    }

    #[test]
    fn high_is_red_low_is_blue_and_unseen_parts_are_dark() {
        let map = HeatMap::new(&[1.0, 3.0, 1.0, 1.0]);
        let pixels = painted(&map, 60, 40);
        let at = |x: usize, y: usize| pixels[y * 60 + x];
        assert_eq!(at(0, 20), [40; 3], "left of the square");
        assert_eq!(at(59, 0), [40; 3], "right of it");
        let (most, least) = (at(49, 0), at(10, 39));
        assert!(most[0] > 110 && most[2] <= 50, "{most:?}");
        assert!(least[2] > 110 && least[0] <= 50, "{least:?}");
    }

    #[test]
    fn values_change_smoothly_between_cells() {
        let map = HeatMap::new(&[0.0, 1.0, 0.0, 1.0]);
        let values: Vec<f64> = (0..100).map(|x| map.at((f64::from(x) + 0.5) / 100.0, 0.3)).collect();
        assert!(values.is_sorted() && values[0] == 0.0 && values[99] == 1.0);
        assert!(values.windows(2).all(|pair| pair[1] - pair[0] < 0.03));
    }

    #[test]
    fn equal_numbers_all_become_zero() {
        let map = HeatMap::new(&[2.0; 9]);
        assert!(map.values.iter().all(|value| *value == 0.0));
    }

    #[test]
    fn a_png_holds_the_pixels() {
        let rgb: Vec<u8> = (0..5 * 3 * 3).collect();
        let read = image::load_from_memory(&png(&rgb, 5, 3).unwrap()).unwrap().to_rgb8();
        assert_eq!((read.width(), read.height()), (5, 3));
        assert_eq!(read.into_raw(), rgb);
    }
}
