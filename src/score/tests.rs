use super::*;
use crate::model::{Embeddings, ImageEmbeddings, LogitScale, MeasuredTexts, TextEmbeddings};

fn texts(rows: &[[f32; 2]]) -> MeasuredTexts {
    MeasuredTexts::new(TextEmbeddings(Embeddings::new(rows.concat(), 2)))
}

/// Scores an image with one label per row.
fn score(scoring: &Scoring, image: [f32; 2], rows: &[[f32; 2]]) -> Scores {
    let labels: Vec<_> = (0..rows.len()).map(|i| i..i + 1).collect();
    scoring.scores(&image, &texts(rows), &labels)
}

/// A logit scale with this multiplier.
fn scale(multiplier: f32) -> LogitScale {
    LogitScale::from_ln(multiplier.ln())
}

fn order(scores: &Scores) -> Vec<usize> {
    scores.labels.iter().map(|label| label.label_idx).collect()
}

#[track_caller]
fn assert_near(found: Option<f64>, expected: f64) {
    let found = found.expect("there is a number");
    assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
}

#[test]
fn softmax_survives_large_logits_and_sums_to_one() {
    let p = softmax(&[1000.0, 1001.0]);
    assert!((p[0] + p[1] - 1.0).abs() < 1e-15);
    assert!((p[1] - 0.731_058_578_630_005).abs() < 1e-12);
}

#[test]
fn scores_are_sorted_and_ties_keep_the_labels_order() {
    let rows = [[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]];
    let scores = score(&Scoring::softmax(scale(1.0)), [0.0, 1.0], &rows);
    assert_eq!(order(&scores), [1, 0, 2]);
    assert_eq!(scores.labels[0].cosine, 1.0);
}

#[test]
fn raw_dot_keeps_lengths_and_ignores_the_logit_scale() {
    let scores = score(&Scoring::raw_dot(scale(100.0)), [3.0, 0.0], &[[2.0, 0.0]]);
    assert_eq!(scores.labels[0].logit, Some(6.0));
}

#[test]
fn cosines_have_no_probability() {
    let scores = score(&Scoring::cosine(scale(100.0)), [3.0, 4.0], &[[2.0, 0.0], [0.0, 1.0]]);
    assert_eq!(order(&scores), [1, 0]);
    assert_eq!((scores.labels[0].probability, scores.labels[0].logit), (None, None));
    assert_near(Some(scores.labels[0].cosine), 0.8);
}

#[test]
fn the_nearest_row_of_a_label_counts() {
    let rows = texts(&[[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]);
    let scores = Scoring::softmax(scale(10.0)).scores(&[0.0, 1.0], &rows, &[0..2, 2..3]);
    assert_eq!((scores.labels[1].label_idx, scores.labels[1].row), (0, 1));
    assert_near(scores.labels[1].logit, 8.0);
}

#[test]
fn a_temperature_changes_probabilities_but_not_the_order() {
    let rows = [[1.0, 0.0], [0.6, 0.8]];
    let with = |temperature| {
        let scoring = Scoring::softmax(scale(10.0)).temperature(Temperature::new(temperature).unwrap());
        score(&scoring, [1.0, 0.0], &rows)
    };
    let (sharp, own, flat) = (with(0.5), with(1.0), with(4.0));
    assert_eq!(order(&sharp), order(&flat));
    assert_near(flat.labels[0].logit, 2.5);
    assert_near(own.labels[0].probability, 1.0 / (1.0 + (-4f64).exp()));
    assert_near(flat.labels[0].probability, 1.0 / (1.0 + (-1f64).exp()));
    assert_near(sharp.labels[0].probability, 1.0 / (1.0 + (-8f64).exp()));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Temperature::new(bad), None);
    }
}

#[test]
fn independent_labels_are_compared_with_neutral_prompts_only() {
    let neutral = Neutral::new(texts(&[[0.8, 0.6], [0.6, 0.8]])).unwrap();
    let scoring = Scoring::independent(scale(10.0), neutral);
    let alone = score(&scoring, [1.0, 0.0], &[[2.0, 0.0]]);
    let together = score(&scoring, [1.0, 0.0], &[[0.0, 1.0], [2.0, 0.0], [5.0, 0.0]]);
    let level = ((8f64.exp() + 6f64.exp()) / 2.0).ln();
    assert_near(alone.labels[0].logit, 10.0 - level);
    assert_near(alone.labels[0].probability, 1.0 / (1.0 + (level - 10.0).exp()));
    assert_eq!(together.labels[0].probability, alone.labels[0].probability);
    assert_eq!(together.labels[1].probability, alone.labels[0].probability);
    assert_near(together.labels[2].probability, 1.0 / (1.0 + level.exp()));
}

