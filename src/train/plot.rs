//! `loss.html`: the curves of a training as one page, drawn again whenever a state is saved.

use std::path::Path;

use serde_json::Value;

use super::{file, metrics};
use crate::error::Result;
use crate::output::report::{Chart, Curve, ReportPage, Stroke};

/// The page's file in the run folder.
pub(super) const PLOT: &str = "loss.html";

/// Points that can be distinguished on a screen. The steps of a longer training are joined into means.
const POINTS_MAX: usize = 800;

/// The charts: each with its title, and the fields of `metrics.ndjson` with their names in the legend.
const CHARTS: [(&str, &[(&str, &str)]); 2] = [
    (
        "Loss",
        &[("loss_long", "long captions"), ("loss_short", "short captions")],
    ),
    (
        "Validation",
        &[
            ("val_long_i2t_r1", "long, image to text"),
            ("val_long_t2i_r1", "long, text to image"),
            ("val_short_i2t_r1", "short, image to text"),
            ("val_short_t2i_r1", "short, text to image"),
            ("val_top1", "zero-shot top-1"),
        ],
    ),
];

/// Draws the metrics in the folder.
pub(super) fn write(folder: &Path) -> Result<()> {
    let lines = metrics::read(folder)?;
    let mut page = ReportPage::new("longclip train", &[]);
    for (title, fields) in CHARTS {
        let curves: Vec<Curve> = fields
            .iter()
            .filter_map(|(field, name)| curve(&lines, field, name))
            .collect();
        if !curves.is_empty() {
            page.heading(title);
            page.chart(&chart(title, curves));
        }
    }
    file::write_whole(&folder.join(PLOT), page.finish().as_bytes())
}

fn chart(title: &str, curves: Vec<Curve>) -> Chart {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let last_step = points().fold(1.0, |last: f64, (step, _)| last.max(*step));
    let highest = points().fold(0.0, |highest: f64, (_, value)| highest.max(*value));
    Chart {
        title: format!("{title} by step"),
        across: "step".into(),
        up: String::new(),
        x: (0.0, last_step),
        y: Chart::axis_from_zero(highest),
        curves,
    }
}

/// The curve of a field, with its last value in the legend; `None` if no line has the field.
fn curve(lines: &[Value], field: &str, name: &str) -> Option<Curve> {
    let point = |line: &Value| Some((line.get("step")?.as_f64()?, line.get(field)?.as_f64()?));
    let points: Vec<(f64, f64)> = lines.iter().filter_map(point).collect();
    let (_, last) = points.last()?;
    Some(Curve {
        name: format!("{name} {last:.4}"),
        points: thinned(&points),
        stroke: Stroke::Thin,
    })
}

/// The points, or means of as many neighbours as it takes to have few enough.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let n_joined = points.len().div_ceil(POINTS_MAX).max(1);
    let mean = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        let (x, y) = part.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
        (x / n, y / n)
    };
    points.chunks(n_joined).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_training_is_drawn_in_means() {
        let points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), f64::from(i % 2))).collect();
        let thinned = thinned(&points);
        assert!(thinned.len() <= POINTS_MAX);
        assert!(thinned.iter().all(|(_, value)| (0.4..0.7).contains(value)));
    }

    #[test]
    fn the_page_charts_the_metrics_that_exist() {
        let dir = tempfile::tempdir().unwrap();
        let lines = "{\"step\":0,\"val_top1\":0.5}\n{\"step\":1,\"loss_long\":4.0,\"loss_short\":3.0}\n{\"step\":2,\"loss_long\":2.0}\n";
        std::fs::write(dir.path().join(metrics::METRICS), lines).unwrap();
        write(dir.path()).unwrap();
        let page = std::fs::read_to_string(dir.path().join(PLOT)).unwrap();
        assert_eq!(page.matches("<polyline").count(), 3);
        assert!(page.contains("long captions 2.0000") && page.contains("zero-shot top-1 0.5000"));
        assert!(page.contains("points=\"450.0,12.0 840.0,151.0\""), "{page}");
    }
}
