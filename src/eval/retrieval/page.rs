//! The page of `eval retrieval --report`: R@k, the comparison, R@1 by length, monotonicity, and the images whose captions rank
//! last, with the captions that rank first instead.

use std::path::{Path, PathBuf};

use super::lengths::AtLength;
use super::measured::Measured;
use super::recall::Direction;
use super::results::{Results, monotonicity, with_dtype};
use crate::eval::page::thumbnail;
use crate::output::report::{CaptionedImage, Chart, Column, Curve, ReportPage, Stroke};

/// Images that are shown.
const WORST: usize = 24;
/// Captions per image that are shown.
const CAPTIONS: usize = 5;

impl Results<'_> {
    /// As a page of HTML.
    pub fn page(&self) -> String {
        let names = self.model_names();
        let about = |(measured, name): (&Measured, &String)| {
            format!(
                "{}: {}",
                with_dtype(name, &measured.model.dtype),
                measured.protocol.line()
            )
        };
        let mut facts = vec![("data", self.data.clone())];
        facts.extend(
            self.measured
                .iter()
                .zip(&names)
                .map(about)
                .map(|about| ("model", about)),
        );
        facts.push(("command", self.command.to_owned()));
        let mut page = ReportPage::new(&format!("Retrieval: {}", self.data), &facts);
        recalls(&mut page, self, &names);
        if let Some(comparison) = &self.comparison {
            comparison.add_to(&mut page);
        }
        lengths(&mut page, self, &names);
        sentences(&mut page, self, &names);
        worst(&mut page, self);
        page.finish()
    }
}

fn recalls(page: &mut ReportPage, results: &Results<'_>, names: &[String]) {
    let mut rows = Vec::new();
    for (measured, name) in results.measured.iter().zip(names) {
        rows.extend(measured.recalls.iter().map(|recall| {
            vec![
                name.clone(),
                recall.direction.name().to_owned(),
                format!("R@{}", recall.k),
                recall.share.percent(),
                recall.share.interval_percent(),
            ]
        }));
    }
    let columns = [
        ("model", Column::Words),
        ("from and to", Column::Words),
        ("", Column::Words),
        ("found", Column::Numbers),
        ("95% interval", Column::Numbers),
    ];
    page.table(&columns, &rows);
    page.text(&results.footer());
}

fn lengths(page: &mut ReportPage, results: &Results<'_>, names: &[String]) {
    let [first, ..] = results.measured else { return };
    let (Some(from), Some(to)) = (first.lengths.first(), first.lengths.last()) else {
        return;
    };
    page.heading("R@1 by the number of tokens kept");
    let curve = |measured: &Measured, name: &String, direction: Direction| {
        let place = Direction::BOTH
            .iter()
            .position(|other| *other == direction)
            .unwrap_or(0);
        let point = |at: &AtLength| (at.tokens.get() as f64, 100.0 * at.recalls[place].share.value);
        Curve {
            name: format!("{name}, {}", direction.name()),
            points: measured.lengths.iter().map(point).collect(),
            notes: Vec::new(),
            stroke: Stroke::Line,
        }
    };
    let models = || results.measured.iter().zip(names);
    let curves: Vec<Curve> = models()
        .flat_map(|(measured, name)| Direction::BOTH.map(|direction| curve(measured, name, direction)))
        .collect();
    let points = curves.iter().flat_map(|curve| curve.points.iter());
    let highest = points.map(|(_, share)| *share).fold(1.0, f64::max);
    page.chart(&Chart {
        title: "R@1 by the number of tokens kept of each caption".into(),
        across: "tokens kept of each caption, including start and end".into(),
        up: "R@1 in %".into(),
        // A single length still has a frame.
        x: (0.0f64.min(from.tokens.get() as f64), to.tokens.get() as f64),
        y: (0.0, (1.05 * highest).min(100.0)),
        curves,
    });
    let rows: Vec<Vec<String>> = models()
        .flat_map(|(measured, name)| {
            measured.lengths.iter().map(|at| {
                let share = |place: usize| {
                    let share = &at.recalls[place].share;
                    format!("{} ({})", share.percent(), share.interval_percent())
                };
                vec![
                    name.clone(),
                    at.tokens.get().to_string(),
                    share(0),
                    share(1),
                    at.n_cut.to_string(),
                ]
            })
        })
        .collect();
    let columns = [
        ("model", Column::Words),
        ("tokens", Column::Numbers),
        ("text to image R@1", Column::Numbers),
        ("image to text R@1", Column::Numbers),
        ("captions cut", Column::Numbers),
    ];
    page.table(&columns, &rows);
}

fn sentences(page: &mut ReportPage, results: &Results<'_>, names: &[String]) {
    if results.measured.iter().all(|measured| measured.monotonicity.is_none()) {
        return;
    }
    page.heading("Whether more true sentences score higher");
    for (measured, name) in results.measured.iter().zip(names) {
        page.text(&format!("{name}: {}", monotonicity(measured).trim()));
    }
}

/// The first model's.
fn worst(page: &mut ReportPage, results: &Results<'_>) {
    let [first, ..] = results.measured else { return };
    let worst = first.ranks.worst_images(WORST);
    if worst.is_empty() {
        return;
    }
    page.heading("Images whose own captions rank lowest");
    let captions: Vec<&str> = results.pairs.captions().collect();
    let names = results.pairs.images.iter().map(|image| Path::new(image.image.name()));
    let folder = shared_folder(names);
    let shown = worst.into_iter().map(|image_idx| {
        let captioned = &results.pairs.images[image_idx];
        let name = Path::new(captioned.image.name());
        let place = first.ranks.image_to_text[image_idx];
        let mut lines = vec![
            format!("ranked first, {:.3}: {}", place.first_similarity, captions[place.first]),
            format!(
                "its own caption at rank {}, {:.3}:",
                place.rank + 1,
                place.own_similarity
            ),
        ];
        lines.extend(captioned.captions.iter().take(CAPTIONS).cloned());
        CaptionedImage {
            jpeg: thumbnail(&captioned.image),
            name: name.strip_prefix(&folder).unwrap_or(name).display().to_string(),
            lines,
        }
    });
    page.images(&shown.collect::<Vec<_>>());
}

/// The deepest folder that contains all of `paths`, which names on a page leave out.
fn shared_folder<'a>(mut paths: impl Iterator<Item = &'a Path>) -> PathBuf {
    let first = paths.next().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    paths.fold(first, |mut folder, path| {
        while !path.starts_with(&folder) {
            folder.pop();
        }
        folder
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_folder_is_the_deepest_that_holds_all_paths() {
        let shared = |paths: &[&str]| shared_folder(paths.iter().map(Path::new)).display().to_string();
        assert_eq!(shared(&["/data/a/1.jpg", "/data/ab/2.jpg", "/data/a/b/3.jpg"]), "/data");
        assert_eq!(shared(&["/data/a/1.jpg"]), "/data/a");
        assert_eq!(shared(&["a/1.jpg", "b/1.jpg"]), "");
        assert_eq!(shared(&["1.jpg", "a/2.jpg"]), "");
        assert_eq!(shared(&[]), "");
    }
}
