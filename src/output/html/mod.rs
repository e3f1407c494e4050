//! HTML: one page with small pictures, bars, a filter by label and a sort by score. It asks for nothing from anywhere:
//! style, script and pictures are in the file, so that it works from disk.
//!
//! A figure a picture, written as it comes; `page.js` filters and sorts what the page holds. Text is escaped on the way
//! out, and the script puts none of it into markup.

pub mod report;
mod thumbnail;

use std::fmt::Write as _;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use self::thumbnail::{THUMBNAIL_PX, thumbnail};
use super::{Format, FormatInfo, Grouped, Holds, Labelled, Record, Settings};

pub(super) const FORMAT: FormatInfo = FormatInfo {
    name: "html",
    about: "one page with small pictures, to filter by label and sort by score",
    holds: &[Holds::Labels, Holds::Thumbnails],
    make: |settings| Ok(Box::new(Html::new(settings))),
    wrote: |file| file.start_has("<meta name=\"generator\" content=\"longclip "),
};

/// Labels of a picture that are drawn; the page says how many more there are.
const DRAWN: usize = 5;

/// The page.
pub struct Html {
    model: String,
    labels: Vec<String>,
    /// What labels are called.
    word: &'static str,
}

impl Html {
    fn new(settings: &Settings) -> Self {
        Html {
            model: settings.model.clone(),
            labels: settings.labels.clone(),
            word: "Label",
        }
    }

    /// A page of pictures that were searched for: their labels are the searches that found them.
    pub fn of_searches(model: &str, searches: Vec<String>) -> Self {
        Html {
            model: model.to_owned(),
            labels: searches,
            word: "Search",
        }
    }
}

impl Format for Html {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let options: String = self.labels.iter().map(|label| option(label)).collect();
        write!(
            out,
            include_str!("head.html"),
            top = top("longclip: pictures and labels", include_str!("page.css"), Scripts::Own),
            model = escaped(&self.model),
            version = env!("CARGO_PKG_VERSION"),
            word = self.word,
            options = options,
        )
    }

    fn record(&mut self, record: &Record, out: &mut dyn Write) -> io::Result<()> {
        let figure = figure(record).map_err(io::Error::other)?;
        out.write_all(figure.as_bytes())
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
        None => html.push_str("<div class=\"none\">no picture</div>\n"),
    }
    writeln!(html, "<figcaption title=\"{path}\">{path}</figcaption>")?;
    if let Some(reason) = record.outcome.failure() {
        writeln!(html, "<p class=\"failed\">{}</p>", escaped(reason))?;
    }
    let labels = record.outcome.labels();
    html.push_str("<ol class=\"labels\">\n");
    for (rank, labelled) in labels.iter().enumerate() {
        html.push_str(&label_bar(labelled, if rank < DRAWN { "" } else { " hidden" }));
    }
    html.push_str("</ol>\n");
    if labels.len() > DRAWN {
        writeln!(html, "<p class=\"more\">and {} more</p>", labels.len() - DRAWN)?;
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
    let bars = groups.iter().take(DRAWN).map(|group| {
        let probability = group.probability;
        bar(&group.group, Some(probability), &percent(probability), "")
    });
    format!("<ol class=\"groups\">\n{}</ol>\n", bars.collect::<String>())
}

fn label_bar(labelled: &Labelled, hidden: &str) -> String {
    let shown = match (labelled.probability, labelled.cosine) {
        (Some(probability), _) => percent(probability),
        (None, Some(cosine)) => format!("{cosine:.4}"),
        (None, None) => String::new(),
    };
    bar(&labelled.label, labelled.score(), &shown, hidden)
}

/// Whether a page may run the script that stands in it. None runs another.
enum Scripts {
    None,
    Own,
}

/// What every page begins with, to where its body does; `title` is text.
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

fn percent(probability: f64) -> String {
    format!("{:.1} %", probability * 100.0)
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

/// Text as text, in an element and in an attribute.
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
    use super::super::Thumbnail;
    use super::super::specimen::{bare_records, bare_settings, records, settings, written};
    use super::*;

    #[test]
    fn what_a_person_wrote_never_becomes_markup() {
        let mut records = records();
        records[0].subject = super::super::Subject::Path("\"><script>alert(1)</script>".into());
        records[1].outcome = super::super::Outcome::Failed("<b>'no'</b>".into());
        let page = written(&mut Html::new(&settings()), &records);
        assert_eq!(page.matches("<script>").count(), 1, "the page's own");
        assert!(!page.contains("<b>") && page.contains("&lt;b&gt;&#39;no&#39;"));
    }

    #[test]
    fn groups_are_a_list_of_their_own_and_a_cosine_is_no_percentage() {
        let page = written(&mut Html::new(&bare_settings()), &bare_records());
        let lists: Vec<&str> = page.split("<ol class=").collect();
        assert!(lists[1].starts_with("\"labels\"") && lists[1].contains(">0.2500</span>"));
        assert!(lists[2].starts_with("\"groups\"") && lists[2].contains(">75.0 %</span>"));
    }

    #[test]
    fn a_heat_map_lies_over_its_photo() {
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
    fn the_page_asks_for_nothing_from_elsewhere() {
        let page = written(&mut Html::new(&settings()), &records());
        for way in ["http://", "https://", "src=\"/", "@import", "url("] {
            assert!(!page.contains(way), "{way}");
        }
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    }
}
