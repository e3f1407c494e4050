//! A report: one page of tables, curves, a matrix and small pictures. It asks for nothing from anywhere and needs no script.
//!
//! Sections are added from top to bottom, and [`ReportPage::finish`] gives the page. Made by `longclip eval --report`. Text
//! is escaped on the way in.

pub(crate) mod chart;
mod matrix;

use super::{Scripts, escaped, image, top};

pub use self::chart::{Chart, Curve, Stroke};
pub use self::matrix::Matrix;

/// A page in the making.
pub struct ReportPage {
    title: String,
    body: String,
}

/// How a column of a table is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// To the left: words.
    Words,
    /// To the right, digits below digits.
    Numbers,
}

/// A picture with what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// A small jpeg, where there is one.
    pub jpeg: Option<Vec<u8>>,
    /// Its name.
    pub name: String,
    /// What is said below it, a line each.
    pub lines: Vec<String>,
}

impl ReportPage {
    /// A page with a title, and below it what was measured on what.
    pub fn new(title: &str, about: &[String]) -> Self {
        let mut page = ReportPage {
            title: title.to_owned(),
            body: String::new(),
        };
        page.body += &format!("<h1>{}</h1>\n", escaped(title));
        about.iter().for_each(|line| page.text(line));
        page
    }

    /// Begins a section.
    pub fn heading(&mut self, text: &str) {
        self.body += &format!("<h2>{}</h2>\n", escaped(text));
    }

    /// A paragraph.
    pub fn text(&mut self, text: &str) {
        self.body += &format!("<p>{}</p>\n", escaped(text));
    }

    /// A table with a row of names above it.
    pub fn table(&mut self, columns: &[(&str, Column)], rows: &[Vec<String>]) {
        let cell = |tag: &str, text: &str, column: Column| {
            let class = if column == Column::Numbers {
                " class=\"number\""
            } else {
                ""
            };
            format!("<{tag}{class}>{}</{tag}>", escaped(text))
        };
        let head: String = columns.iter().map(|(name, column)| cell("th", name, *column)).collect();
        self.body += &format!("<div class=\"wide\"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n");
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

    /// Curves over one another.
    pub fn chart(&mut self, chart: &Chart) {
        self.body += &chart.svg();
    }

    /// Counts of pairs, as shades.
    pub fn matrix(&mut self, matrix: &Matrix) {
        self.body += &matrix.html();
    }

    /// Small pictures side by side.
    pub fn pictures(&mut self, pictures: &[Shown]) {
        self.body += "<div class=\"pictures\">\n";
        for picture in pictures {
            let small = match &picture.jpeg {
                Some(jpeg) => image("photo", jpeg),
                None => "<div class=\"none\">no picture</div>".to_owned(),
            };
            let name = escaped(&picture.name);
            self.body += &format!("<figure>\n{small}\n<figcaption title=\"{name}\">{name}</figcaption>\n");
            for line in &picture.lines {
                self.body += &format!("<p>{}</p>\n", escaped(line));
            }
            self.body += "</figure>\n";
        }
        self.body += "</div>\n";
    }

    /// The whole page.
    pub fn finish(self) -> String {
        format!(
            include_str!("page.html"),
            top = top(&self.title, include_str!("page.css"), Scripts::None),
            body = self.body,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        let mut page = ReportPage::new("<b>&", &["on <i>photos</i>".into()]);
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
                stroke: Stroke::Line,
            }],
        });
        page.matrix(&Matrix {
            names: vec!["<m>".into(), "b".into()],
            counts: vec![vec![3, 1], vec![0, 2]],
        });
        page.pictures(&[Shown {
            jpeg: Some(vec![1, 2, 3]),
            name: "\"><script>".into(),
            lines: vec!["<p>".into()],
        }]);
        page.finish()
    }

    #[test]
    fn what_a_person_wrote_never_becomes_markup() {
        let page = page();
        for markup in [
            "<b>", "<i>", "<h>", "<td><td>", "<c>", "<m>", "<script", "<p><p>", "\"<svg>",
        ] {
            assert!(!page.contains(markup), "{markup}");
        }
        assert!(page.contains("&lt;td&gt;") && page.contains("&lt;m&gt;") && page.contains("base64,AQID"));
    }

    #[test]
    fn the_page_asks_for_nothing_from_elsewhere() {
        let page = page();
        for way in ["http://", "https://", "src=\"/", "@import", "url("] {
            assert!(!page.contains(way), "{way}");
        }
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    }
}
