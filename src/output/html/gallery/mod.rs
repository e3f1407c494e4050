//! HTML: a gallery with thumbnails and scores, which can be filtered by label, sorted by score and looked at closely.
//!
//! The page has one line of JSON per image, written as results arrive, and a script that shows them: `images.js` reads the
//! lines, `filter.js` decides which are shown, `grid.js` draws those on the screen, `view.js` shows one image large.
//! Only what is on the screen has elements, so the page stays fast with many images. JSON in a page has no `<`, and the
//! script never turns text into markup.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::{Policy, base64, escaped, top};
use crate::output::{Format, FormatInfo, Found, Grouped, Holds, Labelled, Outcome, Record, Settings, Task};

pub(in crate::output) const FORMAT: FormatInfo = FormatInfo {
    name: "html",
    about: "one page with thumbnails, to filter by label and sort by score",
    holds: &[Holds::Labels, Holds::Searches, Holds::Thumbnails],
    make: |settings| Ok(Box::new(Html::new(settings))),
    wrote: |file| file.start_has("<meta name=\"generator\" content=\"longclip "),
};

/// The parts of the script, which is one strict script when they are joined.
const SCRIPT: &str = concat!(
    include_str!("images.js"),
    include_str!("filter.js"),
    include_str!("grid.js"),
    include_str!("view.js"),
    include_str!("start.js")
);

/// The page.
pub struct Html {
    model: String,
    links_from: String,
    run: RunData,
    /// The place of each of the run's labels.
    places: HashMap<String, usize>,
}

/// What the script needs to know about all images.
#[derive(Serialize)]
struct RunData {
    /// What the page calls a label.
    word: &'static str,
    /// The run's labels, which images name by their indices.
    labels: Vec<String>,
    /// Whether only the first label of an image is its answer.
    ranked: bool,
}

/// One image, as the script reads it.
#[derive(Serialize)]
struct ImageData<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<LabelData<'a>>,
    /// One per label, highest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scores: Vec<Option<f32>>,
    #[serde(skip_serializing_if = "is_false")]
    cosines: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<(&'a str, f32)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// `gone` or `changed`, if the file is not the one that was indexed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// What it is among images that show the same: `kept, 4000 x 3000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    copy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    photo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heat: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A label of an image: one of the run's, or its own.
#[derive(Serialize)]
#[serde(untagged)]
enum LabelData<'a> {
    OfRun(usize),
    Own(&'a str),
}

fn group_data(group: &Grouped) -> (&str, f32) {
    (&group.group, group.probability as f32)
}

impl Html {
    fn new(settings: &Settings) -> Self {
        Html {
            model: settings.model.clone(),
            links_from: settings.links_from.clone(),
            run: RunData {
                word: match settings.task {
                    Task::Labels(_) | Task::Embeddings(_) => "Label",
                    Task::Tags => "Tag",
                    Task::Searches => "Search",
                },
                labels: settings.labels.clone(),
                ranked: settings.task != Task::Tags,
            },
            places: settings.labels.iter().cloned().zip(0..).collect(),
        }
    }

    fn label<'a>(&self, label: &'a Labelled) -> LabelData<'a> {
        let place = self.places.get(&label.label);
        place.map_or(LabelData::Own(&label.label), |place| LabelData::OfRun(*place))
    }

    fn image(&self, record: &Record, found: Option<&Found>) -> io::Result<String> {
        let labels = record.outcome.labels();
        let name = record.subject.to_string();
        let jpeg = record.thumbnail.as_ref();
        let image = ImageData {
            link: self.link(record, &name),
            name,
            labels: labels.iter().map(|label| self.label(label)).collect(),
            scores: labels
                .iter()
                .map(|label| label.score().map(|score| score as f32))
                .collect(),
            cosines: labels.iter().any(|label| label.probability.is_none()),
            groups: record.outcome.groups().iter().map(group_data).collect(),
            error: record.outcome.failure(),
            state: found.and_then(|found| found.state),
            copy: found.and_then(|found| Some(found.copy.as_ref()?.to_string())),
            photo: jpeg.map(|jpeg| base64(&jpeg.photo)),
            heat: jpeg.and_then(|jpeg| jpeg.heat.as_deref()).map(base64),
        };
        Ok(data_block("class=\"image\"", &in_page(&serde_json::to_string(&image)?)))
    }

    /// Where a click on the image's name leads, if it is a file or has an address.
    fn link(&self, record: &Record, name: &str) -> Option<String> {
        if name.starts_with("http://") || name.starts_with("https://") {
            return Some(name.to_owned());
        }
        let file = record.file.as_deref()?;
        Some(match file.is_absolute() {
            true => file_url(file),
            false => format!("{}{}", self.links_from, percent_encoded(file.as_os_str())),
        })
    }
}

