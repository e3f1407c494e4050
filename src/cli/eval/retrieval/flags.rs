//! What `eval retrieval` takes about its data and its measures, as flags.

use std::path::PathBuf;

use longclip::data::{CaptionPart, PerImage};
use longclip::eval::retrieval::PairOptions;
use longclip::text::ContextLength;

use crate::cli::data_flags::FieldFlags;
use crate::cli::named::named;
use crate::cli::numbers::at_least_one;

/// Which images and which captions.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Data")]
pub(super) struct DataFlags {
    /// Images with their captions
    ///
    /// Records, WebDataset tars, Parquet or Arrow files, COCO's captions json, Karpathy's json, ShareGPT4V json, Flickr30k's
    /// token file or results.csv, or a folder with `image` and `caption` in it. Example: `--data pairs.ndjson`
    #[arg(long, value_name = "DATA")]
    pub(super) data: PathBuf,
    #[command(flatten)]
    pub(super) fields: FieldFlags,
    /// Only images of this split, if the data has any
    ///
    /// Example: `--split test`
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Only the first N images
    ///
    /// Example: `--first 1000`
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    first: Option<usize>,
    /// The part of each caption to use
    ///
    /// [default: as upstream: the first line of Urban1k's files, else everything] Example: `--captions first-sentence`
    #[arg(hide_short_help = true, long, value_name = "PART", value_parser = named::<CaptionPart>())]
    captions: Option<CaptionPart>,
    /// The most captions per image
    ///
    /// A number or `all` [default: as upstream: 5 for COCO, else all]. Example: `--captions-per-image 1`
    #[arg(long, alias = "captions-per-picture", value_name = "N", value_parser = per_image, hide_short_help = true)]
    captions_per_image: Option<PerImage>,
}

impl DataFlags {
    /// The part of the data to use.
    pub(super) fn options(&self) -> PairOptions {
        PairOptions {
            images: self.fields.images.clone(),
            text_field: self.fields.text_field.clone(),
            split: self.split.clone(),
            first: self.first,
            part: self.captions,
            captions_per_image: self.captions_per_image,
            scratch: std::env::temp_dir(),
        }
    }
}

/// What is measured besides R@1, R@5 and R@10.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Measures")]
pub(super) struct MeasureFlags {
    /// Measure R@1 with captions cut to N tokens
    ///
    /// Start and end token are two of them. Example: `--sweep-length 5,10,20,40,80,160,248`
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = tokens)]
    pub(super) sweep_length: Vec<ContextLength>,
    /// Measure whether more true sentences score higher
    #[arg(long)]
    pub(super) monotone: bool,
}

fn per_image(text: &str) -> Result<PerImage, String> {
    match text {
        "all" => Ok(PerImage::All),
        _ => at_least_one(text)
            .map(PerImage::AtMost)
            .map_err(|_| "expected a whole number of at least 1, or `all`".to_owned()),
    }
}

fn tokens(text: &str) -> Result<ContextLength, String> {
    let number: Option<usize> = text.trim().parse().ok().filter(|n| *n > 2);
    number
        .and_then(|n| ContextLength::new(n).ok())
        .ok_or_else(|| "expected numbers of at least 3: the start and the end token are two".to_owned())
}
