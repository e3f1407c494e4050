//! How far a JPEG may be reduced while it is decoded: to a half, a quarter or an eighth of its width and height, as long as
//! it stays at least twice as large as what it is resized to.
//!
//! The scale is that of Pillow's `Image.draft` for twice that size. The resize then reads fewer pixels, which are means of
//! the others.

use super::resize::resized;
use crate::kernels::jpeg::BlockSide;
use crate::recipe::Resize;

/// At which size images are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decoding {
    /// As they are stored.
    #[default]
    Whole,
    /// Large JPEGs at a half, a quarter or an eighth of their width and height, at least twice as large as the model reads
    /// them. This is faster, and changes what the model sees a little. Other formats are decoded whole.
    Reduced,
    /// As [`Decoding::Reduced`], but at least twice as large as tiles are read.
    ReducedForTiles,
}

/// What a decoded image is needed for.
#[derive(Clone, Copy)]
pub(super) enum Reduction {
    /// Anything.
    None,
    /// A resize, in a model that reads `side` x `side` pixels.
    For { resize: Resize, side: usize },
}

/// An image that is reduced stays at least this many times as large as what it is resized to. The resize averages pixels,
/// and of a reduced image it has few for one of its own.
const TIMES: usize = 2;

impl Reduction {
    /// What a block of a JPEG may become, if this is its stored width and height and it is turned by EXIF's `turn`.
    pub(super) fn block_side(self, [width, height]: [usize; 2], turn: u8) -> BlockSide {
        let Reduction::For { resize, side } = self else {
            return BlockSide::Eight;
        };
        let size = match turn {
            5..=8 => [height, width],
            _ => [width, height],
        };
        if size.contains(&0) {
            return BlockSide::Eight;
        }
        let needed = resized(size, resize, side);
        let is_enough = |block: &BlockSide| {
            let by = 8 / block.px();
            size.iter().zip(needed).all(|(px, needed)| px / by >= TIMES * needed)
        };
        BlockSide::ALL.into_iter().find(is_enough).unwrap_or(BlockSide::Eight)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixture;
    use super::*;
    use crate::preprocess::{Fit, Limits, Orientation, Preprocess, decode};
    use crate::random::Random;
    use crate::recipe::PixelRecipe;

    #[track_caller]
    fn check(resize: Resize, size: [usize; 2], expected: BlockSide) {
        let reduction = Reduction::For { resize, side: 224 };
        assert_eq!(reduction.block_side(size, 1), expected, "{resize:?} of {size:?}");
    }

    #[test]
    fn an_image_stays_at_least_twice_as_large_as_it_is_resized_to() {
        // Its short side counts, which becomes 224: 448 must remain.
        check(Resize::Shortest, [4000, 3000], BlockSide::Two);
        check(Resize::Shortest, [896, 896], BlockSide::Four);
        check(Resize::Shortest, [895, 4000], BlockSide::Eight);
        check(Resize::Shortest, [3584, 3584], BlockSide::One);
        check(Resize::ShortestTo(256), [896, 896], BlockSide::Eight);
        // Its long side counts.
        check(Resize::Longest { fill: 0 }, [4000, 3000], BlockSide::One);
        check(Resize::Longest { fill: 0 }, [896, 200], BlockSide::Four);
        // Both do.
        check(Resize::Squash, [4000, 895], BlockSide::Eight);
        let (height, width) = (100, 1000);
        check(Resize::SquashTo { height, width }, [4000, 3000], BlockSide::Four);
        // It is as large as the model sees it.
        check(Resize::Off, [4000, 3000], BlockSide::Eight);
        assert_eq!(Reduction::None.block_side([4000, 3000], 1), BlockSide::Eight);
    }

    #[test]
    fn the_size_of_a_turned_image_is_that_after_the_turn() {
        let (height, width) = (100, 1000);
        let resize = Resize::SquashTo { height, width };
        let reduction = Reduction::For { resize, side: 224 };
        assert_eq!(reduction.block_side([3000, 4000], 6), BlockSide::Four);
        assert_eq!(reduction.block_side([3000, 4000], 3), BlockSide::Eight);
    }

    /// For a model that reads 32 x 32 pixels.
    fn small(decoding: Decoding) -> Preprocess {
        Preprocess::new(32).decoding(decoding)
    }

    #[test]
    fn images_are_decoded_whole_unless_asked() {
        let name = "rgb-451x300-q85-progressive.jpg";
        let bytes = fixture(name);
        let whole = decode(name, &bytes, Orientation::Upright, &Limits::default()).unwrap();
        assert!(Preprocess::new(32).decode(name, &bytes).unwrap() == whole);
        assert!(small(Decoding::Whole).decode(name, &bytes).unwrap() == whole);
        let reduced = small(Decoding::Reduced).decode(name, &bytes).unwrap();
        assert_eq!((reduced.width_px(), reduced.height_px()), (113, 75));
        let large = Preprocess::new(151).decoding(Decoding::Reduced);
        assert!(large.decode(name, &bytes).unwrap() == whole, "too small to be reduced");
        let png = fixture("rgba-200x150.png");
        assert_eq!(small(Decoding::Reduced).decode("png", &png).unwrap().width_px(), 200);
    }

    #[test]
    fn a_reduced_image_is_turned_and_looks_like_the_whole_one() {
        for name in [
            "exif-6-240x160.jpg",
            "rgb-401x267-q50.jpg",
            "cmyk-300x200-q95.jpg",
            "grey-451x300-q85.jpg",
        ] {
            for fit in [Fit::Crop, Fit::Pad, Fit::Squash] {
                let seen = |decoding| {
                    let preprocess = small(decoding).fit(fit);
                    preprocess.crop_u8(&preprocess.decode(name, &fixture(name)).unwrap())
                };
                let (whole, reduced) = (seen(Decoding::Whole), seen(Decoding::Reduced));
                let differences = whole.iter().zip(&reduced).map(|(a, b)| usize::from(a.abs_diff(*b)));
                let mean = differences.sum::<usize>() as f64 / whole.len() as f64;
                assert!(mean > 0.0 && mean < 5.0, "{name}, {fit}: {mean} of 255 on average");
            }
        }
    }

    #[test]
    fn a_limit_refuses_the_same_images() {
        let limits = Limits {
            max_pixels: 1000,
            ..Limits::default()
        };
        let refused = |decoding| {
            let preprocess = small(decoding).limits(limits);
            preprocess
                .decode("x", &fixture("rgb-401x267-q50.jpg"))
                .unwrap_err()
                .to_string()
        };
        assert!(refused(Decoding::Reduced).contains("401x267 = 107067 pixels; at most 1000"));
        assert_eq!(refused(Decoding::Whole), refused(Decoding::Reduced));
    }

    #[test]
    fn a_broken_jpeg_never_panics() {
        for name in [
            "422-93x71.jpg",
            "411-189x40.jpg",
            "440-71x93.jpg",
            "420-progressive-93x71.jpg",
        ] {
            let whole = fixture(&format!("reduced/{name}"));
            let mut random = Random::new(1, 0);
            for i in 0..1000 {
                let mut broken = whole.clone();
                for _ in 0..3 {
                    let at = random.below(broken.len());
                    broken[at] = random.number() as u8;
                }
                let recipe = PixelRecipe {
                    resize: Resize::SquashTo {
                        height: [0, 2, 10][i % 3],
                        width: 0,
                    },
                    ..PixelRecipe::default()
                };
                let preprocess = Preprocess::with_recipe(8, recipe).decoding(Decoding::Reduced);
                let outcome = preprocess.decode(name, &broken);
                let panicked = outcome.is_err_and(|error| error.to_string().contains("its decoder failed"));
                assert!(!panicked, "{name}, case {i}");
            }
        }
    }
}