/// What a page that is written to `page`, or to a stream, puts before a path relative to `here` to link to the file. Links of
/// a page that is in `here`, above it or below it stay right when all are moved together.
pub fn links_from(page: Option<&Path>, here: &Path) -> String {
    let Some(folder) = page.map(|page| here.join(page.parent().unwrap_or(Path::new("")))) else {
        return folder_url(here);
    };
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    match (folder.strip_prefix(here), here.strip_prefix(&folder)) {
        (Ok(below), _) => "../".repeat(below.components().count()),
        (_, Ok(above)) => format!("{}/", percent_encoded(above.as_os_str())),
        _ => folder_url(here),
    }
}

/// The address of a folder on this machine, ending in `/`.
fn folder_url(folder: &Path) -> String {
    let url = file_url(folder);
    format!("{}/", url.strip_suffix('/').unwrap_or(&url))
}

/// The address of an absolute path. On Windows, a drive follows a slash: `file:///C:/photos`.
fn file_url(path: &Path) -> String {
    let path = percent_encoded(path.as_os_str());
    format!("file://{}{path}", if path.starts_with('/') { "" } else { "/" })
}

/// A path in an address.
fn percent_encoded(path: &OsStr) -> String {
    let mut encoded = String::new();
    let mut path = path.as_encoded_bytes();
    if cfg!(windows) {
        // What `canonicalize` puts before a drive.
        path = path.strip_prefix(br"\\?\").unwrap_or(path);
    }
    for (i, byte) in path.iter().enumerate() {
        match byte {
            b'\\' if cfg!(windows) => encoded.push('/'),
            // After a drive. A name can't be `javascript:`.
            b':' if cfg!(windows) && i == 1 => encoded.push(':'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                encoded.push(char::from(*byte))
            }
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// JSON as the content of a script element, which only `<` could end.
fn in_page(json: &str) -> String {
    json.replace('<', "\\u003c")
}

fn data_block(attribute: &str, json: &str) -> String {
    format!("<script type=\"application/json\" {attribute}>{json}</script>\n")
}

impl Format for Html {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        write!(
            out,
            include_str!("page.html"),
            top = top(
                "longclip: images and labels",
                include_str!("gallery.css"),
                Policy::ScriptAndFiles
            ),
            model = escaped(&self.model),
            version = env!("CARGO_PKG_VERSION"),
            word = self.run.word,
            run = data_block("id=\"run\"", &in_page(&serde_json::to_string(&self.run)?)),
        )
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        let lines = match &record.outcome {
            Outcome::Found(found) => found
                .iter()
                .map(|found| self.image(&found.as_labelled(), Some(found)))
                .collect(),
            Outcome::Labels { .. } | Outcome::Embedding(_) | Outcome::Failed(_) => self.image(record, None),
        };
        out.write_all(lines?.as_bytes())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "<script>\n{SCRIPT}</script>\n</body>\n</html>\n")
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value, json};

    use super::*;
    use crate::output::specimen::{bare_records, bare_settings, records, settings, written};
    use crate::output::{Subject, Thumbnail};

    /// The data of a page's images.
    fn images(page: &str) -> Vec<Value> {
        let blocks = page.split("<script type=\"application/json\" class=\"image\">").skip(1);
        let json = blocks.map(|block| block.split_once("</script>").unwrap().0);
        json.map(|json| serde_json::from_str(json).unwrap()).collect()
    }

    #[test]
    fn user_text_never_becomes_markup() {
        let mut records = records();
        records[0].subject = Subject::Path("\"></script><script>alert(1)</script>".into());
        records[1].outcome = Outcome::Failed("<b>'no'</b>".into());
        let settings = Settings {
            model: "<i>".into(),
            labels: vec!["</script><u>".into()],
            ..settings()
        };
        let page = written(&mut Html::new(&settings), &records);
        assert_eq!(page.matches("<script>").count(), 1, "the page's own");
        assert_eq!(page.matches("</script>").count(), 4, "run, two images, the page's own");
        assert!(!page.contains("<b>") && !page.contains("<i>") && !page.contains("<u>"));
        assert_eq!(images(&page)[1]["error"], "<b>'no'</b>");
    }

    #[test]
    fn an_image_names_labels_by_their_indices_and_its_own_in_words() {
        let mut records = records();
        let Outcome::Labels { labels, .. } = &mut records[0].outcome else {
            panic!("the first record has labels")
        };
        labels[1].label = "its own".into();
        let page = written(&mut Html::new(&settings()), &records);
        assert_eq!(
            images(&page),
            [
                json!({"name": "a.jpg", "labels": [1, "its own"], "scores": [0.75, 0.25]}),
                json!({"name": "b.jpg", "error": "no such file"}),
            ]
        );
    }

    #[test]
    fn groups_are_apart_from_labels_and_a_cosine_is_not_a_percentage() {
        let page = written(&mut Html::new(&bare_settings()), &bare_records());
        let expected = json!({
            "name": "a.jpg",
            "labels": [0, "none of these"],
            "scores": [0.25, null],
            "cosines": true,
            "groups": [["=a, b", 0.75]],
        });
        assert_eq!(images(&page), [expected, json!({"name": "b.jpg"})]);
    }

    #[test]
    fn a_heat_map_goes_with_its_photo() {
        let mut records = records();
        records[0].thumbnail = Some(Thumbnail {
            photo: vec![1, 2, 3],
            heat: Some(vec![4, 5, 6]),
        });
        let image = &images(&written(&mut Html::new(&settings()), &records))[0];
        assert_eq!((&image["photo"], &image["heat"]), (&json!("AQID"), &json!("BAUG")));
    }

    #[track_caller]
    fn check_link(name: &str, file: Option<&str>, expected: Option<&str>) {
        let mut records = records();
        records[0].subject = Subject::Path(name.into());
        records[0].file = file.map(PathBuf::from);
        let settings = Settings {
            links_from: "../".into(),
            ..settings()
        };
        let page = written(&mut Html::new(&settings), &records);
        assert_eq!(images(&page)[0].get("link").and_then(Value::as_str), expected);
    }

    #[test]
    fn a_name_links_to_its_file_or_address() {
        check_link("a.jpg", Some("a/ü #1?.jpg"), Some("../a/%C3%BC%20%231%3F.jpg"));
        if cfg!(unix) {
            check_link("a.jpg", Some("/photos/50%.jpg"), Some("file:///photos/50%25.jpg"));
        }
        check_link(
            "a.jpg",
            Some("javascript:alert(1)"),
            Some("../javascript%3Aalert%281%29"),
        );
        check_link("https://a.example/b.jpg", None, Some("https://a.example/b.jpg"));
        check_link("photos.tar/a.jpg", None, None);
        assert_eq!(folder_url(Path::new("/a b")), "file:///a%20b/");
        assert_eq!(folder_url(Path::new("/")), "file:///");
    }

    #[test]
    #[cfg(windows)]
    fn a_name_on_windows_links_to_its_file() {
        check_link("a.jpg", Some(r"a\b.jpg"), Some("../a/b.jpg"));
        check_link(
            "a.jpg",
            Some(r"C:\my photos\a.jpg"),
            Some("file:///C:/my%20photos/a.jpg"),
        );
        check_link("a.jpg", Some(r"\\?\C:\a.jpg"), Some("file:///C:/a.jpg"));
        check_link(
            "a.jpg",
            Some(r"\\host\photos\a.jpg"),
            Some("file:////host/photos/a.jpg"),
        );
        assert_eq!(folder_url(Path::new(r"C:\a b")), "file:///C:/a%20b/");
        assert_eq!(folder_url(Path::new(r"C:\")), "file:///C:/");
    }

    #[test]
    fn the_page_loads_nothing() {
        let page = written(&mut Html::new(&settings()), &records());
        for way in ["http://", "https://", "src=", "@import", "url("] {
            assert!(!page.contains(way), "{way}");
        }
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    }
}
