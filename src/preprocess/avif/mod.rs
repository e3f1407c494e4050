//! Decodes AVIF images with dav1d, the C library that browsers use. `heic-rs` reads the container, as for HEIC.
//!
//! dav1d's ports to Rust abort the whole program if a file is damaged in certain ways (docs/formats.md), so they cannot be
//! used. Of a sequence, the primary image is read, which is its first frame. Colours are those of libavif, which Pillow uses.

mod colours;

use dav1d::{Decoder, PixelLayout, PlanarImageComponent, Settings, pixel};
use heic_rs::context::Context;
use heic_rs::ftyp::FileType;
use heic_rs::hevc::{ChromaFormat, Frame};
use heic_rs::props::ItemProps;
use heic_rs::{Brand, Error, Range, grid, meta};

use super::heif::{Coder, Item, decode as decode_item};
use super::limits::Limits;
use super::picture::{Mode, Picture};
use super::problem::{Problem, cut_short, damaged};
use crate::kernels::zeroes;
use colours::Colours;

const CONVERT: &str = "convert it to png first, for example with `avifdec` or `magick`";
/// What a coded picture takes while it is decoded, in bytes per pixel: dav1d's samples and ours, two bytes each and three per
/// pixel, and notes on its blocks. All tiles of a grid are in memory at once.
const WORKING_BYTES: u64 = 16;
/// Decodes the primary image.
pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Picture, Problem> {
    decode_item::<Av1>(&open(bytes).map_err(problem_of)?, limits)
}

/// AV1.
struct Av1;

impl Coder for Av1 {
    /// They take no memory to speak of.
    const TILES_ALLOWED: u64 = 1 << 20;

    /// As the container gives it.
    fn size(file: &Context<'_>, id: u32) -> Result<(u32, u32), Problem> {
        let item = file.meta.item(id).ok_or_else(|| damaged("an image is missing"))?;
        if &item.item_type != b"av01" {
            return Err(unsupported("its image is not coded as AV1"));
        }
        let props = file.props(id).map_err(problem_of)?;
        let size = props.ispe.ok_or_else(|| damaged("an image has no size"))?;
        Ok((size.width, size.height))
    }

    fn working_bytes(all: u64, _largest: u64) -> u64 {
        all.saturating_mul(WORKING_BYTES)
    }

    fn picture(item: &Item, file: &Context<'_>, props: &ItemProps<'_>, limits: &Limits) -> Result<Picture, Problem> {
        let (frame, signal) = frame(item, file, limits)?;
        picture(&frame, props.nclx.map_or(signal, Signal::from))
    }

    fn levels(item: &Item, file: &Context<'_>, limits: &Limits) -> Result<Vec<u8>, Problem> {
        levels(&frame(item, file, limits)?.0)
    }

    fn problem(error: Error) -> Problem {
        problem_of(error)
    }
}

/// The container. `Context::open` would refuse it by its brand.
fn open(bytes: &[u8]) -> Result<Context<'_>, Error> {
    Ok(Context {
        file: bytes,
        ftyp: FileType {
            major: Brand::Avif,
            effective: Brand::Avif,
            minor_version: 0,
            compatible_count: 0,
        },
        meta: meta::parse(bytes)?,
    })
}

/// How a picture's samples are to be understood.
#[derive(Debug, Clone, Copy)]
struct Signal {
    is_full_range: bool,
    /// By the numbers of H.273.
    matrix: u16,
}

impl From<heic_rs::Nclx> for Signal {
    fn from(nclx: heic_rs::Nclx) -> Self {
        Signal {
            is_full_range: nclx.range == Range::Full,
            matrix: nclx.matrix_code,
        }
    }
}

/// Decodes the picture, or puts the tiles together, and returns what the first one says about its samples.
fn frame(item: &Item, file: &Context<'_>, limits: &Limits) -> Result<(Frame, Signal), Problem> {
    let mut frames = Vec::new();
    let mut signal = None;
    for tile in &item.tiles {
        let (frame, of_frame) = coded(file, *tile, limits)?;
        signal.get_or_insert(of_frame);
        frames.push(frame);
    }
    let signal = signal.ok_or_else(|| damaged("it has no tiles"))?;
    let frame = match &item.grid {
        Some(grid) => grid::compose(grid, &frames, limits.max_pixels).map_err(problem_of)?,
        None => frames.swap_remove(0),
    };
    Ok((frame, signal))
}

