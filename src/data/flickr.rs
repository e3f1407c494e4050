//! Flickr30k's captions: the token file of the data set, `1000092795.jpg#0`, a tab, the caption; or the `results.csv` that
//! Kaggle has, `1000092795.jpg| 0| caption` below a line of names.

use std::path::Path;

use super::coco::usual_folders;
use super::image::Image;
use super::kind::{Candidate, CaptionProtocol, DataOptions, Kind, Opened, file_name};
use super::sample::{Listed, Sample, merged};
use super::unusable::Unusable;
use crate::error::{Error, Result};
use crate::plain_text::utf8;

pub(super) const TOKENS: Kind = Kind {
    name: "Flickr30k's token file",
    what: "Flickr30k's token file or `results.csv`",
    looks_like: |candidate| {
        token_line(&first_line(candidate))
            .is_ok()
            .then(|| file_name(candidate.path))
    },
    open: |paths, options| open(&TOKENS, &paths[0], options),
    is_joined: false,
    has_fields: false,
    protocol: CaptionProtocol::WHOLE,
};

pub(super) const TABLE: Kind = Kind {
    name: "Flickr30k's results.csv",
    looks_like: |candidate| {
        let line = first_line(candidate);
        let mut names = line.split('|').map(str::trim);
        let is_it = names.next() == Some("image_name") && names.next() == Some("comment_number");
        is_it.then(|| file_name(candidate.path))
    },
    open: |paths, options| open(&TABLE, &paths[0], options),
    ..TOKENS
};

fn first_line(candidate: &Candidate<'_>) -> String {
    let mut lines = candidate.text().split(|byte| *byte == b'\n');
    String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned()
}

fn open(kind: &'static Kind, path: &Path, options: &DataOptions) -> Result<Opened> {
    let bytes = std::fs::read(path).map_err(Error::read(path))?;
    let bytes = utf8(&bytes);
    let is_table = kind.name == TABLE.name;
    let (mut samples, mut unusable) = (Vec::new(), Vec::new());
    let mut is_last_read = false;
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if (is_table && number == 1) || line.trim_ascii().is_empty() {
            continue;
        }
        let place = format!("{} line {number}", path.display());
        let parsed = match std::str::from_utf8(line) {
            Ok(line) if is_table => table_line(line),
            Ok(line) => token_line(line),
            Err(_) => Err("it is not UTF-8"),
        };
        is_last_read = parsed.is_ok();
        match parsed {
            Ok((image, caption)) => samples.push(Sample {
                captions: vec![caption.to_owned()],
                ..Sample::new(Image::file(image.into()), place)
            }),
            Err(problem) => unusable.push(Unusable::new(place, problem)),
        }
    }
    let mut samples = merged(samples);
    if is_last_read && !bytes.ends_with(b"\n") {
        unusable.extend(drop_if_cut(&mut samples, path));
    }
    let source = Listed::below(samples, options.images.as_deref(), &usual_folders(path));
    Ok(Opened::new(kind, source, unusable))
}

/// A file was cut short if it has no last line end, and its last image alone has fewer captions than all others have. Its last caption
/// may be half of one, so it is dropped.
fn drop_if_cut(samples: &mut Vec<Sample>, path: &Path) -> Option<Unusable> {
    let (last, others) = samples.split_last_mut()?;
    let (n_last, n_each) = (last.captions.len(), others.first()?.captions.len());
    if n_last >= n_each || others.iter().any(|other| other.captions.len() != n_each) {
        return None;
    }
    let problem = format!(
        "the file ends in the middle of a line, after {n_last} of the {n_each} captions of `{}`: it is cut short",
        last.image.name()
    );
    last.captions.pop();
    if last.captions.is_empty() {
        samples.pop();
    }
    Some(Unusable::new(path.display().to_string(), problem))
}

