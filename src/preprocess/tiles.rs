//! Cuts an image into overlapping squares, so that the model sees both ends of a panorama, and small things in a large photo.
//!
//! Large tiles are as wide as the image's short side, in a row along its long side. Small tiles are half as wide, in
//! rows and columns, if they still have as many pixels as the model reads. Each tile is then read as an image of its own.

use super::{Picture, Pixels, Preprocess};

/// Neighbours share at least this part of their side, 1 of 4.
const OVERLAP: [usize; 2] = [1, 4];
/// An image that is longer than its short side by at most this part of it, 1 of 8, has one large tile: the centre, as
/// without tiles. Two would show nearly the same.
const NEARLY_SQUARE: [usize; 2] = [1, 8];
/// Small tiles have this part of the short side, one half.
pub(super) const PARTS: usize = 2;
/// The most tiles of an image. Small tiles are left out if there would be more, as in a panorama of more than 3.5:1.
/// Large ones overlap by less in an image of more than 24:1, and leave gaps in one of more than 32:1.
const TILES_MAX: usize = 32;

/// A square of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tile {
    /// What is seen without tiles.
    Centre,
    Square {
        left: usize,
        top: usize,
        side: usize,
    },
}

impl Preprocess {
    /// As [`Preprocess::pixels`], of each tile of an image, at least one.
    pub fn tiles(&self, picture: &Picture) -> Vec<Pixels> {
        let tiles = tiles([picture.width_px(), picture.height_px()], self.resolution_px);
        let pixels = |tile| match tile {
            Tile::Centre => self.pixels(picture),
            Tile::Square { left, top, side } => self.into_pixels(picture.part([left, top, side, side])),
        };
        tiles.into_iter().map(pixels).collect()
    }
}

/// The tiles of an image of this width and height, for a model that reads squares with `resolution_px`.
fn tiles(size: [usize; 2], resolution_px: usize) -> Vec<Tile> {
    let (short, long) = (size[0].min(size[1]), size[0].max(size[1]));
    let [part, of] = NEARLY_SQUARE;
    let mut tiles = match (long - short) * of <= short * part {
        true => vec![Tile::Centre],
        false => {
            let numbers = size.map(|length| number(length, short).min(TILES_MAX));
            grid(size, short, numbers)
        }
    };
    let small = short / PARTS;
    if small >= resolution_px {
        let numbers = size.map(|length| number(length, small));
        if tiles.len() + numbers[0] * numbers[1] <= TILES_MAX {
            tiles.extend(grid(size, small, numbers));
        }
    }
    tiles
}

/// How many squares with this side a length needs, if neighbours overlap.
fn number(length: usize, side: usize) -> usize {
    let [part, of] = OVERLAP;
    ((length - side) * of).div_ceil(side * (of - part)) + 1
}

