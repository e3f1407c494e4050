//! What HEIC and AVIF share: items of a container, grids of tiles, alpha, limits, and what the container says about turning
//! and cropping. How a picture is coded, and what its samples mean, is a [`Coder`]'s.
//!
//! The crate `heic-rs` reads the container. Rotation, mirroring and cropping belong to the image; its EXIF orientation only
//! repeats them, so it is not read.

use heic_rs::context::Context;
use heic_rs::grid::Grid;
use heic_rs::props::ItemProps;
use heic_rs::{Error, Mirror, Rotation, Transform, transform};

use super::limits::{Limits, admit, check_size};
use super::picture::{Mode, Picture};
use super::problem::{Problem, damaged};
use crate::kernels::zeroes;

/// Tiles are as large as the image in all, besides what is cut off. A hostile file could name large tiles many times.
const TILES_PER_IMAGE_MAX: u64 = 4;

/// A way to code the pictures in a container.
pub(super) trait Coder {
    /// Pixels of tiles that are allowed however small the image is.
    const TILES_ALLOWED: u64;

    /// The size of a coded picture. Nothing is decoded for it.
    fn size(file: &Context<'_>, id: u32) -> Result<(u32, u32), Problem>;

    /// Bytes that decoding takes besides those of the image, whose tiles have this many pixels: all together, and the
    /// largest one.
    fn working_bytes(all: u64, largest: u64) -> u64;

    /// The image in grey or colours, without alpha, neither turned nor cropped.
    fn picture(item: &Item, file: &Context<'_>, props: &ItemProps<'_>, limits: &Limits) -> Result<Picture, Problem>;

    /// The luma alone, in 8 bits.
    fn levels(item: &Item, file: &Context<'_>, limits: &Limits) -> Result<Vec<u8>, Problem>;

    /// What is wrong with the container, in words.
    fn problem(error: Error) -> Problem;
}

/// An image of a file: one coded picture, or tiles in rows.
pub(super) struct Item {
    pub(super) grid: Option<Grid>,
    pub(super) tiles: Vec<u32>,
    pub(super) width: u32,
    pub(super) height: u32,
    /// What decoding takes besides the image.
    working_bytes: u64,
}

/// Decodes the primary image.
pub(super) fn decode<C: Coder>(file: &Context<'_>, limits: &Limits) -> Result<Picture, Problem> {
    let primary = file.meta.primary;
    let props = file.props(primary).map_err(C::problem)?;
    let alpha = file.alpha_item(primary).map_err(C::problem)?;
    let item = Item::find::<C>(file, primary, limits)?;
    let alpha = alpha.map(|id| Item::find::<C>(file, id, limits)).transpose()?;
    // What is turned or cropped is copied.
    let n_copies = if props.transforms.is_empty() { 1 } else { 2 };
    let decoded_bytes = item.pixels() * 4 * n_copies;
    check_size(item.width.into(), item.height.into(), decoded_bytes, limits)?;
    let of_alpha = alpha.as_ref().map_or(0, |alpha| alpha.working_bytes);
    admit(decoded_bytes.saturating_add(item.working_bytes.max(of_alpha)))?;

    let mut picture = C::picture(&item, file, &props, limits)?;
    if let Some(alpha) = alpha.filter(|alpha| (alpha.width, alpha.height) == (item.width, item.height)) {
        picture = with_alpha(picture, &C::levels(&alpha, file, limits)?)?;
    }
    let mut transforms = props.transforms.iter();
    transforms.try_fold(picture, |picture, transform| {
        transformed(picture, transform).map_err(C::problem)
    })
}

impl Item {
    /// Checks the sizes before anything is decoded.
    fn find<C: Coder>(file: &Context<'_>, id: u32, limits: &Limits) -> Result<Self, Problem> {
        let (grid, tiles) = match file.grid(id).map_err(C::problem)? {
            Some((grid, tiles)) => (Some(grid), tiles),
            None => (None, vec![id]),
        };
        let (mut all, mut largest, mut last) = (0u64, 0, (0, 0));
        for tile in &tiles {
            last = C::size(file, *tile)?;
            let pixels = u64::from(last.0) * u64::from(last.1);
            check_size(last.0.into(), last.1.into(), 3 * pixels, limits)?;
            all = all.saturating_add(pixels);
            largest = pixels.max(largest);
        }
        let of_grid = |grid: &Grid| (grid.output_width, grid.output_height);
        let (width, height) = grid.as_ref().map_or(last, of_grid);
        let item = Item {
            grid,
            tiles,
            width,
            height,
            working_bytes: C::working_bytes(all, largest),
        };
        if all > C::TILES_ALLOWED.max(item.pixels().saturating_mul(TILES_PER_IMAGE_MAX)) {
            return Err(damaged("its tiles have far more pixels than the image"));
        }
        Ok(item)
    }

    fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

fn with_alpha(picture: Picture, alpha: &[u8]) -> Result<Picture, Problem> {
    let (width, height) = (picture.width_px(), picture.height_px());
    let channels = picture.mode().channels();
    let mode = match picture.mode() {
        Mode::Grey => Mode::GreyAlpha,
        Mode::Rgb => Mode::Rgba,
        Mode::GreyAlpha | Mode::Rgba | Mode::Cmyk => return Ok(picture),
    };
    let mut out: Vec<u8> = zeroes(width * height * (channels + 1))?;
    let pixels = picture.bytes().chunks_exact(channels).zip(alpha);
    for (to, (colours, alpha)) in out.chunks_exact_mut(channels + 1).zip(pixels) {
        to[..channels].copy_from_slice(colours);
        to[channels] = *alpha;
    }
    Picture::new(mode, width, height, out).map_err(|_| damaged("it holds no pixels"))
}

fn transformed(picture: Picture, transform: &Transform) -> Result<Picture, Error> {
    // As EXIF's numbers of orientations.
    let turn = match transform {
        Transform::Crop(clap) => {
            let (width, height) = (picture.width_px() as u32, picture.height_px() as u32);
            let (left, top, width, height) = transform::crop_rect(width, height, *clap)?;
            return Ok(picture.part([left, top, width, height].map(|side| side as usize)));
        }
        Transform::Rotate(Rotation::None) => 1,
        Transform::Rotate(Rotation::Ccw90) => 8,
        Transform::Rotate(Rotation::Ccw180) => 3,
        Transform::Rotate(Rotation::Ccw270) => 6,
        // The crate names them by the first edition of the standard. In the second, and in libheif, 0 is top and bottom.
        Transform::Mirror(Mirror::LeftRight) => 4,
        Transform::Mirror(Mirror::TopBottom) => 2,
    };
    Ok(picture.upright(turn))
}
