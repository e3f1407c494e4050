//! Which kind of data a path is, told by its content.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Found, PairOptions, Part, PerPicture, coco, flickr, folders, records};
use crate::error::{Error, Result};

/// A kind of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A JSON object a line or in an array, each with a picture and one caption or more.
    Records,
    /// ShareGPT4V's json: `image` and `conversations`.
    ShareGpt4v,
    /// COCO's captions: `images` and `annotations`.
    Coco,
    /// Karpathy's json: `images` with `sentences` and a split each.
    Karpathy,
    /// Flickr30k's token file: `name.jpg#0`, a tab, the caption.
    FlickrTokens,
    /// Flickr30k's `results.csv`: `name.jpg| 0| caption`.
    FlickrTable,
    /// Urban1k's folders: `image/` and `caption/` with the same names.
    Folders,
}

const EXPECTED: &str = "pairs are records (`{\"path\": ..., \"text\": ...}` a line, or an array of them), COCO's captions json, Karpathy's \
                        json, ShareGPT4V's json, Flickr30k's token file or results.csv, or a folder with `image` and `caption` in it";

impl Kind {
    /// As a protocol says it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Records => "records",
            Kind::ShareGpt4v => "ShareGPT4V's json",
            Kind::Coco => "COCO captions",
            Kind::Karpathy => "captions in Karpathy's splits",
            Kind::FlickrTokens => "Flickr30k's token file",
            Kind::FlickrTable => "Flickr30k's results.csv",
            Kind::Folders => "folders of pictures and captions",
        }
    }

    pub(super) fn read(self, data: &Path, options: &PairOptions) -> Result<Found> {
        let reads_records = matches!(self, Kind::Records | Kind::ShareGpt4v);
        if let (Some(field), false) = (&options.text_field, reads_records) {
            return Err(Error::usage(
                format!(
                    "`--text-field {field}` with {}, where captions have their place",
                    self.name()
                ),
                "leave it out: it is for records",
            ));
        }
        match self {
            Kind::Records | Kind::ShareGpt4v => records::read(data, options.text_field.as_deref()),
            Kind::Coco => coco::read(data),
            Kind::Karpathy => coco::read_karpathy(data),
            Kind::FlickrTokens => flickr::read(data, flickr::Layout::Tokens),
            Kind::FlickrTable => flickr::read(data, flickr::Layout::Table),
            Kind::Folders => folders::read(data),
        }
    }

    /// What upstream's script takes of a caption (`eval/retrieval/Urban1k.py`: `f.readlines()[0]`).
    pub(super) fn upstreams_part(self) -> Part {
        match self {
            Kind::Folders => Part::FirstLine,
            _ => Part::Whole,
        }
    }

    /// How many captions of a picture upstream's script takes (`eval/retrieval/coco.py`: `captions[0:5]`). Some of COCO's
    /// pictures have six or seven.
    pub(super) fn upstreams_captions(self) -> PerPicture {
        match self {
            Kind::Coco => PerPicture::AtMost(5),
            _ => PerPicture::All,
        }
    }

    /// Folders where pictures of this kind usually lie, the likeliest first.
    pub(super) fn image_folders(self, data: &Path) -> Vec<PathBuf> {
        let beside = data.parent().unwrap_or(Path::new("")).to_owned();
        match self {
            Kind::Records | Kind::ShareGpt4v => vec![beside],
            Kind::Folders => vec![data.to_owned()],
            Kind::Coco => {
                // `annotations/captions_val2017.json` lies beside `val2017/`.
                let stem = data.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
                let set = stem.strip_prefix("captions_").unwrap_or(stem);
                let above = beside.join("..");
                vec![
                    beside.clone(),
                    above.join(set),
                    beside.join(set),
                    above.join("images"),
                    beside.join("images"),
                ]
            }
            Kind::Karpathy | Kind::FlickrTokens | Kind::FlickrTable => {
                let names = ["flickr30k-images", "flickr30k_images", "images"];
                let folders = names.iter().map(|name| beside.join(name));
                std::iter::once(beside.clone()).chain(folders).collect()
            }
        }
    }
}

/// Tells what kind of data a path is.
pub(super) fn tell(data: &Path) -> Result<Kind> {
    let unreadable = Error::read(data);
    if data.is_dir() {
        return match folders::parts(data) {
            Some(_) => Ok(Kind::Folders),
            None => Err(Error::usage(
                format!("the folder `{}` has no `image` and `caption` in it", data.display()),
                EXPECTED,
            )),
        };
    }
    let mut start = Vec::new();
    let file = File::open(data).map_err(unreadable)?;
    file.take(1 << 16).read_to_end(&mut start).map_err(unreadable)?;
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start).trim_ascii_start();
    match text.first() {
        None => {
            return Err(Error::usage(format!("`{}` is empty", data.display()), EXPECTED));
        }
        Some(b'[') => {
            return Ok(if has_key(text, "conversations") {
                Kind::ShareGpt4v
            } else {
                Kind::Records
            });
        }
        Some(b'{') => return tell_objects(data, text).map_err(unreadable),
        _ => {}
    }
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    match flickr::layout(&String::from_utf8_lossy(line)) {
        Some(flickr::Layout::Tokens) => Ok(Kind::FlickrTokens),
        Some(flickr::Layout::Table) => Ok(Kind::FlickrTable),
        None => Err(Error::usage(
            format!("`{}` is no pairs of pictures and captions", data.display()),
            EXPECTED,
        )),
    }
}

fn has_key(start: &[u8], key: &str) -> bool {
    let key = format!("\"{key}\"");
    start.windows(key.len()).any(|window| window == key.as_bytes())
}

/// Whether further lines begin an object of their own, as records do.
fn has_objects_below(start: &[u8]) -> bool {
    start
        .split(|byte| *byte == b'\n')
        .skip(1)
        .any(|line| line.starts_with(b"{"))
}

/// The keys that tell one object from many.
#[derive(Deserialize)]
struct Head {
    images: Option<Vec<HeadImage>>,
    annotations: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct HeadImage {
    sentences: Option<IgnoredAny>,
}

/// One object is COCO's or Karpathy's, one a line are records. What can't be parsed is told by how it looks: the reader of its
/// kind says where it is broken.
fn tell_objects(data: &Path, start: &[u8]) -> std::io::Result<Kind> {
    let mut reader = BufReader::new(File::open(data)?);
    if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    let first = serde_json::Deserializer::from_reader(reader).into_iter::<Head>().next();
    let has_conversations = has_key(start, "conversations");
    Ok(match first {
        Some(Ok(Head {
            images: Some(images), ..
        })) if images.iter().any(|image| image.sentences.is_some()) => Kind::Karpathy,
        Some(Ok(
            Head { images: Some(_), .. }
            | Head {
                annotations: Some(_), ..
            },
        )) => Kind::Coco,
        Some(Err(error)) if begins_like_coco(start) || (error.line() > 1 && !has_objects_below(start)) => {
            match has_key(start, "sentences") {
                true => Kind::Karpathy,
                false => Kind::Coco,
            }
        }
        _ if has_conversations => Kind::ShareGpt4v,
        _ => Kind::Records,
    })
}

fn begins_like_coco(start: &[u8]) -> bool {
    let inner = start[1..].trim_ascii_start();
    ["\"info\"", "\"images\"", "\"annotations\"", "\"licenses\""]
        .iter()
        .any(|key| inner.starts_with(key.as_bytes()))
}