/// Evenly spaced squares, these many across and down, from one edge to the other.
fn grid([width, height]: [usize; 2], side: usize, [n_across, n_down]: [usize; 2]) -> Vec<Tile> {
    let start = |i: usize, length: usize, n: usize| i * (length - side) / (n - 1).max(1);
    let row = |top: usize| {
        (0..n_across).map(move |i| Tile::Square {
            left: start(i, width, n_across),
            top,
            side,
        })
    };
    (0..n_down).flat_map(|i| row(start(i, height, n_down))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Decoding, Mode};
    use super::*;

    /// How many large and small tiles an image gets.
    #[track_caller]
    fn check(size: [usize; 2], n_large: usize, n_small: usize) {
        let tiles = tiles(size, 224);
        assert_eq!(tiles.len(), n_large + n_small, "{size:?}: {tiles:?}");
        let small = size[0].min(size[1]) / 2;
        let is_small = |tile: &&Tile| matches!(tile, Tile::Square { side, .. } if *side == small);
        assert_eq!(tiles.iter().filter(is_small).count(), n_small, "{size:?}");
    }

    #[test]
    fn the_number_of_tiles_depends_on_proportions_and_size() {
        check([224, 224], 1, 0);
        check([447, 447], 1, 0);
        check([448, 448], 1, 9);
        check([400, 356], 1, 0);
        check([400, 355], 2, 0);
        check([3000, 4000], 2, 12);
        check([6000, 4000], 2, 12);
        check([3840, 2160], 3, 15);
        check([1200, 400], 4, 0);
        check([3500, 1000], 5, 27);
        check([3600, 1000], 5, 0);
        check([20000, 1000], 27, 0);
        check([200_000, 1000], 32, 0);
        check([1, 1000], 32, 0);
        check([1, 1], 1, 0);
    }

    #[test]
    fn tiles_reach_all_edges_and_overlap_by_a_quarter() {
        for (width, height) in [(1000, 400), (401, 899), (4000, 3000), (777, 555), (3111, 1000)] {
            let tiles = tiles([width, height], 100);
            for side in [width.min(height), width.min(height) / 2] {
                let of_side: Vec<[usize; 2]> = tiles
                    .iter()
                    .filter_map(|tile| match tile {
                        Tile::Square { left, top, side: own } if *own == side => Some([*left, *top]),
                        Tile::Square { .. } | Tile::Centre => None,
                    })
                    .collect();
                for (axis, length) in [(0, width), (1, height)] {
                    let mut starts: Vec<usize> = of_side.iter().map(|start| start[axis]).collect();
                    starts.sort_unstable();
                    starts.dedup();
                    assert_eq!(starts[0], 0);
                    assert_eq!(starts[starts.len() - 1] + side, length);
                    let steps = starts.windows(2).map(|pair| pair[1] - pair[0]);
                    assert!(steps.max().unwrap_or(0) <= side * 3 / 4 + 1, "{starts:?} of {side}");
                }
            }
        }
    }

    /// An image in which each pixel says where it is.
    fn picture(mode: Mode, width: usize, height: usize) -> Picture {
        let channels = mode.channels();
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let bytes = pixels.flat_map(|(x, y)| (0..channels).map(move |c| ((x * 7 + y * 13) ^ (c * 85)) as u8));
        Picture::new(mode, width, height, bytes.collect()).unwrap()
    }

    #[test]
    fn tiles_are_read_as_images_that_were_cut_out() {
        let preprocess = Preprocess::new(16);
        for mode in [Mode::Rgb, Mode::Rgba, Mode::Grey] {
            let wide = picture(mode, 90, 30);
            let tiles = preprocess.tiles(&wide);
            assert_eq!(tiles.len(), 4);
            for (tile, left) in tiles.iter().zip([0, 20, 40, 60]) {
                let cut: Vec<u8> = wide
                    .bytes()
                    .chunks(90 * mode.channels())
                    .flat_map(|row| &row[left * mode.channels()..(left + 30) * mode.channels()])
                    .copied()
                    .collect();
                let by_hand = Picture::new(mode, 30, 30, cut).unwrap();
                assert_eq!(*tile, preprocess.pixels(&by_hand), "{mode:?} at {left}");
            }
            let small = picture(mode, 31, 30);
            assert_eq!(preprocess.tiles(&small), [preprocess.pixels(&small)]);
        }
    }

    #[test]
    fn a_reduced_jpeg_has_the_same_tiles() {
        let bytes = super::super::tests::fixture("rgb-401x267-q50.jpg");
        for resolution_px in [16, 32, 64] {
            let tiles = |decoding| {
                let preprocess = Preprocess::new(resolution_px).decoding(decoding);
                let picture = preprocess.decode("a.jpg", &bytes).unwrap();
                (picture.width_px(), preprocess.tiles(&picture).len())
            };
            let (whole, reduced) = (tiles(Decoding::Whole), tiles(Decoding::ReducedForTiles));
            assert_eq!(whole, (401, 14));
            assert_eq!(reduced.1, 14, "{resolution_px}");
            assert_eq!(reduced.0 < 401, resolution_px < 64, "{resolution_px}");
        }
    }
}
