//! The page of `eval zeroshot --report`: the table's numbers, recall by class, confusions, calibration, and the images with
//! the most confident wrong answers.

use super::results::Results;
use super::{Answer, Measures, N_BINS, N_RESAMPLES};
use crate::data::Image;
use crate::eval::interval::{Estimate, percent, wilson};
use crate::eval::page::thumbnail;
use crate::output::report::{CaptionedImage, Chart, Column, Curve, Matrix, ReportPage, Stroke};

/// The most classes of a readable matrix; of more, the ones that are confused most are shown.
const CLASSES_OF_MATRIX: usize = 24;
/// Pairs of the table.
const PAIRS: usize = 15;
/// Images that are shown.
const WORST: usize = 24;

impl Results<'_> {
    /// As a page of HTML, given the first model's answers and their images, in the same order.
    pub fn page(&self, images: &[&Image], answers: &[Answer]) -> String {
        let mut page = ReportPage::new(&format!("Zero-shot classification: {}", self.data), &self.about());
        summary(&mut page, self);
        if let Some(comparison) = &self.comparison {
            comparison.add_to(&mut page);
        }
        calibration(&mut page, self.measures);
        matrix(&mut page, self, answers);
        confusions(&mut page, self);
        worst(&mut page, self, images, answers);
        by_class(&mut page, self);
        page.finish()
    }
}

fn summary(page: &mut ReportPage, results: &Results<'_>) {
    let measures = results.measures;
    let row = |name: &str, estimate: &Estimate, how: &str| {
        vec![
            name.to_owned(),
            estimate.percent(),
            estimate.interval_percent(),
            how.to_owned(),
        ]
    };
    let mut rows = vec![row("top-1", &measures.acc1, "Wilson")];
    rows.extend(measures.acc5.as_ref().map(|acc5| row("top-5", acc5, "Wilson")));
    let resamples = format!("{N_RESAMPLES} resamples of the images, seed {}", results.seed);
    rows.push(row(
        "mean per-class recall",
        &measures.mean_per_class_recall,
        &resamples,
    ));
    let error = format!("{:.4}", measures.calibration_error);
    rows.push(vec![
        "calibration error".into(),
        error,
        String::new(),
        format!("{N_BINS} bins"),
    ]);
    let columns = [
        ("", Column::Words),
        ("value", Column::Numbers),
        ("95% interval", Column::Numbers),
        ("by", Column::Words),
    ];
    page.table(&columns, &rows);
}

fn calibration(page: &mut ReportPage, measures: &Measures) {
    page.heading("Calibration");
    let filled = measures.bins.iter().filter(|bin| bin.n > 0);
    page.chart(&Chart {
        title: "Accuracy by the probability of the most likely class".into(),
        across: "probability of the most likely class".into(),
        up: "accuracy".into(),
        x: (0.0, 1.0),
        y: (0.0, 1.0),
        curves: vec![
            Curve {
                name: format!("the model, error {:.4}", measures.calibration_error),
                points: filled.map(|bin| (bin.confidence, bin.accuracy)).collect(),
                stroke: Stroke::Line,
            },
            Curve {
                name: "perfect calibration".into(),
                points: vec![(0.0, 0.0), (1.0, 1.0)],
                stroke: Stroke::Dashes,
            },
        ],
    });
}

fn matrix(page: &mut ReportPage, results: &Results<'_>, answers: &[Answer]) {
    page.heading("True and predicted classes");
    let shown = classes_of_matrix(results.measures);
    if shown.len() < results.labels.len() {
        page.text(&format!(
            "The {} classes that are confused most, of {}.",
            shown.len(),
            results.labels.len()
        ));
    }
    page.text("Rows: the true class. Columns: the predicted class.");
    let mut counts = vec![vec![0; shown.len()]; shown.len()];
    let place = |class: usize| shown.iter().position(|other| *other == class);
    for answer in answers {
        if let (Some(row), Some(column)) = (place(answer.truth), place(answer.predicted())) {
            counts[row][column] += 1;
        }
    }
    page.matrix(&Matrix {
        names: shown.iter().map(|class| results.labels[*class].clone()).collect(),
        counts,
    });
}

/// All classes if they are few, else the ones that are confused most, in their order.
fn classes_of_matrix(measures: &Measures) -> Vec<usize> {
    let mut n_wrong: Vec<(usize, usize)> = (0..measures.n_classes).map(|class| (0, class)).collect();
    for confusion in &measures.confusions {
        n_wrong[confusion.truth].0 += confusion.n;
        n_wrong[confusion.predicted].0 += confusion.n;
    }
    n_wrong.sort_by_key(|(n, class)| (std::cmp::Reverse(*n), *class));
    let mut shown: Vec<usize> = n_wrong
        .iter()
        .take(CLASSES_OF_MATRIX)
        .map(|(_, class)| *class)
        .collect();
    shown.sort_unstable();
    shown
}

fn confusions(page: &mut ReportPage, results: &Results<'_>) {
    let rows: Vec<Vec<String>> = results
        .measures
        .confusions
        .iter()
        .take(PAIRS)
        .map(|found| {
            let label = |class: usize| results.labels[class].clone();
            vec![found.n.to_string(), label(found.truth), label(found.predicted)]
        })
        .collect();
    if !rows.is_empty() {
        page.heading("Confused most often");
        let columns = [
            ("n", Column::Numbers),
            ("true class", Column::Words),
            ("predicted class", Column::Words),
        ];
        page.table(&columns, &rows);
    }
}

/// The images with the most confident wrong answers.
fn worst(page: &mut ReportPage, results: &Results<'_>, images: &[&Image], answers: &[Answer]) {
    let mut wrong: Vec<(&Image, &Answer)> = images
        .iter()
        .copied()
        .zip(answers)
        .filter(|(_, answer)| !answer.is_within(1))
        .collect();
    wrong.sort_by(|(_, a), (_, b)| b.confidence().total_cmp(&a.confidence()));
    if wrong.is_empty() {
        return;
    }
    page.heading("Most confident wrong answers");
    let shown = wrong.iter().take(WORST).map(|(image, answer)| CaptionedImage {
        jpeg: thumbnail(image),
        name: image.name().to_owned(),
        lines: vec![
            format!("true class: {}", results.labels[answer.truth]),
            format!(
                "predicted: {}, {}",
                results.labels[answer.predicted()],
                percent(answer.confidence())
            ),
        ],
    });
    page.images(&shown.collect::<Vec<_>>());
}

fn by_class(page: &mut ReportPage, results: &Results<'_>) {
    page.heading("Recall by class");
    let rows: Vec<Vec<String>> = results
        .labels
        .iter()
        .zip(&results.measures.recalls)
        .map(|(label, recall)| {
            let share = wilson(recall.n_right, recall.n);
            let (value, interval) = match recall.n {
                0 => ("–".to_owned(), "–".to_owned()),
                _ => (share.percent(), share.interval_percent()),
            };
            vec![
                label.clone(),
                recall.n.to_string(),
                recall.n_right.to_string(),
                value,
                interval,
            ]
        })
        .collect();
    let columns = [
        ("class", Column::Words),
        ("images", Column::Numbers),
        ("right", Column::Numbers),
        ("recall", Column::Numbers),
        ("95% interval", Column::Numbers),
    ];
    page.table(&columns, &rows);
}