/// `name.jpg#0`, a tab, the caption.
fn token_line(line: &str) -> Result<(&str, &str), &'static str> {
    let (name, caption) = line.split_once('\t').ok_or("it has no tab between image and caption")?;
    let (image, number) = name
        .rsplit_once('#')
        .ok_or("its image has no `#` with the caption's number")?;
    match !image.is_empty() && is_number(number) {
        true => Ok((image, caption.trim())),
        false => Err("its image is not like `name.jpg#0`"),
    }
}

/// `name.jpg| 0| caption`. One line of the published file lacks the second bar: `2199200615.jpg| 4   A dog runs ...`.
fn table_line(line: &str) -> Result<(&str, &str), &'static str> {
    const EXPECTED: &str = "it is not like `name.jpg| 0| caption`";
    let (image, rest) = line.split_once('|').ok_or(EXPECTED)?;
    let rest = rest.trim();
    let caption = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let has_number = caption.len() < rest.len();
    let begins_anew = caption.is_empty() || caption.starts_with(['|', ' ']);
    if image.trim().is_empty() || !has_number || !begins_anew {
        return Err(EXPECTED);
    }
    let caption = caption.trim_start();
    Ok((image.trim(), caption.strip_prefix('|').unwrap_or(caption).trim()))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::kind::Purpose;
    use crate::data::testing::{captions, check_said, file, fixture, read};

    /// Images and their numbers of captions, and what is said.
    fn counted(path: &Path) -> (Vec<(String, usize)>, Vec<String>) {
        let (samples, problems) = read(path, Purpose::Retrieval);
        let found = captions(&samples);
        (
            found.into_iter().map(|(name, all)| (name, all.len())).collect(),
            problems,
        )
    }

    #[test]
    fn tokens_and_table_say_the_same_and_the_tables_broken_line_is_read() {
        let (tokens, _) = read(&fixture("pairs/flickr30k/results_20130124.token"), Purpose::Retrieval);
        let (table, problems) = read(&fixture("pairs/flickr30k/results.csv"), Purpose::Retrieval);
        check_said(&problems, &[]);
        assert_eq!(captions(&tokens), captions(&table));
        assert_eq!(tokens[2].captions[4], "An astronaut of the shuttle .");
        assert!(tokens.len() == 3 && tokens.iter().all(|sample| sample.image.is_there()));
    }

    #[test]
    fn damaged_lines_are_named() {
        let (_dir, path) = file(
            "x.token",
            b"a.jpg#0\tone\na.jpg#1 two\na.jpg\tthree\nb.jpg#0\tfour\n\xff#0\tfive\n",
        );
        let expected = [
            "line 2`: it has no tab",
            "line 3`: its image has no `#`",
            "line 5`: it is not UTF-8",
        ];
        check_said(&counted(&path).1, &expected);
        let (_dir, path) = file(
            "x.csv",
            "image_name| comment_number| comment\na.jpg| 0| one\na.jpg two\n",
        );
        check_said(&counted(&path).1, &["line 3`: it is not like `name.jpg| 0| caption`"]);
    }

    #[test]
    fn a_file_that_was_cut_is_distinguished_from_one_without_a_last_line_end() {
        let begun = "a.jpg#0\tA cat.\na.jpg#1\tThe cat.\nb.jpg#0\tA dog.\n";
        let check = |end: &str, counts: &[usize], expected: &[&str]| {
            let (_dir, path) = file("some.token", format!("{begun}{end}"));
            let (found, problems) = counted(&path);
            assert_eq!(found.iter().map(|(_, n)| *n).collect::<Vec<_>>(), counts);
            check_said(&problems, expected);
        };
        check("b.jpg#1\tThe dog.", &[2, 2], &[]);
        let cut = "in the middle of a line, after 1 of the 2 captions of `c.jpg`";
        check("b.jpg#1\tThe dog.\nc.jpg#0\tA bi", &[2, 2], &[cut]);
        check("b.jpg#1", &[2, 1], &["line 4`: it has no tab"]);
        // Images that have as many captions as people wrote, and a last line without an end.
        check("c.jpg#0\tA bird.", &[2, 1, 1], &[]);
    }
}
