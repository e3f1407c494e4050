//! `loss.html`: the curves of a training as one page. During the run it is drawn again every few seconds, and an open page
//! loads itself again.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{file, metrics};
use crate::error::Result;
use crate::output::report::{Chart, Curve, Reloading, ReportPage, Stroke};

/// The page's file in the run folder.
pub(super) const PLOT: &str = "loss.html";

/// Points that can be distinguished on a screen. The steps of a longer training are joined into means.
const POINTS_MAX: usize = 800;

/// The shortest axis of steps. The numbers on a shorter one would be parts of steps.
const STEPS_MIN: f64 = 5.0;

/// The time between two drawings, as long as the page waits before it loads itself again.
const BETWEEN: Duration = Duration::from_secs(10);
/// A drawing takes longer the longer the training is. At most this part of the time is spent on drawing.
const SHARE: u32 = 50;

/// A chart.
struct Plotted {
    title: &'static str,
    /// The name of the vertical axis.
    up: &'static str,
    /// The fields of `metrics.ndjson` with their names in the legend.
    fields: &'static [(&'static str, &'static str)],
}

const CHARTS: [Plotted; 2] = [
    Plotted {
        title: "Loss",
        up: "loss",
        fields: &[("loss_long", "long captions"), ("loss_short", "short captions")],
    },
    Plotted {
        title: "Validation",
        up: "R@1 and top-1 (share)",
        fields: &[
            ("val_long_i2t_r1", "long, image to text"),
            ("val_long_t2i_r1", "long, text to image"),
            ("val_short_i2t_r1", "short, image to text"),
            ("val_short_t2i_r1", "short, text to image"),
            ("val_top1", "zero-shot top-1"),
        ],
    },
];

/// Draws the page of a run folder.
pub(super) struct Plot<'a> {
    folder: &'a Path,
    /// What is trained on what, for the beginning of the page.
    facts: &'a [(&'static str, String)],
    last: Option<Drawing>,
}

/// When the page was drawn, and how long that took.
struct Drawing {
    began: Instant,
    took: Duration,
}

impl<'a> Plot<'a> {
    pub(super) fn new(folder: &'a Path, facts: &'a [(&'static str, String)]) -> Self {
        Plot {
            folder,
            facts,
            last: None,
        }
    }

    /// Draws the metrics so far, unless that was done a moment ago.
    pub(super) fn draw_if_due(&mut self) -> Result<()> {
        let is_due = self.last.as_ref().is_none_or(|last| {
            let passed = last.began.elapsed();
            passed >= BETWEEN && passed >= last.took * SHARE
        });
        if !is_due {
            return Ok(());
        }
        let began = Instant::now();
        self.draw(Reloading::During)?;
        self.last = Some(Drawing {
            began,
            took: began.elapsed(),
        });
        Ok(())
    }

    /// Draws the metrics in the folder.
    pub(super) fn draw(&self, reloading: Reloading) -> Result<()> {
        let lines = metrics::read(self.folder)?;
        let name = self.folder.file_name().unwrap_or(self.folder.as_os_str());
        let mut page = ReportPage::new(&format!("Training: {}", name.to_string_lossy()), self.facts);
        page.reload(reloading);
        for plotted in CHARTS {
            let fields = plotted.fields.iter();
            let curves: Vec<Curve> = fields.filter_map(|(field, name)| curve(&lines, field, name)).collect();
            if !curves.is_empty() {
                page.heading(plotted.title);
                page.chart(&chart(&plotted, curves));
            }
        }
        file::write_whole(&self.folder.join(PLOT), page.finish().as_bytes())
    }
}

fn chart(plotted: &Plotted, curves: Vec<Curve>) -> Chart {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let last_step = points().fold(STEPS_MIN, |last: f64, (step, _)| last.max(*step));
    let highest = points().fold(0.0, |highest: f64, (_, value)| highest.max(*value));
    Chart {
        title: format!("{} by step", plotted.title),
        across: "step".into(),
        up: plotted.up.into(),
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
        notes: Vec::new(),
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
        let facts = [("data", "a <b>.ndjson".to_owned())];
        let plot = Plot::new(dir.path(), &facts);
        let page = |reloading| {
            plot.draw(reloading).unwrap();
            std::fs::read_to_string(dir.path().join(PLOT)).unwrap()
        };
        let during = page(Reloading::During);
        // Each curve has a line in its chart and one in the legend.
        assert_eq!(during.matches("<polyline").count(), 6);
        assert!(during.contains("long captions 2.0000") && during.contains("zero-shot top-1 0.5000"));
        assert!(during.contains("points=\"244.0,16.0 392.0,159.0\""), "{during}");
        assert!(during.contains("<dd>a &lt;b&gt;.ndjson</dd>"));
        assert!(during.contains("location.reload()") && !page(Reloading::Never).contains("<script"));
    }

    #[test]
    fn the_page_is_drawn_at_once_and_then_not_at_every_step() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(metrics::METRICS), "{\"step\":1,\"loss_long\":4.0}\n").unwrap();
        let mut plot = Plot::new(dir.path(), &[]);
        plot.draw_if_due().unwrap();
        let page = dir.path().join(PLOT);
        std::fs::remove_file(&page).unwrap();
        plot.draw_if_due().unwrap();
        assert!(!page.exists());
    }
}