#[test]
fn none_of_these_has_the_level_of_neutral_prompts_plus_the_margin() {
    let neutral = || Neutral::new(texts(&[[0.8, 0.6]])).unwrap();
    let scores = |margin| {
        let scoring = Scoring::softmax_or_none(scale(10.0), neutral(), margin);
        score(&scoring, [1.0, 0.0], &[[0.9, 0.435_889_9], [0.0, 1.0]])
    };
    let likely = scores(0.5);
    let (labels, none) = (&likely.labels, likely.none.unwrap());
    assert_near(Some(none.logit), 8.5);
    assert_near(labels[0].logit, 9.0);
    let sum = labels.iter().filter_map(|label| label.probability).sum::<f64>() + none.probability;
    assert_near(Some(sum), 1.0);
    assert_near(Some(labels[0].probability.unwrap() / none.probability), 0.5f64.exp());
    assert_eq!(likely.n_likelier_than_none(), 1);
    assert_eq!(scores(1.5).n_likelier_than_none(), 0);
    assert_eq!(scores(-9.0).n_likelier_than_none(), 2);
}

#[test]
fn the_order_of_labels_does_not_change_a_bit() {
    let rows: Vec<[f32; 2]> = (0..50)
        .map(|i| [(i as f32 * 0.7).sin(), (i as f32 * 1.3).cos()])
        .collect();
    let backward: Vec<[f32; 2]> = rows.iter().rev().copied().collect();
    let scoring = Scoring::softmax(scale(7.0));
    let (one, other) = (
        score(&scoring, [0.3, 0.9], &rows),
        score(&scoring, [0.3, 0.9], &backward),
    );
    for (a, b) in one.labels.iter().zip(&other.labels) {
        assert_eq!(a.probability, b.probability);
        assert_eq!(a.label_idx, rows.len() - 1 - b.label_idx);
    }
}

#[test]
fn groups_sum_the_probabilities_of_their_labels() {
    let rows = [[1.0, 0.0], [0.0, 1.0], [0.9, 0.1]];
    let scores = score(&Scoring::softmax(scale(2.0)), [0.4, 0.9], &rows);
    let groups = group_scores(&scores.labels, &[0, 1, 0], 2);
    let of = |label| scores.labels.iter().find(|score| score.label_idx == label).unwrap();
    for group in groups {
        let members: &[usize] = if group.group_idx == 0 { &[0, 2] } else { &[1] };
        let sum: f64 = members.iter().filter_map(|label| of(*label).probability).sum();
        assert_near(Some(group.probability), sum);
    }
}

#[test]
fn tiles_are_pooled_for_each_label_and_for_none_of_these() {
    // The first tile shows the first label, the second one the second label.
    let rows = [[3.0, 0.0], [0.0, 2.0]];
    let tiles = ImageEmbeddings(Embeddings::new(vec![2.0, 0.0, 0.6, 0.8], 2));
    let neutral = Neutral::new(texts(&[[1.0, 0.0]])).unwrap();
    let level_of = |image: [f32; 2]| Neutral::new(texts(&[[1.0, 0.0]])).unwrap().level(&image, 1.0);
    let scoring = Scoring::softmax_or_none(scale(1.0), neutral, 1.0);
    let pooled = |pooling| scoring.scores_of(&Views::Tiles(tiles.clone(), pooling), &texts(&rows), &[0..1, 1..2]);
    let best = pooled(Pooling::Best);
    assert_eq!(order(&best), [0, 1]);
    assert_near(best.labels[0].logit, 1.0);
    assert_near(best.labels[1].logit, 0.8);
    assert_near(
        best.none.map(|none| none.logit),
        level_of([2.0, 0.0]).max(level_of([0.6, 0.8])) + 1.0,
    );
    let sum: f64 = best.labels.iter().filter_map(|label| label.probability).sum();
    assert_near(Some(sum + best.none.unwrap().probability), 1.0);
    let mean = pooled(Pooling::Mean);
    assert_near(mean.labels[0].logit, 0.8);
    assert_near(Some(mean.labels[0].cosine), 0.8);
    assert_near(mean.labels[1].logit, 0.4);
    let one = ImageEmbeddings(Embeddings::new(vec![0.6, 0.8], 2));
    for pooling in [Pooling::Best, Pooling::Mean] {
        let alone = scoring.scores_of(&Views::Tiles(one.clone(), pooling), &texts(&rows), &[0..1, 1..2]);
        assert_eq!(alone, score(&scoring, [0.6, 0.8], &rows), "one tile is as no tiles");
    }
}
