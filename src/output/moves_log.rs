//! The log of `sort`: a line of JSON for each file that was moved, copied or linked, from which all of it can be undone.

use std::io::{self, Write};
use std::path::{Path, PathBuf, absolute};

use serde_json::{Value, json};

use super::transfer::{Manner, Placed, Transfer};
use crate::error::{Error, Result};
use crate::files::Excerpt;
use crate::json_fields::{name_in, of_name};
use crate::named::Named;

const NEW: &str = "new";
const WAS_THERE: &str = "was there";

/// Writes the line of a transfer, with absolute paths.
///
/// # Errors
/// Those of `out`, and of a folder that is gone.
pub fn write_line(out: &mut dyn Write, transfer: &Transfer, manner: Manner) -> io::Result<()> {
    let path = |path: &Path| Ok::<Value, io::Error>(of_name(absolute(path)?.as_os_str()));
    let placed = match transfer.placed {
        Placed::New => NEW,
        Placed::WasThere => WAS_THERE,
    };
    let line =
        json!({"sorted": manner.name(), "from": path(&transfer.from)?, "to": path(&transfer.to)?, "placed": placed});
    writeln!(out, "{line}")
}

/// Whether a file is such a log.
pub fn is_log(file: &Excerpt) -> bool {
    let (line, is_whole) = file.first_line();
    is_whole && parsed(line).is_some()
}

/// The transfers of a log, in their order. A last line that a kill cut off is skipped.
///
/// # Errors
/// [`Error::Read`]; [`Error::Usage`] for a line that is not of such a log.
pub fn read(path: &Path) -> Result<Vec<(Transfer, Manner)>> {
    let text = std::fs::read(path).map_err(Error::read(path))?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = text[..whole]
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let transfers = (1..).zip(lines).map(|(number, line)| {
        parsed(line).ok_or_else(|| {
            let problem = format!("`{}` line {number} is not of a log of `sort`", path.display());
            Error::usage(problem, "name the log that a sort wrote")
        })
    });
    transfers.collect()
}

fn parsed(line: &[u8]) -> Option<(Transfer, Manner)> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let path = |key: &str| -> Option<PathBuf> { name_in(line.get(key)?).map(PathBuf::from) };
    let placed = match line.get("placed")?.as_str()? {
        NEW => Placed::New,
        WAS_THERE => Placed::WasThere,
        _ => return None,
    };
    let transfer = Transfer {
        from: path("from")?,
        to: path("to")?,
        placed,
    };
    Some((transfer, Manner::from_name(line.get("sorted")?.as_str()?).ok()?))
}
