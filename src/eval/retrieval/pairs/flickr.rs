//! Flickr30k's captions: the token file of the data set, `1000092795.jpg#0`, a tab, the caption; or the `results.csv` that
//! Kaggle has, `1000092795.jpg| 0| caption` below a line of names.

use std::path::Path;

use super::Found;
use crate::error::{Error, Result};
use crate::eval::Unusable;

/// How a line is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Tokens,
    Table,
}

/// The layout that a file's first line has, if any.
pub(super) fn layout(first_line: &str) -> Option<Layout> {
    if token_line(first_line).is_ok() {
        return Some(Layout::Tokens);
    }
    let mut names = first_line.split('|').map(str::trim);
    let is_table = names.next() == Some("image_name") && names.next() == Some("comment_number");
    is_table.then_some(Layout::Table)
}

pub(super) fn read(data: &Path, layout: Layout) -> Result<Found> {
    let bytes = std::fs::read(data).map_err(Error::read(data))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut found = Found::default();
    let mut is_last_read = false;
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let is_heading = layout == Layout::Table && number == 1;
        if is_heading || line.trim_ascii().is_empty() {
            continue;
        }
        let place = || format!("{} line {number}", data.display());
        let parsed = std::str::from_utf8(line)
            .map_err(|_| "it is no UTF-8")
            .and_then(|line| match layout {
                Layout::Tokens => token_line(line),
                Layout::Table => table_line(line),
            });
        is_last_read = parsed.is_ok();
        match parsed {
            Ok((picture, caption)) => found.add(picture, None, vec![caption.to_owned()], place),
            Err(problem) => found.problems.push(Unusable::new(place(), problem)),
        }
    }
    if is_last_read && !bytes.ends_with(b"\n") {
        found.tell_cut(data);
    }
    Ok(found)
}

impl Found {
    /// A file without a last line end, whose last picture alone has fewer captions than all others have, was cut short: its
    /// last caption may be half of one.
    fn tell_cut(&mut self, data: &Path) {
        let Some((last, others)) = self.entries.split_last_mut() else {
            return;
        };
        let (n_last, Some(n_each)) = (last.captions.len(), others.first().map(|other| other.captions.len())) else {
            return;
        };
        if n_last < n_each && others.iter().all(|other| other.captions.len() == n_each) {
            let problem = format!(
                "the file ends in the middle of a line, after {n_last} of the {n_each} captions of `{}`: it is cut short",
                last.picture
            );
            self.problems.push(Unusable::new(data.display().to_string(), problem));
            last.captions.pop();
            if last.captions.is_empty() {
                self.entries.pop();
            }
        }
    }
}

/// `name.jpg#0`, a tab, the caption.
fn token_line(line: &str) -> Result<(&str, &str), &'static str> {
    let (name, caption) = line
        .split_once('\t')
        .ok_or("there is no tab between picture and caption")?;
    let (picture, number) = name
        .rsplit_once('#')
        .ok_or("its picture has no `#` with the caption's number")?;
    match !picture.is_empty() && is_number(number) {
        true => Ok((picture, caption.trim())),
        false => Err("its picture is not like `name.jpg#0`"),
    }
}

/// `name.jpg| 0| caption`. One line of the published file lacks the second bar: `2199200615.jpg| 4   A dog runs ...`.
fn table_line(line: &str) -> Result<(&str, &str), &'static str> {
    const EXPECTED: &str = "it is not like `name.jpg| 0| caption`";
    let (picture, rest) = line.split_once('|').ok_or(EXPECTED)?;
    let rest = rest.trim();
    let caption = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let has_number = caption.len() < rest.len();
    let begins_anew = caption.is_empty() || caption.starts_with(['|', ' ']);
    if picture.trim().is_empty() || !has_number || !begins_anew {
        return Err(EXPECTED);
    }
    let caption = caption.trim_start();
    Ok((picture.trim(), caption.strip_prefix('|').unwrap_or(caption).trim()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
