//! HTML: one page with thumbnails and bars, which can be filtered by label and sorted by score.
//!
//! The page has one figure per image, written as results arrive; `page.js` filters and sorts them. Style, script and
//! thumbnails are in the file, so the page works from disk and loads nothing. All text is escaped, and the script never
//! turns text into markup.

pub mod report;
mod thumbnail;

use std::fmt::Write as _;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use self::thumbnail::{THUMBNAIL_PX, thumbnail, thumbnail_jpeg};
use super::record::percent;
use super::{Format, FormatInfo, Grouped, Holds, Outcome, Record, Settings, Task};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "html",
    about: "one page with thumbnails, to filter by label and sort by score",
    holds: &[Holds::Labels, Holds::Searches, Holds::Thumbnails],
    make: |settings| Ok(Box::new(Html::new(settings))),
    wrote: |file| file.start_has("<meta name=\"generator\" content=\"longclip "),
};

/// Labels that are shown per image; the page says how many more there are.
const SHOWN_LABELS: usize = 5;

/// The page.
pub struct Html {
    model: String,
    labels: Vec<String>,
    /// What the page calls a label.
    word: &'static str,
}

impl Html {
    fn new(settings: &Settings) -> Self {
        Html {
            model: settings.model.clone(),
            labels: settings.labels.clone(),
            word: match settings.task {
                Task::Labels(_) | Task::Embeddings(_) => "Label",
                Task::Searches => "Search",
            },
        }
    }
}

impl Format for Html {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let options: String = self.labels.iter().map(|label| option(label)).collect();
        write!(
            out,
            include_str!("head.html"),
            top = top("longclip: images and labels", include_str!("page.css"), Scripts::Own),
            model = escaped(&self.model),
            version = env!("CARGO_PKG_VERSION"),
            word = self.word,
            options = options,
        )
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        let figure = match &record.outcome {
            Outcome::Found(found) => found.iter().map(|found| figure(&found.as_labelled())).collect(),
            Outcome::Labels { .. } | Outcome::Embedding(_) | Outcome::Failed(_) => figure(record),
        };
        out.write_all(figure.map_err(io::Error::other)?.as_bytes())
    }

    fn end(&mut self, out: &mut dyn Write) -> io::Result<()> {
        write!(
            out,
            "</main>\n<script>\n{}</script>\n</body>\n</html>\n",
            include_str!("page.js")
        )
    }
}

fn option(label: &str) -> String {
    let label = escaped(label);
    format!("<option value=\"{label}\">{label}</option>\n")
}

fn figure(record: &Record) -> Result<String, std::fmt::Error> {
    let path = escaped(&record.subject.to_string());
    let mut html = format!("<figure data-path=\"{path}\">\n");
    match &record.thumbnail {
        Some(thumbnail) => {
            writeln!(html, "{}", image("photo", &thumbnail.photo))?;
            if let Some(heat) = &thumbnail.heat {
                writeln!(html, "{}", image("heat", heat))?;
            }
        }
        None => html.push_str("<div class=\"none\">no image</div>\n"),
    }
    writeln!(html, "<figcaption title=\"{path}\">{path}</figcaption>")?;
    if let Some(reason) = record.outcome.failure() {
        writeln!(html, "<p class=\"failed\">{}</p>", escaped(reason))?;
    }
    let labels = record.outcome.labels();
    html.push_str("<ol class=\"labels\">\n");
    for (rank, labelled) in labels.iter().enumerate() {
        let hidden = if rank < SHOWN_LABELS { "" } else { " hidden" };
        html.push_str(&bar(&labelled.label, labelled.score(), &labelled.score_text(), hidden));
    }
    html.push_str("</ol>\n");
    if labels.len() > SHOWN_LABELS {
        writeln!(html, "<p class=\"more\">and {} more</p>", labels.len() - SHOWN_LABELS)?;
    }
    html.push_str(&group_list(record.outcome.groups()));
    html.push_str("</figure>\n");
    Ok(html)
}

fn image(class: &str, jpeg: &[u8]) -> String {
    let data = STANDARD.encode(jpeg);
    format!("<img class=\"{class}\" alt=\"\" loading=\"lazy\" src=\"data:image/jpeg;base64,{data}\">")
}

fn group_list(groups: &[Grouped]) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let bars = groups.iter().take(SHOWN_LABELS).map(|group| {
        let probability = group.probability;
        bar(&group.group, Some(probability), &percent(probability), "")
    });
    format!("<ol class=\"groups\">\n{}</ol>\n", bars.collect::<String>())
}

/// Whether a page may run the script that it contains. No page may load another.
enum Scripts {
    None,
    Own,
}

/// The beginning of every page, up to its body. `title` is plain text.
fn top(title: &str, style: &str, scripts: Scripts) -> String {
    format!(
        include_str!("top.html"),
        version = env!("CARGO_PKG_VERSION"),
        scripts = match scripts {
            Scripts::None => "",
            Scripts::Own => "; script-src 'unsafe-inline'",
        },
        title = escaped(title),
        style = style,
    )
}

fn bar(name: &str, score: Option<f64>, shown: &str, hidden: &str) -> String {
    let name = escaped(name);
    let score = score.unwrap_or(0.0);
    let width_percent = score.clamp(0.0, 1.0) * 100.0;
    format!(
        "<li data-label=\"{name}\" data-score=\"{}\"{hidden} title=\"{name}\"><span class=\"bar\" \
         style=\"width:{width_percent:.1}%\"></span><span class=\"label\">{name}</span><span class=\"score\">{shown}</span></li>\n",
        score as f32
    )
}

/// Escapes text for an element or an attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::specimen::{bare_records, bare_settings, records, settings, written};
    use super::super::{Outcome, Subject, Thumbnail};
    use super::*;

    #[test]
    fn user_text_never_becomes_markup() {
        let mut records = records();
        records[0].subject = Subject::Path("\"><script>alert(1)</script>".into());
        records[1].outcome = Outcome::Failed("<b>'no'</b>".into());
        let page = written(&mut Html::new(&settings()), &records);
        assert_eq!(page.matches("<script>").count(), 1, "the page's own");
        assert!(!page.contains("<b>") && page.contains("&lt;b&gt;&#39;no&#39;"));
    }

    #[test]
    fn groups_have_their_own_list_and_a_cosine_is_not_a_percentage() {
        let page = written(&mut Html::new(&bare_settings()), &bare_records());
        let lists: Vec<&str> = page.split("<ol class=").collect();
        assert!(lists[1].starts_with("\"labels\"") && lists[1].contains(">0.2500</span>"));
        assert!(lists[2].starts_with("\"groups\"") && lists[2].contains(">75.0%</span>"));
    }

    #[test]
    fn a_heat_map_covers_its_photo() {
        let mut records = records();
        records[0].thumbnail = Some(Thumbnail {
            photo: vec![1, 2, 3],
            heat: Some(vec![4, 5, 6]),
        });
        let page = written(&mut Html::new(&settings()), &records);
        let (photo, heat) = (page.find("base64,AQID").unwrap(), page.find("base64,BAUG").unwrap());
        assert!(page[photo..heat].contains("class=\"heat\""));
    }

    #[test]
    fn the_page_loads_nothing() {
        let page = written(&mut Html::new(&settings()), &records());
        for way in ["http://", "https://", "src=\"/", "@import", "url("] {
            assert!(!page.contains(way), "{way}");
        }
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    }
}
