//! `loss.html`: a training's curves as one page that needs nothing else, drawn anew at each saving.
//!
//! Losses above, what was validated below. A page is as wide as a screen, so a long training's steps are joined into as
//! many means as can be seen apart.

use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

use super::{file, metrics};
use crate::error::Result;
use crate::output::report::chart::{COLOURS, shown, tick};

/// The file of a run folder.
pub(super) const PLOT: &str = "loss.html";

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 300.0;
/// Room for the numbers beside the axes.
const LEFT: f64 = 60.0;
const BELOW: f64 = 30.0;
/// Points that can be seen apart.
const POINTS_MAX: usize = 800;

/// A line of a chart.
struct Curve {
    name: &'static str,
    /// Step and value.
    points: Vec<(f64, f64)>,
}

/// Draws the folder's metrics.
pub(super) fn write(folder: &Path) -> Result<()> {
    let lines = metrics::read(folder)?;
    let curves = |names: &[(&'static str, &'static str)]| -> Vec<Curve> {
        let curve = |(field, name): &(&str, &'static str)| Curve {
            name,
            points: thinned(points(&lines, field)),
        };
        names
            .iter()
            .map(curve)
            .filter(|curve| !curve.points.is_empty())
            .collect()
    };
    let losses = curves(&[("loss_long", "long captions"), ("loss_short", "short captions")]);
    let validated = curves(&[
        ("val_long_i2t_r1", "long, image to text"),
        ("val_long_t2i_r1", "long, text to image"),
        ("val_short_i2t_r1", "short, image to text"),
        ("val_short_t2i_r1", "short, text to image"),
        ("val_top1", "zero-shot top-1"),
    ]);
    let mut page = String::from(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>longclip train</title>\n<style>body{font:14px sans-serif;\
         margin:2em;color:#222}svg{display:block}svg text{font:12px sans-serif;fill:#555}</style>\n",
    );
    for (title, curves) in [("Loss", losses), ("Validation", validated)] {
        if !curves.is_empty() {
            chart(&mut page, title, &curves);
        }
    }
    file::write_whole(&folder.join(PLOT), page.as_bytes())
}

fn points(lines: &[Value], field: &str) -> Vec<(f64, f64)> {
    let point = |line: &Value| Some((line.get("step")?.as_f64()?, line.get(field)?.as_f64()?));
    lines.iter().filter_map(point).collect()
}

/// Neighbours joined into their means, until there are few enough.
fn thinned(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let at_once = points.len().div_ceil(POINTS_MAX).max(1);
    let mean = |part: &[(f64, f64)]| {
        let sum = part
            .iter()
            .fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (sum.0 / part.len() as f64, sum.1 / part.len() as f64)
    };
    points.chunks(at_once).map(mean).collect()
}

fn chart(page: &mut String, title: &str, curves: &[Curve]) {
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let last_step = all().fold(1.0, |most: f64, (step, _)| most.max(*step));
    let highest = all().fold(f64::MIN_POSITIVE, |most, (_, value)| most.max(*value));
    let unit = tick(highest);
    let top = (highest / unit).ceil().max(1.0) * unit;
    let x = |step: f64| LEFT + (WIDTH - LEFT) * step / last_step;
    let y = |value: f64| (HEIGHT - BELOW) * (1.0 - value / top) + 8.0;
    let mut svg = String::new();
    let mut level = 0.0;
    while level <= top + unit / 2.0 {
        let at = y(level);
        // Writing to a string can't fail.
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 8.0,
            at + 4.0,
            shown(level),
        );
        level += unit;
    }
    let below = HEIGHT - 4.0;
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{below}\">0</text><text x=\"{WIDTH}\" y=\"{below}\" text-anchor=\"end\">step {last_step}</text>"
    );
    let mut legend = String::new();
    for (curve, colour) in curves.iter().zip(COLOURS) {
        let points: Vec<String> = curve
            .points
            .iter()
            .map(|(step, value)| format!("{:.1},{:.1}", x(*step), y(*value)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>",
            points.join(" ")
        );
        let last = curve.points.last().map_or(0.0, |(_, value)| *value);
        let _ = write!(
            legend,
            "<span style=\"color:{colour}\">{} {last:.4}</span>&ensp; ",
            curve.name
        );
    }
    let _ = writeln!(
        page,
        "<h2>{title}</h2>\n<p>{legend}</p>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" role=\"img\" \
         aria-label=\"{title} by step\">\n{svg}</svg>"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_training_is_drawn_in_means() {
        let points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), f64::from(i % 2))).collect();
        let thinned = thinned(points);
        assert!(thinned.len() <= POINTS_MAX);
        assert!(thinned.iter().all(|(_, value)| (0.4..0.7).contains(value)));
    }

    #[test]
    fn a_page_has_a_chart_of_what_there_is() {
        let dir = tempfile::tempdir().unwrap();
        let lines = "{\"step\":0,\"val_top1\":0.5}\n{\"step\":1,\"loss_long\":4.0,\"loss_short\":3.0}\n{\"step\":2,\"loss_long\":2.0}\n";
        std::fs::write(dir.path().join(metrics::METRICS), lines).unwrap();
        write(dir.path()).unwrap();
        let page = std::fs::read_to_string(dir.path().join(PLOT)).unwrap();
        assert_eq!(page.matches("<polyline").count(), 3);
        assert!(page.contains("long captions 2.0000") && page.contains("zero-shot top-1 0.5000"));
        assert!(page.contains("points=\"460.0,8.0 860.0,143.0\""), "{page}");
    }
}
