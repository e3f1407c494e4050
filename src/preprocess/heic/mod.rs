//! Decodes HEIC and HEIF photos, as iPhones and many Android phones store them.
//!
//! The crate `heic-rs` reads the container and decodes HEVC; what its samples mean is decided here, because it doesn't
//! read the range and the matrix that phones write only into the bit stream, and because colours should be those of
//! libheif, which Pillow's plug-in uses. A photo is one coded picture or a grid of tiles. Rotation, mirroring and cropping
//! belong to the image; its EXIF orientation only repeats them, so it is not read.

mod planes;
mod signal;

use heic_rs::context::Context;
use heic_rs::hevc::{self, ChromaFormat, Frame};
use heic_rs::props::ItemProps;
use heic_rs::{Error, Mirror, Rotation, Transform, transform};

use super::limits::{Limits, admit, check_size};
use super::picture::{Mode, Picture};
use super::problem::{Problem, cut_short, damaged};
use crate::kernels::zeroes;
use planes::Colours;

/// What a coded picture takes while it is decoded, in bytes per pixel: its samples, and notes on its blocks.
const WORKING_BYTES: u64 = 10;
/// Tiles are as large as the image in all, besides what is cut off. A hostile file could name large tiles many times.
const TILES_PER_IMAGE_MAX: u64 = 4;
/// Pixels of tiles that take no time to speak of.
const TILES_ALLOWED: u64 = 1 << 22;

/// Decodes the primary image.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, Problem> {
    let file = Context::open(bytes).map_err(problem_of)?;
    let primary = file.meta.primary;
    let props = file.props(primary).map_err(problem_of)?;
    let alpha = file.alpha_item(primary).map_err(problem_of)?;
    let item = Item::find(&file, primary, limits)?;
    let alpha = alpha.map(|id| Item::find(&file, id, limits)).transpose()?;
    // What is turned or cropped is copied.
    let n_copies = if props.transforms.is_empty() { 1 } else { 2 };
    let decoded_bytes = item.width as u64 * item.height as u64 * 4 * n_copies;
    check_size(item.width as u64, item.height as u64, decoded_bytes, limits)?;
    let largest = alpha
        .iter()
        .map(|alpha| alpha.largest_tile)
        .fold(item.largest_tile, u64::max);
    admit(decoded_bytes.saturating_add(largest.saturating_mul(WORKING_BYTES)))?;

    let mut picture = item.picture(&file, &props)?;
    if let Some(alpha) = alpha.filter(|alpha| (alpha.width, alpha.height) == (item.width, item.height)) {
        picture = with_alpha(picture, &alpha.levels(&file)?)?;
    }
    let transforms = props.transforms.iter();
    transforms.into_iter().try_fold(picture, transformed)
}

/// An image of a file: one coded picture, or tiles in rows.
struct Item {
    tiles: Vec<u32>,
    n_across: usize,
    width: usize,
    height: usize,
    /// Pixels of the largest tile.
    largest_tile: u64,
}

impl Item {
    /// Checks the sizes before anything is decoded.
    fn find(file: &Context<'_>, id: u32, limits: &Limits) -> Result<Self, Problem> {
        let grid = file.grid(id).map_err(problem_of)?;
        let (tiles, n_across, size) = match grid {
            Some((grid, tiles)) => (
                tiles,
                grid.columns as usize,
                Some((grid.output_width, grid.output_height)),
            ),
            None => (vec![id], 1, None),
        };
        let (mut largest_tile, mut all) = (0, 0u64);
        let mut last = (0, 0);
        for tile in &tiles {
            let props = file.props(*tile).map_err(problem_of)?;
            let info = hevc::probe(&config(&props)?.parameter_sets()).map_err(problem_of)?;
            last = (info.width, info.height);
            let pixels = u64::from(info.width) * u64::from(info.height);
            check_size(u64::from(info.width), u64::from(info.height), 3 * pixels, limits)?;
            largest_tile = pixels.max(largest_tile);
            all = all.saturating_add(pixels);
        }
        let (width, height) = size.unwrap_or(last);
        let pixels = u64::from(width) * u64::from(height);
        if all > TILES_ALLOWED.max(pixels.saturating_mul(TILES_PER_IMAGE_MAX)) {
            return Err(damaged("its tiles have far more pixels than the image"));
        }
        Ok(Item {
            tiles,
            n_across,
            width: width as usize,
            height: height as usize,
            largest_tile,
        })
    }

