//! Decodes HEIC and HEIF photos, as iPhones and many Android phones store them.
//!
//! The crate `heic-rs` reads the container and decodes HEVC; what its samples mean is decided here, because it doesn't
//! read the range and the matrix that phones write only into the bit stream, and because colours should be those of
//! libheif, which Pillow's plug-in uses.

mod planes;
mod signal;

use heic_rs::Error;
use heic_rs::context::Context;
use heic_rs::hevc::{self, ChromaFormat, Frame};
use heic_rs::props::ItemProps;
use heic_rs::props::hvcc::HevcConfig;

use super::heif::{Coder, Item, decode as decode_item};
use super::limits::Limits;
use super::picture::{Mode, Picture};
use super::problem::{Problem, cut_short, damaged};
use crate::kernels::zeroes;
use planes::Colours;

/// What a coded picture takes while it is decoded, in bytes per pixel: its samples, and notes on its blocks. Tiles are decoded
/// one after the other.
const WORKING_BYTES: u64 = 10;

/// Decodes the primary image.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, Problem> {
    decode_item::<Hevc>(&Context::open(bytes).map_err(problem_of)?, limits)
}

/// HEVC, also called H.265.
struct Hevc;

impl Coder for Hevc {
    /// They take no time to speak of.
    const TILES_ALLOWED: u64 = 1 << 22;

    fn size(file: &Context<'_>, id: u32) -> Result<(u32, u32), Problem> {
        let props = file.props(id).map_err(problem_of)?;
        let info = probe(config(&props)?)?;
        Ok((info.width, info.height))
    }

    fn working_bytes(_all: u64, largest: u64) -> u64 {
        largest.saturating_mul(WORKING_BYTES)
    }

    fn picture(item: &Item, file: &Context<'_>, props: &ItemProps<'_>, limits: &Limits) -> Result<Picture, Problem> {
        let first = item.tiles.first().ok_or_else(|| damaged("it has no tiles"))?;
        let first = file.props(*first).map_err(problem_of)?;
        let config = config(&first)?;
        // The container may be wrong about them.
        let (mode, bytes) = match probe(config)?.chroma {
            ChromaFormat::Monochrome => (Mode::Grey, Hevc::levels(item, file, limits)?),
            ChromaFormat::Yuv420 | ChromaFormat::Yuv422 | ChromaFormat::Yuv444 => {
                let colours = Colours::new(props.nclx.or(first.nclx), signal::signal(&config.parameter_sets()));
                let rgb = samples(item, file, 3, |frame, row, out| colours.row(frame, row, out))?;
                (Mode::Rgb, rgb)
            }
        };
        Picture::new(mode, item.width as usize, item.height as usize, bytes).map_err(|_| damaged("it holds no pixels"))
    }

    fn levels(item: &Item, file: &Context<'_>, _: &Limits) -> Result<Vec<u8>, Problem> {
        samples(item, file, 1, |frame, row, out| {
            let luma = &frame.y[row * frame.y_stride as usize..];
            for (out, level) in out.iter_mut().zip(luma) {
                *out = (level >> (frame.bit_depth - 8)) as u8;
            }
        })
    }

    fn problem(error: Error) -> Problem {
        problem_of(error)
    }
}

/// Gives each tile to `take` with the column and the row where it begins.
fn each_tile(item: &Item, file: &Context<'_>, mut take: impl FnMut(&Frame, usize, usize)) -> Result<(), Problem> {
    let n_across = item.grid.as_ref().map_or(1, |grid| grid.columns as usize);
    let (all_width, all_height) = (item.width as usize, item.height as usize);
    let (mut width, mut height, mut chroma) = (0, 0, None);
    for (i, tile) in item.tiles.iter().enumerate() {
        let frame = coded(file, *tile)?;
        if i == 0 {
            (width, height, chroma) = (frame.width as usize, frame.height as usize, Some(frame.chroma));
            let rows = item.tiles.len() / n_across;
            if width * n_across < all_width || height * rows < all_height {
                return Err(damaged("its tiles don't cover the image"));
            }
        } else if (frame.width as usize, frame.height as usize) != (width, height) {
            return Err(damaged("its tiles differ in size"));
        } else if Some(frame.chroma) != chroma {
            return Err(damaged("its tiles differ in their colours"));
        }
        let (left, top) = (i % n_across * width, i / n_across * height);
        if left < all_width && top < all_height {
            take(&frame, left, top);
        }
    }
    Ok(())
}

/// The samples of all tiles, of which `fill` makes one row of a tile: from its first column, as many as are seen.
fn samples(
    item: &Item,
    file: &Context<'_>,
    channels: usize,
    fill: impl Fn(&Frame, usize, &mut [u8]),
) -> Result<Vec<u8>, Problem> {
    let width = item.width as usize;
    let mut samples: Vec<u8> = zeroes(width * item.height as usize * channels)?;
    each_tile(item, file, |frame, left, top| {
        let n = (frame.width as usize).min(width - left);
        let rows = samples.chunks_exact_mut(width * channels);
        for (row, out) in rows.skip(top).take(frame.height as usize).enumerate() {
            fill(frame, row, &mut out[left * channels..][..n * channels]);
        }
    })?;
    Ok(samples)
}

fn config<'a, 'b>(props: &'b ItemProps<'a>) -> Result<&'b HevcConfig<'a>, Problem> {
    props
        .hvcc
        .as_ref()
        .ok_or_else(|| unsupported("its image is not coded as HEVC"))
}

/// What the bit stream says about its images.
fn probe(config: &HevcConfig<'_>) -> Result<hevc::Info, Problem> {
    hevc::probe(&config.parameter_sets()).map_err(problem_of)
}

fn coded(file: &Context<'_>, id: u32) -> Result<Frame, Problem> {
    let props = file.props(id).map_err(problem_of)?;
    let config = config(&props)?;
    let data = file.item_data(id).map_err(problem_of)?;
    let units = config.split_nals(&data).map_err(problem_of)?;
    let chroma = probe(config)?.chroma;
    let is_subsampled = matches!(chroma, ChromaFormat::Monochrome | ChromaFormat::Yuv420);
    let decoded =
        hevc::decode_still(&config.parameter_sets(), &units).and_then(|frame| frame.validate().map(|()| frame));
    let frame = decoded.map_err(|error| match is_subsampled {
        true => problem_of(error),
        // The decoder reads some of these and fails in others.
        false => unsupported("colours that are not sampled as 4:2:0"),
    })?;
    match frame.chroma == chroma {
        true => Ok(frame),
        false => Err(damaged("its parameter sets differ in their colours")),
    }
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
