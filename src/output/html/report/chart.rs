//! Curves in one frame, as SVG, with round numbers on the axes and a legend.
//!
//! Curves differ in colour, and in their marks or dashes too, so that a reader who sees no colours can tell them apart. The
//! colours are those of the theme (`style.css`), six that colour-blind readers can distinguish, as in Okabe and Ito's palette.

use std::fmt::Write;

use super::super::escaped;

/// The number of colours, `--c0` to `--c5` in the style.
const N_COLOURS: usize = 6;
/// Dashes of curves without marks, by the place of the curve; the first is solid.
const DASHES: [&str; N_COLOURS] = ["", "9 4", "2 3", "12 4 2 4", "6 3", "2 6"];
/// Dashes of ideals, which no other curve has.
const IDEAL_DASHES: &str = "4 8";

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 380.0;
/// Margins, with room for the numbers and names of the axes, also in the large letters of a narrow page.
const LEFT: f64 = 96.0;
const BELOW: f64 = 78.0;
const ABOVE: f64 = 16.0;
const RIGHT: f64 = 24.0;

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
    /// What is written above each point, or nothing.
    pub notes: Vec<String>,
    /// How it is drawn.
    pub stroke: Stroke,
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stroke {
    /// A line with a mark at each point, for few points.
    Line,
    /// A line without marks, for many points.
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
                at + 5.0,
                shown(level)
            );
        }
        for level in ticks(self.x) {
            let at = self.across_at(level);
            let _ = writeln!(
                svg,
                "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BELOW + 26.0,
                shown(level)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text x=\"24\" y=\"{:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 24 {:.1})\">{}</text>",
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 12.0,
            escaped(&self.across),
            (HEIGHT - BELOW) / 2.0,
            (HEIGHT - BELOW) / 2.0,
            escaped(&self.up)
        );
        for (i, curve) in self.curves.iter().enumerate() {
            svg += &self.drawn(curve, i % N_COLOURS);
        }
        let title = escaped(&self.title);
        format!(
            "{}<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n{svg}</svg>\n",
            self.legend()
        )
    }

    fn across_at(&self, x: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (x - self.x.0) / (self.x.1 - self.x.0)
    }

    fn up_at(&self, y: f64) -> f64 {
        ABOVE + (HEIGHT - BELOW - ABOVE) * (1.0 - (y - self.y.0) / (self.y.1 - self.y.0))
    }

    fn drawn(&self, curve: &Curve, i: usize) -> String {
        let at: Vec<(f64, f64)> = curve
            .points
            .iter()
            .map(|(x, y)| (self.across_at(*x), self.up_at(*y)))
            .collect();
        let mut svg = line(&at, curve.stroke, i);
        // A line of one point has no length.
        if curve.stroke == Stroke::Line || at.len() == 1 {
            svg.extend(at.iter().map(|at| mark(*at, i)));
        }
        for ((x, y), note) in at.iter().zip(&curve.notes) {
            // Below the point if there is no room above it.
            let y = if *y < ABOVE + 24.0 { y + 22.0 } else { y - 9.0 };
            let note = escaped(note);
            let _ = writeln!(
                svg,
                "<text class=\"note\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{note}</text>"
            );
        }
        svg
    }

    fn legend(&self) -> String {
        let entries = self.curves.iter().enumerate().map(|(i, curve)| {
            let i = i % N_COLOURS;
            let mut sample = line(&[(0.0, 8.0), (48.0, 8.0)], curve.stroke, i);
            if curve.stroke == Stroke::Line {
                sample += &mark((24.0, 8.0), i);
            }
            let name = escaped(&curve.name);
            format!("<li><svg viewBox=\"0 0 48 16\" aria-hidden=\"true\">{sample}</svg>{name}</li>\n")
        });
        format!("<ul class=\"legend\">\n{}</ul>\n", entries.collect::<String>())
    }
}

/// The line of the curve in place `i`.
fn line(at: &[(f64, f64)], stroke: Stroke, i: usize) -> String {
    let points: Vec<String> = at.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let dashes = match stroke {
        Stroke::Line => "",
        Stroke::Thin => DASHES[i],
        Stroke::Dashes => IDEAL_DASHES,
    };
    format!(
        "<polyline class=\"curve c{i}\" stroke-dasharray=\"{dashes}\" points=\"{}\"/>\n",
        points.join(" ")
    )
}

/// The mark of the curve in place `i`: a circle, a square, triangles, a diamond or a cross.
fn mark((x, y): (f64, f64), i: usize) -> String {
    let shape = match i {
        0 => "m-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
        1 => "m-4.5 -4.5h9v9h-9z",
        2 => "m0 -6l6 10h-12z",
        3 => "m0 -6.5l6.5 6.5l-6.5 6.5l-6.5 -6.5z",
        4 => "m0 6l6 -10h-12z",
        _ => "m-2 -6h4v4h4v4h-4v4h-4v-4h-4v-4h4z",
    };
    format!("<path class=\"mark c{i}\" d=\"M{x:.1} {y:.1}{shape}\"/>\n")
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
    use std::collections::HashSet;

    use super::*;

    fn chart(stroke: Stroke, n_curves: usize) -> Chart {
        let curve = |i: usize| Curve {
            name: format!("curve {i}"),
            points: vec![(5.0, 0.0), (248.0, 1.0)],
            notes: vec!["7".into(), "8".into()],
            stroke,
        };
        Chart {
            title: "t".into(),
            across: "x".into(),
            up: "y".into(),
            x: (5.0, 248.0),
            y: (0.0, 1.0),
            curves: (0..n_curves).map(curve).collect(),
        }
    }

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
        let svg = chart(Stroke::Dashes, 1).svg();
        assert!(svg.contains("points=\"96.0,302.0 836.0,16.0\""), "{svg}");
        assert!(svg.contains("stroke-dasharray=\"4 8\"") && !svg.contains("class=\"mark"));
    }

    #[test]
    fn curves_differ_without_colours() {
        let without_colours = |stroke: Stroke| {
            let svg = chart(stroke, N_COLOURS).svg();
            let (legend, _) = svg.split_once("<svg class=\"chart\"").unwrap();
            let samples = legend.split("<li>").skip(1).map(|sample| {
                let (sample, _) = sample.split_once("</svg>").unwrap();
                (0..N_COLOURS).fold(sample.to_owned(), |sample, i| sample.replace(&format!("c{i}"), ""))
            });
            samples.collect::<HashSet<String>>().len()
        };
        assert_eq!([Stroke::Line, Stroke::Thin].map(without_colours), [N_COLOURS; 2]);
    }

    #[test]
    fn a_single_point_has_a_mark() {
        let mut first_step = chart(Stroke::Thin, 2);
        assert_eq!(first_step.svg().matches("class=\"mark").count(), 0);
        for curve in &mut first_step.curves {
            curve.points.truncate(1);
        }
        assert_eq!(first_step.svg().matches("class=\"mark").count(), 2);
    }

    #[test]
    fn a_note_is_above_its_point_or_below_it_at_the_upper_edge() {
        let svg = chart(Stroke::Line, 1).svg();
        assert!(
            svg.contains("x=\"96.0\" y=\"293.0\" text-anchor=\"middle\">7</text>"),
            "{svg}"
        );
        assert!(
            svg.contains("x=\"836.0\" y=\"38.0\" text-anchor=\"middle\">8</text>"),
            "{svg}"
        );
    }
}
