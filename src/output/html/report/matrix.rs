//! A confusion matrix as a shaded table: one row per true class, one column per prediction.

use super::super::escaped;

/// A confusion matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The classes, for the rows as well as the columns.
    pub names: Vec<String>,
    /// `counts[i][j]` is how often class i was predicted as class j.
    pub counts: Vec<Vec<u64>>,
}

impl Matrix {
    pub(super) fn html(&self, section: &str) -> String {
        let names: Vec<String> = self.names.iter().map(|name| escaped(name)).collect();
        let head: String = names
            .iter()
            .map(|name| format!("<th scope=\"col\" title=\"{name}\">{name}</th>"))
            .collect();
        let mut html = format!(
            "{}<table class=\"matrix\">\n<thead><tr><td class=\"corner\"></td>{head}</tr></thead>\n<tbody>\n",
            super::wide(section)
        );
        for (name, counts) in names.iter().zip(&self.counts) {
            let all: u64 = counts.iter().sum();
            let cells: String = counts
                .iter()
                .zip(&names)
                .map(|(n, other)| cell(*n, all, name, other))
                .collect();
            html += &format!("<tr><th scope=\"row\" title=\"{name}\">{name}</th>{cells}</tr>\n");
        }
        html + "</tbody>\n</table></div>\n"
    }
}

/// A count, shaded by its share of the row.
fn cell(n: u64, all: u64, name: &str, other: &str) -> String {
    if n == 0 {
        return "<td></td>".to_owned();
    }
    let share = n as f64 / all as f64;
    format!(
        "<td style=\"background:rgba(var(--shade),{:.3})\" title=\"{n} of {all}: {name} as {other}\">{n}</td>",
        0.08 + 0.72 * share
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_its_count_and_is_shaded_by_its_share() {
        let matrix = Matrix {
            names: vec!["cat".into(), "dog".into()],
            counts: vec![vec![3, 1], vec![0, 0]],
        };
        let html = matrix.html("");
        assert!(
            html.contains("rgba(var(--shade),0.620)\" title=\"3 of 4: cat as cat\">3</td>"),
            "{html}"
        );
        assert!(html.contains("title=\"1 of 4: cat as dog\">1</td>"));
        assert_eq!(html.matches("<td></td>").count(), 2);
    }
}
