//! Where a search looks: in an index that `build` made, or among the images of a folder or archive, whose index is in the
//! user's cache and is brought up to date first.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use longclip::files::{Target, Turn};
use longclip::input::{InputOptions, Inputs, Source, is_named_like_an_archive};
use longclip::search::found::Names;
use longclip::search::{Finished, Index, Origin, Update};
use longclip::session::{ImageReading, Loaded, Writing};
use longclip::{Error, Result};

use super::build::{HOLDS, encode_new};
use super::model;
use crate::cli::input_flags::PictureFlags;
use crate::cli::model_flags::ModelFlags;
use crate::cli::report::{Exit, Report};
use crate::cli::run_flags::RunFlags;
use crate::cli::targets::{ForceFlag, cache_of, writing};

/// Where to search, and with which model.
#[derive(Debug, clap::Args)]
pub(super) struct PlaceFlags {
    /// A folder or an archive of images, or an index
    ///
    /// The index of a folder is kept in the cache, and only new and changed images are encoded. `search build` makes an
    /// index in a file, of any images. Example: `photos/`
    #[arg(value_name = "WHERE")]
    path: PathBuf,
    #[command(flatten)]
    pictures: PictureFlags,
    #[command(flatten)]
    model: ModelFlags,
}

/// An open place.
pub(super) struct Place {
    pub(super) index: Index,
    pub(super) loaded: Loaded,
    /// How images are read, as those of the index were.
    pub(super) reading: ImageReading,
    pub(super) names: Names,
    /// What bringing the index up to date means for the exit code.
    pub(super) exit: Exit,
}

impl PlaceFlags {
    /// As the user named it.
    pub(super) fn name(&self) -> &Path {
        &self.path
    }

    /// Whether it is an index in a file that the user named.
    fn is_index(&self) -> bool {
        !self.path.is_dir() && !is_named_like_an_archive(&self.path)
    }

    /// The images, if it is not an index.
    pub(super) fn inputs(&self) -> Result<Option<Inputs>> {
        if !self.path.exists() {
            return Err(Error::usage(
                format!("no folder, archive or index `{}`", self.path.display()),
                "name what to search in: `longclip search photos/ \"a cat\"`",
            ));
        }
        if self.is_index() {
            return Ok(None);
        }
        let inputs = Inputs {
            sources: vec![Source::Named(self.absolute()?)],
            options: InputOptions::default(),
        };
        inputs.refuse_unreadable()?;
        Ok(Some(inputs))
    }

    /// What may be written: what is read here never.
    pub(super) fn writing<'a>(&self, force: ForceFlag, inputs: Option<&'a Inputs>) -> Writing<'a> {
        let writing = writing(force, &self.model);
        match inputs {
            Some(inputs) => writing.inputs(inputs),
            None => writing.reads("the index", [&self.path]),
        }
    }

    /// Loads the model and opens the index, that of `inputs` after it was brought up to date.
    /// Ctrl-C breaks it.
    pub(super) fn open(&self, inputs: Option<&Inputs>, report: Report) -> Result<ControlFlow<Exit, Place>> {
        match inputs {
            Some(inputs) => self.indexed(inputs, report),
            None => self.opened(report).map(ControlFlow::Continue),
        }
    }

    fn absolute(&self) -> Result<PathBuf> {
        self.path.canonicalize().map_err(Error::read(&self.path))
    }

    /// An index that the user named.
    fn opened(&self, report: Report) -> Result<Place> {
        let index = Index::open(&self.path)?;
        if index.is_empty() {
            let problem = format!("the index `{}` holds no images", self.path.display());
            return Err(Error::usage(
                problem,
                "add some: `longclip search build photos/ -o INDEX`",
            ));
        }
        let reading = self.pictures.reading().or_as_noted(&index.origin().orientation);
        let (loaded, _) = model::load(&self.model, &reading, Some((&self.path, index.origin())), report)?;
        let here = std::env::current_dir().unwrap_or_default();
        Ok(Place {
            index,
            loaded,
            reading,
            names: Names::In(here),
            exit: Exit::Done,
        })
    }

    /// The index of `inputs` in the cache.
    fn indexed(&self, inputs: &Inputs, report: Report) -> Result<ControlFlow<Exit, Place>> {
        let one = self.pictures.one_view(HOLDS)?;
        let (loaded, origin) = model::load(&self.model, &self.pictures.reading(), None, report)?;
        let absolute = self.absolute()?;
        let origin = Origin {
            folder: absolute.clone(),
            ..origin
        };
        let path = cached(&origin)?;
        let turn = Turn::of(&path, || {
            report.note(format!("waiting for another run that reads `{}`", self.path.display()));
        })?;
        // A damaged index is made again.
        let before = Index::open_if_there(&path).ok().flatten();
        let update = Update::begin(Target::at(&path)?, before, origin)?;
        let run = RunFlags::default().plan(&loaded, &self.pictures, report);
        let (exit, finished) = encode_new(update, inputs, &run, one)?;
        match finished {
            None => return Ok(ControlFlow::Break(exit)),
            Some(Finished::Nothing(_)) => return Err(self.no_images()),
            Some(Finished::UpToDate(_)) => {}
            Some(finished) => report.note(format!("{}: {}", self.path.display(), finished)),
        }
        let index = Index::open(&path)?;
        drop(turn);
        report.detail(format!("the index is `{}`", path.display()));
        Ok(ControlFlow::Continue(Place {
            index,
            loaded,
            reading: self.pictures.reading(),
            names: Names::Of(absolute, self.path.clone()),
            exit,
        }))
    }

    fn no_images(&self) -> Error {
        Error::usage(
            format!("there is no image in `{}` that can be read", self.path.display()),
            "name a folder or an archive of images, or an index that `longclip search build` made",
        )
    }
}

/// The path of an index in the user's cache, whose folder is made.
fn cached(origin: &Origin) -> Result<PathBuf> {
    let folder = cache_of("search").ok_or_else(|| {
        Error::usage(
            "there is no place for the index of a folder: neither `XDG_CACHE_HOME` nor `HOME` is set",
            "make an index in a file: `longclip search build photos/ -o photos.parquet`",
        )
    })?;
    fs::create_dir_all(&folder).map_err(Error::write(&folder))?;
    Ok(folder.join(origin.cache_name()))
}
