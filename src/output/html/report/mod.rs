//! A report: one page with facts, tables, curves, a confusion matrix and thumbnails. It loads nothing, and has no script
//! unless it is drawn again during a run.
//!
//! Sections are added from top to bottom, and [`ReportPage::finish`] returns the page. All text is escaped. Evaluations
//! and trainings write such pages.

mod chart;
mod matrix;

use super::{Policy, base64, escaped, top};

pub use self::chart::{Chart, Curve, Stroke};
pub use self::matrix::Matrix;

/// A page to which sections are added.
pub struct ReportPage {
    title: String,
    body: String,
    /// What the next table or matrix is about, for screen readers.
    section: String,
    reloading: Reloading,
}

/// Whether a page that is open loads itself again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reloading {
    /// No: it is complete.
    #[default]
    Never,
    /// Every few seconds, unless the reader unticks a box: a run draws it again.
    During,
}

/// The beginning of an element that scrolls sideways on a narrow screen, also by keyboard.
fn wide(about: &str) -> String {
    format!(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">",
        escaped(about)
    )
}

/// The alignment of a column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// Left-aligned.
    Words,
    /// Right-aligned, digits below digits.
    Numbers,
}

/// An image with its name and comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionedImage {
    /// A thumbnail, if the image could be read.
    pub jpeg: Option<Vec<u8>>,
    /// The image's name.
    pub name: String,
    /// Lines of text below the name.
    pub lines: Vec<String>,
}

impl ReportPage {
    /// A page with a title, and the facts of the run below it: names such as `data` and `model` with their values.
    pub fn new(title: &str, facts: &[(&str, String)]) -> Self {
        let mut page = ReportPage {
            title: title.to_owned(),
            body: String::new(),
            section: title.to_owned(),
            reloading: Reloading::Never,
        };
        page.body += &format!("<h1>{}</h1>\n<dl class=\"facts\">\n", escaped(title));
        let version = ("version", format!("longclip {}", env!("CARGO_PKG_VERSION")));
        for (name, value) in facts.iter().chain([&version]).filter(|(_, value)| !value.is_empty()) {
            page.body += &format!("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(value));
        }
        page.body += "</dl>\n";
        page
    }

    /// Sets whether the page loads itself again.
    pub fn reload(&mut self, reloading: Reloading) {
        self.reloading = reloading;
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: &str) {
        text.clone_into(&mut self.section);
        self.body += &format!("<h2>{}</h2>\n", escaped(text));
    }

    /// Adds a paragraph.
    pub fn text(&mut self, text: &str) {
        self.body += &format!("<p>{}</p>\n", escaped(text));
    }

    /// Adds a table with a header row.
    pub fn table(&mut self, columns: &[(&str, Column)], rows: &[Vec<String>]) {
        let cell = |tag: &str, text: &str, column: Column| {
            let class = if column == Column::Numbers {
                " class=\"number\""
            } else {
                ""
            };
            format!("<{tag}{class}>{}</{tag}>", escaped(text))
        };
        let header = |(name, column): &(&str, Column)| {
            // A header without a name would be an empty one to a screen reader.
            let tag = if name.is_empty() { "td" } else { "th" };
            cell(tag, name, *column)
        };
        let head: String = columns.iter().map(header).collect();
        self.body += &format!(
            "{}<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n",
            wide(&self.section)
        );
        for row in rows {
            let cells: String = row
                .iter()
                .zip(columns)
                .map(|(text, (_, column))| cell("td", text, *column))
                .collect();
            self.body += &format!("<tr>{cells}</tr>\n");
        }
        self.body += "</tbody>\n</table></div>\n";
    }

    /// Adds curves in one frame.
    pub fn chart(&mut self, chart: &Chart) {
        self.body += &chart.svg();
    }

    /// Adds a confusion matrix.
    pub fn matrix(&mut self, matrix: &Matrix) {
        self.body += &matrix.html(&self.section);
    }

    /// Adds thumbnails in a grid.
    pub fn images(&mut self, images: &[CaptionedImage]) {
        self.body += "<div class=\"images\">\n";
        for captioned in images {
            let thumbnail = match &captioned.jpeg {
                Some(jpeg) => format!(
                    "<img alt=\"{}\" loading=\"lazy\" src=\"data:image/jpeg;base64,{}\">",
                    escaped(&captioned.name),
                    base64(jpeg)
                ),
                None => "<div class=\"none\">no image</div>".to_owned(),
            };
            let (folder, name) = captioned.name.rsplit_once('/').unwrap_or(("", &captioned.name));
            let folder = match folder {
                "" => String::new(),
                folder => format!(" <small>{}/</small>", escaped(folder)),
            };
            self.body += &format!(
                "<figure>\n{thumbnail}\n<figcaption>{}{folder}</figcaption>\n",
                escaped(name)
            );
            for line in &captioned.lines {
                self.body += &format!("<p>{}</p>\n", escaped(line));
            }
            self.body += "</figure>\n";
        }
        self.body += "</div>\n";
    }

    /// The complete page.
    pub fn finish(self) -> String {
        let (policy, script) = match self.reloading {
            Reloading::Never => (Policy::Still, ""),
            Reloading::During => (Policy::Script, include_str!("reload.html")),
        };
        format!(
            include_str!("page.html"),
            top = top(&self.title, include_str!("report.css"), policy),
            body = self.body,
            script = script,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        let mut page = ReportPage::new("<b>&", &[("data", "<i>photos</i>".into())]);
        page.heading("<h>");
        page.table(
            &[("name", Column::Words), ("n", Column::Numbers)],
            &[vec!["<td>".into(), "3".into()]],
        );
        page.chart(&Chart {
            title: "\"<svg>".into(),
            across: "tokens".into(),
            up: "R@1".into(),
            x: (0.0, 10.0),
            y: (0.0, 1.0),
            curves: vec![Curve {
                name: "<c>".into(),
                points: vec![(0.0, 0.5), (10.0, 1.0)],
                notes: vec!["<n>".into()],
                stroke: Stroke::Line,
            }],
        });
        page.matrix(&Matrix {
            names: vec!["<m>".into(), "b".into()],
            counts: vec![vec![3, 1], vec![0, 2]],
        });
        page.images(&[CaptionedImage {
            jpeg: Some(vec![1, 2, 3]),
            name: "\"><script>".into(),
            lines: vec!["<p>".into()],
        }]);
        page.finish()
    }

    #[test]
    fn user_text_never_becomes_markup() {
        let page = page();
        for markup in [
            "<b>", "<i>", "<h>", "<td><td>", "<c>", "<m>", "<n>", "<script", "<p><p>", "\"<svg>",
        ] {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(page.contains("&lt;td&gt;") && page.contains("&lt;m&gt;") && page.contains("base64,AQID"));
    }

    #[test]
    fn the_page_loads_nothing() {
        let page = page();
        for way in ["http://", "https://", "src=\"/", "@import", "url("] {
            assert!(!page.contains(way), "{way}");
        }
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    }
}
