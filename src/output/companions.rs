//! Files that belong to a photo and go where it goes: sidecars, the raw file of a JPEG, an iPhone's edits and movie.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::preprocess::RAW_ENDINGS;
use crate::sidecar::SidecarName;

/// Endings in place of the photo's, besides those of raw photos: sidecars, edits, the movie of a live photo.
const REPLACED: [&str; 3] = ["xmp", "aae", "mov"];
/// Endings after the photo's: sidecars of darktable and digiKam, RawTherapee, and DxO.
const APPENDED: [&str; 3] = ["xmp", "pp3", "dop"];

/// A file that belongs to a photo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companion {
    /// Where it is.
    pub path: PathBuf,
    name: SidecarName,
    ending: OsString,
}

impl Companion {
    /// The companions of a photo that exist.
    pub fn of(photo: &Path) -> Vec<Companion> {
        let replaced = REPLACED.iter().chain(&RAW_ENDINGS);
        let replaced = replaced.map(|ending| (SidecarName::Replaced, ending));
        let appended = APPENDED.iter().map(|ending| (SidecarName::Appended, ending));
        let found = replaced.chain(appended).filter_map(|(name, ending)| {
            let cases = [ending.to_lowercase(), ending.to_uppercase()].map(OsString::from);
            let mut companions = cases.into_iter().map(|ending| Companion {
                path: name.of(photo, &ending),
                name,
                ending,
            });
            // A system that doesn't distinguish capital letters would find both.
            let found = companions.find(|companion| companion.path != photo && companion.path.is_file());
            found.map(Companion::with_real_name)
        });
        found.collect()
    }

    /// The same file with the capital letters of its own name.
    fn with_real_name(self) -> Self {
        let real = self.path.canonicalize().ok();
        let ending = real.as_deref().and_then(Path::extension);
        let Some(ending) = ending.filter(|ending| ending.eq_ignore_ascii_case(&self.ending)) else {
            return self;
        };
        let path = self.path.with_extension(ending);
        match path.is_file() {
            true => Companion {
                path,
                ending: ending.to_owned(),
                ..self
            },
            false => self,
        }
    }

    /// Its name next to a photo with this name.
    pub(super) fn next_to(&self, photo: &Path) -> PathBuf {
        self.name.of(photo, &self.ending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sidecars_and_raw_files_belong_to_a_photo_and_others_do_not() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "a.jpg",
            "a.JPG.xmp",
            "a.xmp",
            "a.jpg.xmp",
            "a.CR3",
            "a.iiq",
            "a.AAE",
            "a.png",
            "a.txt",
            "ab.xmp",
            "b.xmp",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = Companion::of(&dir.path().join("a.jpg"));
        let names: Vec<_> = found
            .iter()
            .map(|one| one.path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, ["a.xmp", "a.AAE", "a.CR3", "a.iiq", "a.jpg.xmp"]);
        let renamed = found.iter().map(|one| one.next_to(Path::new("a-2.jpg")));
        assert_eq!(
            renamed.collect::<Vec<_>>(),
            ["a-2.xmp", "a-2.AAE", "a-2.CR3", "a-2.iiq", "a-2.jpg.xmp"].map(PathBuf::from)
        );
    }
}
