//! The page of `eval zeroshot --report`: the table's numbers, calibration, confusions, the images whose labels fit least, and
//! recall by class.

use super::results::{LEAST_FITTING, Results};
use super::{Bin, Measures, N_BINS, N_RESAMPLES, least_fitting};
use crate::error::counted;
use crate::eval::comparison::ModelFacts;
use crate::eval::interval::{Estimate, percent, wilson};
use crate::eval::page::thumbnail;
use crate::output::report::{CaptionedImage, Chart, Column, Curve, Matrix, ReportPage, Stroke};

/// The most classes of a readable matrix; of more, the ones that are confused most are shown.
const CLASSES_OF_MATRIX: usize = 24;
/// Pairs of the table.
const PAIRS: usize = 15;

impl Results<'_> {
    /// As a page of HTML.
    pub fn page(&self) -> String {
        let ModelFacts { name, dtype, .. } = self.model;
        let facts = [
            ("data", format!("{} ({})", self.about.data, self.about.kind)),
            ("model", format!("{name} in {dtype}")),
            ("images", self.n_images()),
            ("classes", self.measures.n_classes.to_string()),
            ("prompts", self.about.prompts.to_owned()),
            ("command", self.about.command.to_owned()),
        ];
        let mut page = ReportPage::new(&format!("Zero-shot classification: {}", self.about.data), &facts);
        summary(&mut page, self);
        if let Some(comparison) = &self.comparison {
            comparison.add_to(&mut page);
        }
        calibration(&mut page, &self.measures);
        matrix(&mut page, self);
        confusions(&mut page, self);
        least_fitting_images(&mut page, self);
        by_class(&mut page, self);
        page.finish()
    }
}

fn summary(page: &mut ReportPage, results: &Results<'_>) {
    let measures = &results.measures;
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
    let resamples = format!(
        "{N_RESAMPLES} resamples of the images, seed {}",
        results.about.bootstrap.seed
    );
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
    if let Some(fitted) = &results.fitted {
        rows.push(vec![
            "fitted temperature".into(),
            fitted.shown(),
            String::new(),
            fitted.effect(),
        ]);
    }
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
    page.text("Each mark is a bin, with its number of images. Above the dashed line the model is too cautious, below it too confident.");
    let filled: Vec<(usize, &Bin)> = measures.bins.iter().enumerate().filter(|(_, bin)| bin.n > 0).collect();
    page.chart(&Chart {
        title: "Accuracy by the probability of the most likely class".into(),
        across: "probability of the most likely class".into(),
        up: "share of right answers".into(),
        x: (0.0, 1.0),
        y: (0.0, 1.0),
        curves: vec![
            Curve {
                name: format!("the model, error {:.4}", measures.calibration_error),
                points: filled.iter().map(|(_, bin)| (bin.confidence, bin.accuracy)).collect(),
                notes: filled.iter().map(|(_, bin)| bin.n.to_string()).collect(),
                stroke: Stroke::Line,
            },
            Curve {
                name: "perfect calibration".into(),
                points: vec![(0.0, 0.0), (1.0, 1.0)],
                notes: Vec::new(),
                stroke: Stroke::Dashes,
            },
        ],
    });
    let share = |i: usize| percent(i as f64 / N_BINS as f64);
    let row = |(i, bin): (usize, &Bin)| {
        vec![
            format!("{} to {}", share(i), share(i + 1)),
            bin.n.to_string(),
            percent(bin.confidence),
            percent(bin.accuracy),
        ]
    };
    let columns = [
        ("probability", Column::Words),
        ("images", Column::Numbers),
        ("mean probability", Column::Numbers),
        ("right", Column::Numbers),
    ];
    page.table(&columns, &filled.into_iter().map(row).collect::<Vec<_>>());
}

fn matrix(page: &mut ReportPage, results: &Results<'_>) {
    page.heading("True and predicted classes");
    let shown = classes_of_matrix(&results.measures);
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
    for answer in &results.answers {
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

/// Of data that was labelled by hand or by a search, these are the images to look at first.
fn least_fitting_images(page: &mut ReportPage, results: &Results<'_>) {
    let order = least_fitting(&results.answers, LEAST_FITTING);
    page.heading(&format!("The {} whose label fits least", counted(order.len(), "image")));
    page.text("By the probability of the true class, the lowest first. If the data was not checked by hand, some of these labels may be wrong.");
    let shown = order.into_iter().map(|i| {
        let (image, answer) = (results.images[i], &results.answers[i]);
        CaptionedImage {
            jpeg: thumbnail(image),
            name: image.name().to_owned(),
            lines: vec![
                format!(
                    "label: {}, {}",
                    results.labels[answer.truth],
                    percent(answer.truth_probability)
                ),
                format!(
                    "predicted: {}, {}",
                    results.labels[answer.predicted()],
                    percent(answer.confidence())
                ),
            ],
        }
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
