//! The part of a data set that a retrieval evaluation uses: images, each with its captions.
//!
//! Called by `longclip eval retrieval`. All captions are kept in memory; images are only named. What can't be used is listed
//! with its place. An evaluation that skips something measures something else, so the caller decides whether to continue.

use std::path::{Path, PathBuf};

use super::ranks::Belonging;
use crate::data::{
    CaptionPart, CaptionProtocol, DataOptions, Image, PerImage, Purpose, Sample, Split, Unusable, merged, open,
};
use crate::error::{Error, Result};
use crate::eval::Embeddings;
use crate::model::{self, ImageEmbeddings};

/// Which part of a data set is used.
#[derive(Debug, Clone, Default)]
pub struct PairOptions {
    /// The folder that relative paths of images start from; the usual folders of the kind of data if `None`.
    pub images: Option<PathBuf>,
    /// The field of records that holds captions; the first known one if `None`.
    pub text_field: Option<String>,
    /// Only images of this split.
    pub split: Option<String>,
    /// Only this many images, from the front.
    pub first: Option<usize>,
    /// The part of each caption; the part that upstream uses for this kind of data if `None`.
    pub part: Option<CaptionPart>,
    /// The most captions of an image, from the front; as many as upstream uses for this kind of data if `None`.
    pub captions_per_image: Option<PerImage>,
    /// A folder for what has to be unpacked.
    pub scratch: PathBuf,
}

/// An image with its captions.
#[derive(Debug, Clone)]
pub struct CaptionedImage {
    /// The image.
    pub image: Image,
    /// At least one, none of them empty.
    pub captions: Vec<String>,
}

/// The images of a data set, at least one, each with its captions, in the order of the data.
#[derive(Debug)]
pub struct Pairs {
    /// What kind of data it is.
    pub kind: &'static str,
    /// The images.
    pub images: Vec<CaptionedImage>,
    /// What was taken of the captions.
    pub taken: CaptionProtocol,
    /// What could not be used.
    pub unusable: Vec<Unusable>,
}

impl Pairs {
    /// Reads the data set at a path.
    ///
    /// # Errors
    /// [`Error::Usage`] for what is not a data set or has no image with a caption; [`Error::Read`].
    pub fn open(path: &Path, options: &PairOptions) -> Result<Self> {
        let data_options = DataOptions {
            purpose: Purpose::Retrieval,
            images: options.images.clone(),
            caption_field: options.text_field.clone(),
            split: Split::Test,
            scratch: options.scratch.clone(),
        };
        let opened = open(path, &data_options)?;
        let kind = opened.kind;
        let taken = CaptionProtocol {
            part: options.part.unwrap_or(kind.protocol.part),
            per_image: options.captions_per_image.unwrap_or(kind.protocol.per_image),
        };
        let (mut samples, mut unusable) = (Vec::new(), opened.unusable);
        for i in 0..opened.source.len() {
            match opened.source.read(i) {
                Ok(sample) => samples.push(sample),
                Err(error) => unusable.push(Unusable::of(error, opened.source.place(i))),
            }
        }
        let mut images = Vec::new();
        for mut sample in chosen(path, merged(samples), options)? {
            let place = std::mem::take(&mut sample.place);
            match captioned(sample, taken) {
                Ok(image) => images.push(image),
                Err(problem) => unusable.push(Unusable::new(place, problem)),
            }
        }
        if images.is_empty() {
            let first = unusable.first().map(|first| format!(": {first}"));
            let problem = format!(
                "found no image with a caption in `{}`{}",
                path.display(),
                first.unwrap_or_default()
            );
            return Err(Error::usage(problem, "fix that, or name other data"));
        }
        Ok(Pairs {
            kind: kind.name,
            images,
            taken,
            unusable,
        })
    }

    /// Leaves out the images that not all models could read, whose embeddings these are.
    ///
    /// # Errors
    /// [`Error::Usage`] if none is left.
    pub fn read_by(mut self, models: &[&Embeddings]) -> Result<Self> {
        let is_read = |name: &str| models.iter().all(|embeddings| embeddings.get(name).is_some());
        let n_before = self.images.len();
        let (read, unread): (Vec<_>, Vec<_>) = self
            .images
            .into_iter()
            .partition(|captioned| is_read(captioned.image.name()));
        if read.is_empty() {
            let problem = format!("none of {n_before} images could be read");
            return Err(Error::usage(problem, "look at the errors above"));
        }
        let unread = unread.iter().map(|captioned| captioned.image.name());
        self.unusable
            .extend(unread.map(|name| Unusable::new(name, "it could not be read")));
        Ok(Pairs { images: read, ..self })
    }

    /// A model's embeddings of the images, one row per image.
    ///
    /// # Panics
    /// If one is missing: see [`Pairs::read_by`].
    pub fn image_embeddings(&self, embeddings: &Embeddings) -> ImageEmbeddings {
        let rows = self.images.iter().map(|captioned| {
            let row = embeddings.get(captioned.image.name());
            row.expect("images without a row were left out")
        });
        let values = rows.flatten().copied().collect();
        ImageEmbeddings(model::Embeddings::new(values, embeddings.embed_dim()))
    }

    /// Which captions belong to which images.
    pub fn belonging(&self) -> Belonging {
        Belonging::new(self.images.iter().map(|image| image.captions.len()))
    }

    /// All captions, image by image.
    pub fn captions(&self) -> impl Iterator<Item = &str> {
        let captions = self.images.iter().flat_map(|image| &image.captions);
        captions.map(String::as_str)
    }
}

/// The image with the captions that are taken, or why it can't be used.
fn captioned(sample: Sample, taken: CaptionProtocol) -> Result<CaptionedImage, String> {
    let Sample { image, captions, .. } = sample;
    let n_taken = match taken.per_image {
        PerImage::All => captions.len(),
        PerImage::AtMost(n) => n,
    };
    let captions = captions.iter().take(n_taken);
    let captions: Vec<String> = captions.map(|caption| taken.part.of(caption).to_owned()).collect();
    match captions.iter().position(String::is_empty) {
        _ if captions.is_empty() => Err("it has no caption".to_owned()),
        Some(_) if captions.len() == 1 => Err("its caption is empty".to_owned()),
        Some(i) => Err(format!("its caption {} is empty", i + 1)),
        None if !image.is_there() => Err(format!("cannot find the image `{}`", image.name())),
        None => Ok(CaptionedImage { image, captions }),
    }
}

/// The samples of the split that was asked for, as many as were asked for.
fn chosen(path: &Path, mut samples: Vec<Sample>, options: &PairOptions) -> Result<Vec<Sample>> {
    if let Some(split) = &options.split {
        let mut known: Vec<String> = samples.iter().filter_map(|sample| sample.split.clone()).collect();
        known.sort();
        known.dedup();
        samples.retain(|sample| sample.split.as_ref() == Some(split));
        if samples.is_empty() {
            let hint = match known.as_slice() {
                [] => "it has no splits; take all of its images, or the first ones".to_owned(),
                known => format!("its splits are `{}`", known.join("`, `")),
            };
            let problem = format!("`{}` has no image of the split `{split}`", path.display());
            return Err(Error::usage(problem, hint));
        }
    }
    samples.truncate(options.first.unwrap_or(usize::MAX));
    Ok(samples)
}

#[cfg(test)]
mod tests;
