//! Where the sidecar of a photo is: `photo.jpg.xmp` (darktable, digiKam) or `photo.xmp` (Lightroom, Bridge).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::named::named;

/// How a new sidecar is named. One that exists is used whatever it is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SidecarName {
    /// `photo.jpg.xmp`, as darktable and digiKam name it. No two photos share it.
    #[default]
    Appended,
    /// `photo.xmp`, as Lightroom and Bridge name it.
    Replaced,
}

named!(SidecarName, "way to name a sidecar": Appended = "appended", Replaced = "replaced");

const ENDING: &str = "xmp";

impl SidecarName {
    /// The file next to a photo that is named in this way, with this ending.
    pub fn of(self, photo: &Path, ending: &OsStr) -> PathBuf {
        match self {
            SidecarName::Replaced => photo.with_extension(ending),
            SidecarName::Appended => {
                let mut path = OsString::from(photo);
                path.push(".");
                path.push(ending);
                path.into()
            }
        }
    }
}

/// The sidecar of a photo: the one that exists, or else the path for a new one. If both exist, it is the one that is named in
/// this way.
pub fn path_of(photo: &Path, name: SidecarName) -> PathBuf {
    let other = match name {
        SidecarName::Appended => SidecarName::Replaced,
        SidecarName::Replaced => SidecarName::Appended,
    };
    let upper = ENDING.to_uppercase();
    let named = |name: SidecarName| [ENDING, &upper].map(|ending| name.of(photo, ending.as_ref()));
    let [wanted, other] = [name, other].map(named);
    let [new, _] = &wanted;
    let existing = wanted.iter().chain(&other).find(|path| path.is_file());
    existing.unwrap_or(new).clone()
}

/// The text file of an image, `photo.txt`.
pub fn text_path_of(photo: &Path) -> PathBuf {
    photo.with_extension("txt")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sidecar_that_exists_is_used() {
        #[track_caller]
        fn check(existing: &[&str], name: SidecarName, expected: &str) {
            let dir = tempfile::tempdir().unwrap();
            for file in existing {
                std::fs::write(dir.path().join(file), "").unwrap();
            }
            let found = path_of(&dir.path().join("a.b.jpg"), name);
            assert_eq!(found, dir.path().join(expected));
        }
        use SidecarName::{Appended, Replaced};
        check(&[], Appended, "a.b.jpg.xmp");
        check(&[], Replaced, "a.b.xmp");
        check(&["a.b.xmp"], Appended, "a.b.xmp");
        check(&["a.b.jpg.xmp"], Replaced, "a.b.jpg.xmp");
        check(&["a.b.xmp", "a.b.jpg.xmp"], Appended, "a.b.jpg.xmp");
        check(&["a.b.xmp", "a.b.jpg.xmp"], Replaced, "a.b.xmp");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn capital_letters_are_found_too() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("A.XMP"), "").unwrap();
        assert_eq!(
            path_of(&dir.path().join("A.JPG"), SidecarName::Appended),
            dir.path().join("A.XMP")
        );
    }
}
