//! What `eval retrieval` can be told about its data and its measures.

use std::path::PathBuf;

use clap::ValueEnum;
use longclip::eval::retrieval::{PairOptions, Part, PerPicture};
use longclip::text::ContextLength;

use crate::cli::numbers::at_least_one;

/// Which pictures and which captions.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Data")]
pub(super) struct DataFlags {
    /// Pictures with their captions: records, COCO's captions json, Karpathy's json, ShareGPT4V's json, Flickr30k's token file or
    /// results.csv, or a folder with `image` and `caption` in it
    #[arg(long, value_name = "DATA")]
    pub(super) data: PathBuf,
    /// The folder that pictures' names start from [default: the data's own, or where this kind of data has them]
    #[arg(long, value_name = "DIR")]
    pub(super) images: Option<PathBuf>,
    /// Only pictures of this split, where the data has splits
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Only the first N pictures
    #[arg(long, value_name = "N", value_parser = at_least_one::<usize>)]
    first: Option<usize>,
    /// What is taken of each caption [default: as upstream takes it: the first line of Urban1k's files, else the whole]
    #[arg(long, value_name = "PART")]
    captions: Option<PartName>,
    /// The most captions of a picture, a number or `all` [default: as upstream takes them: 5 of COCO's, else all]
    #[arg(long, value_name = "N", value_parser = per_picture, hide_short_help = true)]
    captions_per_picture: Option<PerPicture>,
    /// The field of records that holds captions [default: long, text, caption, captions or description]
    #[arg(long, value_name = "FIELD", hide_short_help = true)]
    text_field: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PartName {
    Whole,
    FirstLine,
    FirstSentence,
}

impl DataFlags {
    /// The data's part of what was asked, of which so much may be unusable.
    pub(super) fn options(&self, most_unusable: u64) -> PairOptions {
        PairOptions {
            images: self.images.clone(),
            text_field: self.text_field.clone(),
            split: self.split.clone(),
            first: self.first,
            part: self.captions.map(|part| match part {
                PartName::Whole => Part::Whole,
                PartName::FirstLine => Part::FirstLine,
                PartName::FirstSentence => Part::FirstSentence,
            }),
            captions_per_picture: self.captions_per_picture,
            most_unusable,
        }
    }
}

/// What is measured besides R@1, R@5 and R@10.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Measures")]
pub(super) struct MeasureFlags {
    /// Measure R@1 with so many tokens kept of each caption, start and end counted: `5,10,20,40,80,160,248`
    #[arg(long, value_name = "N,N,...", value_delimiter = ',', value_parser = tokens)]
    pub(super) sweep_length: Vec<ContextLength>,
    /// Measure whether more true sentences score higher
    #[arg(long)]
    pub(super) monotone: bool,
}

fn per_picture(text: &str) -> Result<PerPicture, String> {
    match text {
        "all" => Ok(PerPicture::All),
        _ => at_least_one(text)
            .map(PerPicture::AtMost)
            .map_err(|_| "expected a whole number of at least 1, or `all`".to_owned()),
    }
}

fn tokens(text: &str) -> Result<ContextLength, String> {
    let number: Option<usize> = text.trim().parse().ok().filter(|n| *n > 2);
    number
        .and_then(|n| ContextLength::new(n).ok())
        .ok_or_else(|| "expected numbers of at least 3: the start and the end token are two".to_owned())
}