fn coded(file: &Context<'_>, id: u32, limits: &Limits) -> Result<(Frame, Signal), Problem> {
    let data = file.item_data(id).map_err(problem_of)?.into_owned();
    let mut settings = Settings::new();
    // Images are decoded next to each other already.
    settings.set_n_threads(1);
    settings.set_max_frame_delay(1);
    settings.set_all_layers(false);
    settings.set_frame_size_limit(u32::try_from(limits.max_pixels).unwrap_or(u32::MAX));
    let mut decoder = Decoder::with_settings(&settings).map_err(of_dav1d)?;
    match decoder.send_data(data, None, None, None) {
        // There are frames to take before it reads on.
        Ok(()) | Err(dav1d::Error::Again) => {}
        Err(error) => return Err(of_dav1d(error)),
    }
    let picture = decoder.get_picture().map_err(of_dav1d)?;
    if (picture.width(), picture.height()) != Av1::size(file, id)? {
        return Err(damaged("its size is not the one that its container gives"));
    }
    let signal = Signal {
        is_full_range: picture.color_range() == pixel::YUVRange::Full,
        matrix: picture.matrix_coefficients() as u16,
    };
    Ok((frame_of(&picture)?, signal))
}

/// Copies dav1d's planes, whose samples have one or two bytes.
fn frame_of(picture: &dav1d::Picture) -> Result<Frame, Problem> {
    let chroma = match picture.pixel_layout() {
        PixelLayout::I400 => ChromaFormat::Monochrome,
        PixelLayout::I420 => ChromaFormat::Yuv420,
        PixelLayout::I422 => ChromaFormat::Yuv422,
        PixelLayout::I444 => ChromaFormat::Yuv444,
    };
    let (width, height) = (picture.width(), picture.height());
    let (c_width, c_height) = chroma.chroma_size(width, height);
    let plane = |component, width: u32, height: u32| {
        let width = width as usize;
        let mut samples: Vec<u16> = zeroes(width * height as usize)?;
        if samples.is_empty() {
            return Ok(samples);
        }
        let (plane, stride) = (picture.plane(component), picture.stride(component) as usize);
        for (out, row) in samples.chunks_exact_mut(width).zip(plane.chunks(stride)) {
            match picture.bit_depth() {
                8 => out.iter_mut().zip(row).for_each(|(out, byte)| *out = u16::from(*byte)),
                _ => {
                    let pairs = row.as_chunks::<2>().0;
                    out.iter_mut()
                        .zip(pairs)
                        .for_each(|(out, pair)| *out = u16::from_ne_bytes(*pair));
                }
            }
        }
        Ok::<_, Problem>(samples)
    };
    Ok(Frame {
        width,
        height,
        bit_depth: picture.bit_depth() as u8,
        chroma,
        y: plane(PlanarImageComponent::Y, width, height)?,
        cb: plane(PlanarImageComponent::U, c_width, c_height)?,
        cr: plane(PlanarImageComponent::V, c_width, c_height)?,
        y_stride: width,
        c_stride: c_width,
    })
}

fn picture(frame: &Frame, signal: Signal) -> Result<Picture, Problem> {
    let (width, height) = (frame.width as usize, frame.height as usize);
    let (mode, bytes) = if frame.chroma == ChromaFormat::Monochrome && signal.is_full_range {
        (Mode::Grey, levels(frame)?)
    } else {
        let colours = Colours::new(signal, frame.chroma)?;
        let mut rgb: Vec<u8> = zeroes(width * height * 3)?;
        for (y, row) in rgb.chunks_exact_mut(width * 3).enumerate() {
            colours.row(frame, y, row);
        }
        (Mode::Rgb, rgb)
    };
    Picture::new(mode, width, height, bytes).map_err(|_| damaged("it holds no pixels"))
}

/// The luma alone as bytes, rounded as libavif does.
fn levels(frame: &Frame) -> Result<Vec<u8>, Problem> {
    let largest = (1u32 << frame.bit_depth) - 1;
    let mut levels: Vec<u8> = zeroes(frame.y.len())?;
    for (level, luma) in levels.iter_mut().zip(&frame.y) {
        *level = ((u32::from(*luma) * 255 + largest / 2) / largest) as u8;
    }
    Ok(levels)
}

fn unsupported(what: &str) -> Problem {
    Problem::new(format!("this kind of AVIF is not supported: {what}"), CONVERT)
}

fn of_dav1d(error: dav1d::Error) -> Problem {
    match error {
        dav1d::Error::UnsupportedBitstream => unsupported("a profile of AV1 that dav1d doesn't decode"),
        // It has read all data, and no frame is whole.
        dav1d::Error::Again => cut_short(),
        dav1d::Error::NotEnoughMemory => Problem::new("there is no memory for its pixels", "scale it down first"),
        other => damaged(&format!("dav1d reports: {}", other.to_string().to_lowercase())),
    }
}

fn problem_of(error: Error) -> Problem {
    match error {
        Error::Truncated(_) => cut_short(),
        Error::MissingBox("meta") => unsupported("a sequence without a primary image"),
        Error::Unsupported(what) => unsupported(what),
        other => damaged(&other.to_string()),
    }
}