    /// Gives each tile to `take` with the column and the row where it begins.
    fn each_tile(&self, file: &Context<'_>, mut take: impl FnMut(&Frame, usize, usize)) -> Result<(), Problem> {
        let (mut width, mut height) = (0, 0);
        for (i, tile) in self.tiles.iter().enumerate() {
            let frame = coded(file, *tile)?;
            if i == 0 {
                (width, height) = (frame.width as usize, frame.height as usize);
                let rows = self.tiles.len() / self.n_across;
                if width * self.n_across < self.width || height * rows < self.height {
                    return Err(damaged("its tiles don't cover the image"));
                }
            } else if (frame.width as usize, frame.height as usize) != (width, height) {
                return Err(damaged("its tiles differ in size"));
            }
            let (left, top) = (i % self.n_across * width, i / self.n_across * height);
            if left < self.width && top < self.height {
                take(&frame, left, top);
            }
        }
        Ok(())
    }

    fn picture(&self, file: &Context<'_>, props: &ItemProps<'_>) -> Result<Picture, Problem> {
        let first = self.tiles.first().ok_or_else(|| damaged("it has no tiles"))?;
        let first = file.props(*first).map_err(problem_of)?;
        let config = config(&first)?;
        if config.chroma_format == 0 {
            let levels = self.levels(file)?;
            return Picture::new(Mode::Grey, self.width, self.height, levels)
                .map_err(|_| damaged("it holds no pixels"));
        }
        let colours = Colours::new(props.nclx.or(first.nclx), signal::signal(&config.parameter_sets()));
        let rgb = self.samples(file, 3, |frame, row, out| colours.row(frame, row, out))?;
        Picture::new(Mode::Rgb, self.width, self.height, rgb).map_err(|_| damaged("it holds no pixels"))
    }

    /// The luma alone, in 8 bits.
    fn levels(&self, file: &Context<'_>) -> Result<Vec<u8>, Problem> {
        self.samples(file, 1, |frame, row, out| {
            let luma = &frame.y[row * frame.y_stride as usize..];
            for (out, level) in out.iter_mut().zip(luma) {
                *out = (level >> (frame.bit_depth - 8)) as u8;
            }
        })
    }

    /// The samples of all tiles, of which `fill` makes one row of a tile: from its first column, as many as are seen.
    fn samples(
        &self,
        file: &Context<'_>,
        channels: usize,
        fill: impl Fn(&Frame, usize, &mut [u8]),
    ) -> Result<Vec<u8>, Problem> {
        let mut samples: Vec<u8> = zeroes(self.width * self.height * channels)?;
        self.each_tile(file, |frame, left, top| {
            let n = (frame.width as usize).min(self.width - left);
            let rows = samples.chunks_exact_mut(self.width * channels);
            for (row, out) in rows.skip(top).take(frame.height as usize).enumerate() {
                fill(frame, row, &mut out[left * channels..][..n * channels]);
            }
        })?;
        Ok(samples)
    }
}

fn config<'a, 'b>(props: &'b ItemProps<'a>) -> Result<&'b heic_rs::props::hvcc::HevcConfig<'a>, Problem> {
    props
        .hvcc
        .as_ref()
        .ok_or_else(|| unsupported("its image is not coded as HEVC"))
}

fn coded(file: &Context<'_>, id: u32) -> Result<Frame, Problem> {
    let props = file.props(id).map_err(problem_of)?;
    let config = config(&props)?;
    let data = file.item_data(id).map_err(problem_of)?;
    let units = config.split_nals(&data).map_err(problem_of)?;
    let is_subsampled = matches!(
        ChromaFormat::from_idc(config.chroma_format),
        Some(ChromaFormat::Monochrome | ChromaFormat::Yuv420)
    );
    let decoded =
        hevc::decode_still(&config.parameter_sets(), &units).and_then(|frame| frame.validate().map(|()| frame));
    decoded.map_err(|error| match is_subsampled {
        true => problem_of(error),
        // The decoder reads some of these and fails in others.
        false => unsupported("colours that are not sampled as 4:2:0"),
    })
}

pub(super) fn with_alpha(picture: Picture, alpha: &[u8]) -> Result<Picture, Problem> {
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

pub(super) fn transformed(picture: Picture, transform: &Transform) -> Result<Picture, Problem> {
    // As EXIF's numbers of orientations.
    let turn = match transform {
        Transform::Crop(clap) => {
            let (width, height) = (picture.width_px() as u32, picture.height_px() as u32);
            let (left, top, width, height) = transform::crop_rect(width, height, *clap).map_err(problem_of)?;
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

fn unsupported(what: &str) -> Problem {
    Problem::new(
        format!("this kind of HEIC is not supported: {what}"),
        "convert it to jpeg or png first, for example with `heif-convert` or `magick`",
    )
}

fn problem_of(error: Error) -> Problem {
    match error {
        Error::Truncated(_) => cut_short(),
        Error::Unsupported(what) => unsupported(what),
        other => damaged(&other.to_string()),
    }
}
