//! What all pages of `--report` share.

use std::io::Write;
use std::path::Path;

use longclip::data::Image;
use longclip::eval::interval::Estimate;
use longclip::output::Destination;
use longclip::output::report::ReportPage;
use longclip::preprocess::Preprocess;
use longclip::{Error, Result, session};

/// Checks that a page can be written there, before hours of work.
pub(super) fn check(path: Option<&Path>) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    if path.is_dir() {
        let problem = format!("`{}` is a folder, and no page can be written as it", path.display());
        return Err(Error::usage(problem, "name a file: `--report page.html`"));
    }
    let partial = Destination::whole(path)?.leave()?;
    partial.map_or(Ok(()), |partial| {
        std::fs::remove_file(&partial).map_err(Error::write(&partial))
    })
}

/// Writes a page, which appears only when it is complete.
pub(super) fn write(path: &Path, page: ReportPage) -> Result<()> {
    let mut file = Destination::whole(path)?;
    file.write_all(page.finish().as_bytes())
        .map_err(|source| file.error(source))?;
    file.finish()
}

/// A small JPEG of an image, if it can still be read.
pub(super) fn thumbnail(image: &Image) -> Option<Vec<u8>> {
    let name = image.name();
    let bytes = image.item().content.take(name).ok()?;
    let decoded = Preprocess::new(longclip::output::THUMBNAIL_PX)
        .decode(name, &bytes)
        .ok()?;
    session::thumbnail(&decoded)
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

pub(super) fn interval(estimate: &Estimate) -> String {
    format!("{:.1} to {:.1} %", 100.0 * estimate.low, 100.0 * estimate.high)
}
