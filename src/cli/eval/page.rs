//! What the pages of `--report` have in common.

use std::io::Write;
use std::path::Path;

use longclip::Result;
use longclip::eval::Picture;
use longclip::eval::interval::Estimate;
use longclip::output::Destination;
use longclip::output::report::ReportPage;
use longclip::preprocess::Preprocess;

use crate::cli::pictures::small;

/// Writes a page, whole or not at all.
pub(super) fn write(path: &Path, page: ReportPage) -> Result<()> {
    let mut file = Destination::whole(path)?;
    file.write_all(page.finish().as_bytes())
        .map_err(|source| file.error(source))?;
    file.finish()
}

/// A small jpeg of a picture, if it can still be read.
pub(super) fn thumbnail(picture: &Picture) -> Option<Vec<u8>> {
    let name = picture.name();
    let bytes = picture.item().content.take(name).ok()?;
    let decoded = Preprocess::new(longclip::output::THUMBNAIL_PX)
        .decode(name, &bytes)
        .ok()?;
    small(&decoded)
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

pub(super) fn interval(estimate: &Estimate) -> String {
    format!("{:.1} to {:.1} %", 100.0 * estimate.low, 100.0 * estimate.high)
}
