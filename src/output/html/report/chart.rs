//! Curves in one frame, as SVG, with round numbers on the axes and a legend.

use std::fmt::Write;

use super::super::escaped;

/// Colours that colour-blind readers can distinguish (Okabe and Ito's palette).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 340.0;
/// Margins, with room for the numbers and names of the axes.
const LEFT: f64 = 60.0;
const BELOW: f64 = 50.0;
const ABOVE: f64 = 12.0;
const RIGHT: f64 = 20.0;

/// A frame with curves.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// What it shows, for screen readers.
    pub title: String,
    /// The name of the horizontal axis.
    pub across: String,
    /// The name of the vertical axis.
    pub up: String,
    /// The ends of the horizontal axis.
    pub x: (f64, f64),
    /// The ends of the vertical axis.
    pub y: (f64, f64),
    /// The curves.
    pub curves: Vec<Curve>,
}

/// A curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its name in the legend.
    pub name: String,
    /// Points `(x, y)` from left to right.
    pub points: Vec<(f64, f64)>,
    /// How it is drawn.
    pub stroke: Stroke,
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// A line with a dot at each point, for few points.
    Line,
    /// A line without dots, for many points.
    Thin,
    /// A dashed line, for ideals and the ends of intervals.
    Dashes,
}

impl Chart {
    /// An axis from 0 to a round number that is at least `highest`.
    pub fn axis_from_zero(highest: f64) -> (f64, f64) {
        let step = if highest > 0.0 { round_step(highest) } else { 1.0 };
        (0.0, (highest / step).ceil().max(1.0) * step)
    }

    pub(super) fn svg(&self) -> String {
        let mut svg = String::new();
        for level in ticks(self.y) {
            let at = self.up_at(level);
            // Writing to a string doesn't fail.
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                shown(level)
            );
        }
        for level in ticks(self.x) {
            let at = self.across_at(level);
            let _ = writeln!(
                svg,
                "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BELOW + 18.0,
                shown(level)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text x=\"14\" y=\"{:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 14 {:.1})\">{}</text>",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 10.0,
            escaped(&self.across),
            (HEIGHT - BELOW) / 2.0,
            (HEIGHT - BELOW) / 2.0,
            escaped(&self.up)
        );
        for (curve, colour) in self.curves.iter().zip(COLOURS.into_iter().cycle()) {
            svg += &self.drawn(curve, colour);
        }
        let title = escaped(&self.title);
        format!(
            "{}<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n{svg}</svg>\n",
            self.legend()
        )
    }

    fn across_at(&self, x: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (x - self.x.0) / (self.x.1 - self.x.0)
    }

    fn up_at(&self, y: f64) -> f64 {
        ABOVE + (HEIGHT - BELOW - ABOVE) * (1.0 - (y - self.y.0) / (self.y.1 - self.y.0))
    }

    fn drawn(&self, curve: &Curve, colour: &str) -> String {
        let at: Vec<(f64, f64)> = curve
            .points
            .iter()
            .map(|(x, y)| (self.across_at(*x), self.up_at(*y)))
            .collect();
        let points: Vec<String> = at.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let dashes = match curve.stroke {
            Stroke::Line | Stroke::Thin => "",
            Stroke::Dashes => " stroke-dasharray=\"5 4\"",
        };
        let mut svg = format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dashes} points=\"{}\"/>\n",
            points.join(" ")
        );
        if curve.stroke == Stroke::Line {
            for (x, y) in at {
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
            }
        }
        svg
    }

    fn legend(&self) -> String {
        let entries = self
            .curves
            .iter()
            .zip(COLOURS.into_iter().cycle())
            .map(|(curve, colour)| {
                let style = match curve.stroke {
                    Stroke::Line | Stroke::Thin => "solid",
                    Stroke::Dashes => "dashed",
                };
                let name = escaped(&curve.name);
                format!("<li><span style=\"border-color:{colour};border-top-style:{style}\"></span>{name}</li>\n")
            });
        format!("<ul class=\"legend\">\n{}</ul>\n", entries.collect::<String>())
    }
}

/// The numbers on an axis.
fn ticks((from, to): (f64, f64)) -> Vec<f64> {
    let step = round_step(to - from);
    let first = (from / step).ceil() as i64;
    let last = (to / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// The step between numbers on an axis of this length: 1, 2 or 5 times a power of ten, for about five steps.
fn round_step(length: f64) -> f64 {
    let rough = length / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 5.0, 10.0];
    let enough = factors.into_iter().find(|factor| factor * power >= rough);
    enough.unwrap_or(10.0) * power
}

/// A number on an axis.
fn shown(level: f64) -> String {
    let digits = format!("{level:.6}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers() {
        for (length, expected) in [(4.1, 1.0), (1.0, 0.2), (0.35, 0.1), (120.0, 50.0)] {
            let step = round_step(length);
            assert!((step - expected).abs() < 1e-12, "{length} {step}");
        }
        assert_eq!([shown(0.6000000001), shown(2.0), shown(0.0)], ["0.6", "2", "0"]);
        assert_eq!(ticks((0.0, 1.0)).len(), 6);
        assert_eq!(ticks((5.0, 248.0)), [50.0, 100.0, 150.0, 200.0]);
    }

    #[test]
    fn the_ends_of_the_axes_are_the_corners_of_the_frame() {
        let chart = Chart {
            title: "t".into(),
            across: "x".into(),
            up: "y".into(),
            x: (5.0, 248.0),
            y: (0.0, 1.0),
            curves: vec![Curve {
                name: "c".into(),
                points: vec![(5.0, 0.0), (248.0, 1.0)],
                stroke: Stroke::Dashes,
            }],
        };
        let svg = chart.svg();
        assert!(svg.contains("points=\"60.0,290.0 840.0,12.0\""), "{svg}");
        assert!(svg.contains("stroke-dasharray") && !svg.contains("<circle"));
    }
}
