//! Tags where photo programs read them: in XMP sidecars and in photos themselves, and in one `.txt` per image for training
//! tools.
//!
//! [`path_of`] finds the sidecar of a photo, [`tagged`] and [`untagged`] edit its text, and [`write()`] gives a file
//! its new text in one step. A sidecar is never written anew from a parsed form: `xmp` finds the byte positions of the
//! lists, `edit` inserts text there, so everything else stays as another program wrote it.

mod edit;
mod photo;
mod place;
mod text;
mod xmp;

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::Path;

pub use self::edit::{Untagged, keywords, new_text, tagged, untagged};
pub use self::photo::Photo;
pub use self::place::{SidecarName, path_of, text_path_of};
pub use self::text::{comma_separated, is_of_tags};
use crate::error::{Error, Result};
use crate::files::replace;

/// A tag with the names above it, from the top, as `["animal", "bird", "eagle"]`; the last one is its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPath(pub Vec<String>);

impl TagPath {
    /// The tag's own name.
    pub fn name(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// Whether another tag is below this one, so that its path names this one too.
    fn is_above(&self, other: &TagPath) -> bool {
        self.0.len() < other.0.len() && other.0.starts_with(&self.0)
    }
}

/// Sidecars are some kilobytes, with the history of an edited photo up to megabytes.
const BYTES_MAX: u64 = 64 << 20;

/// The text of a file; `None` if there is none.
///
/// # Errors
/// [`Error::Read`]; [`Error::Usage`] if it is not a regular file, not UTF-8, or too large.
pub fn read(path: &Path) -> Result<Option<String>> {
    let failed = Error::read(path);
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        // Opening a pipe would wait for a writer, and a device may never end.
        Ok(_) => return Err(unusable(path, "it is not a regular file")),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let file = fs::File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(unusable(path, "it is larger than 64 MB"));
    }
    let text = String::from_utf8(bytes);
    text.map(Some).map_err(|_| unusable(path, "it is not UTF-8"))
}

/// Gives a file this text in one step, so that a killed run leaves it as it was or as it is to be.
///
/// # Errors
/// [`Error::Write`].
pub fn write(path: &Path, text: &str) -> Result<()> {
    replace(path, |new| fs::write(new, text).map_err(Error::write(path)))
}

/// A file that can't be edited, and why.
pub fn unusable(path: &Path, problem: &str) -> Error {
    Error::usage(
        format!("`{}` is left as it is: {problem}", path.display()),
        "repair it in the program that wrote it, or move it away",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        assert_eq!(read(&path("none.xmp")).unwrap(), None);
        fs::write(path("a.xmp"), "text").unwrap();
        assert_eq!(read(&path("a.xmp")).unwrap().as_deref(), Some("text"));
        fs::create_dir(path("folder.xmp")).unwrap();
        let mut special = vec![path("folder.xmp")];
        if cfg!(unix) {
            special.push("/dev/zero".into());
            let pipe = path("pipe.xmp");
            // A machine without the program has no pipe, and the other files to test.
            let made = std::process::Command::new("mkfifo").arg(&pipe).status();
            special.extend(made.is_ok_and(|status| status.success()).then_some(pipe));
        }
        for path in special {
            let refused = read(&path).unwrap_err().to_string();
            assert!(
                refused.ends_with("is left as it is: it is not a regular file"),
                "{refused}"
            );
        }
    }
}
