//! Images as Python has them (files, bytes of files, pixels of Pillow and numpy), and their preprocessing.

use std::path::PathBuf;
use std::sync::Arc;

use longclip::input::{Content, Deferred, Item};
use longclip::preprocess::{self, Mode};
use longclip::{Error, Result};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyByteArray;

use crate::errors::{exception, unlocked};
use crate::numbers::floats;

/// Something to look at, and what messages call it.
#[pyclass(frozen, module = "longclip._native")]
pub(crate) struct Picture {
    pub(crate) name: String,
    pub(crate) content: PictureContent,
}

/// What there is of a picture.
#[derive(Clone)]
pub(crate) enum PictureContent {
    /// One file.
    File(PathBuf),
    /// What a person names on the command line: a file, a folder, an archive, a pattern, a URL. It may be many pictures.
    Named(PathBuf),
    /// A file's bytes.
    Encoded(Arc<PyBackedBytes>),
    /// Its pixels.
    Decoded(Arc<preprocess::Picture>),
}

#[pymethods]
impl Picture {
    /// One file.
    #[staticmethod]
    fn file(path: PathBuf) -> Self {
        Picture {
            name: path.display().to_string(),
            content: PictureContent::File(path),
        }
    }

    /// A file, a folder, an archive, a pattern or a URL.
    #[staticmethod]
    fn named(path: PathBuf) -> Self {
        Picture {
            name: path.display().to_string(),
            content: PictureContent::Named(path),
        }
    }

    /// A file's bytes.
    #[staticmethod]
    fn encoded(name: String, data: PyBackedBytes) -> Self {
        Picture {
            name,
            content: PictureContent::Encoded(Arc::new(data)),
        }
    }

    /// Pixels, `(height, width, channels)`, row-major, in one of Pillow's modes L, LA, RGB, RGBA and CMYK.
    #[staticmethod]
    fn decoded(name: String, mode: &str, size_px: (usize, usize), data: Vec<u8>) -> PyResult<Self> {
        let (width_px, height_px) = size_px;
        let picture = self::mode(mode).and_then(|mode| preprocess::Picture::new(mode, width_px, height_px, data));
        match picture {
            Ok(picture) => Ok(Picture {
                content: PictureContent::Decoded(Arc::new(picture)),
                name,
            }),
            Err(error) => Err(exception(&Error::Picture {
                name,
                problem: error.to_string(),
                hint: error.hint(),
            })),
        }
    }

    #[getter]
    fn name(&self) -> &str {
        &self.name
    }
}

fn mode(name: &str) -> Result<Mode> {
    match name {
        "L" => Ok(Mode::Grey),
        "LA" => Ok(Mode::GreyAlpha),
        "RGB" => Ok(Mode::Rgb),
        "RGBA" => Ok(Mode::Rgba),
        "CMYK" => Ok(Mode::Cmyk),
        _ => Err(Error::usage(
            format!("pixels of mode `{name}`"),
            "convert them to L, LA, RGB, RGBA or CMYK",
        )),
    }
}

impl PictureContent {
    /// The image as one item of a run.
    pub(crate) fn item(&self, name: &str) -> Item {
        let content = match self {
            PictureContent::File(path) | PictureContent::Named(path) => Content::File(path.clone()),
            PictureContent::Encoded(bytes) => {
                let bytes = Arc::clone(bytes);
                Content::Deferred(Deferred::new(move || Ok(bytes.to_vec())))
            }
            PictureContent::Decoded(image) => Content::Decoded(Arc::clone(image)),
        };
        Item::new(name, content)
    }
}

/// How pictures become what a model reads.
#[pyclass(frozen, module = "longclip._native")]
pub(crate) struct Preprocess {
    inner: preprocess::Preprocess,
    resolution_px: usize,
}

#[pymethods]
impl Preprocess {
    #[new]
    fn new(resolution_px: usize) -> PyResult<Self> {
        /// A tower of more would have some million tokens.
        const MOST_PX: usize = 1 << 14;
        if !(1..=MOST_PX).contains(&resolution_px) {
            return Err(exception(&Error::usage(
                format!("images of {resolution_px} px"),
                format!("a model reads 1 to {MOST_PX}; its `input_resolution` says how many"),
            )));
        }
        Ok(Preprocess {
            inner: preprocess::Preprocess::new(resolution_px),
            resolution_px,
        })
    }

    #[getter]
    fn resolution_px(&self) -> usize {
        self.resolution_px
    }

    /// Normalised pixels, `(3, R, R)`, f32.
    fn pixels<'py>(&self, py: Python<'py>, picture: PyRef<'_, Picture>) -> PyResult<Bound<'py, PyByteArray>> {
        let (name, content) = (picture.name.clone(), picture.content.clone());
        let pixels = unlocked(py, || match &content {
            PictureContent::Decoded(picture) => Ok(self.inner.pixels(picture)),
            other => self.inner.run(&name, &other.item(&name).content.take(&name)?),
        })?;
        floats(py, &pixels.values())
    }
}
