//! The metrics of one model. They can be computed for any draw of images, so that two models can be compared. A caption is
//! drawn with its image.

use super::measured::Measured;
use super::monotone::Growing;
use super::recall::{Hits, Recall};
use crate::eval::comparison::{Metric, Scale};

/// All that was measured of a model.
pub fn metrics(measured: &Measured) -> Vec<Metric> {
    let n_images = measured.protocol.n_images;
    let mut metrics: Vec<Metric> = measured
        .recalls
        .iter()
        .map(|recall| share(recall, recall.direction.key(recall.k), String::new()))
        .collect();
    for at in &measured.lengths {
        let tokens = at.tokens.get();
        let of_recall = |recall: &Recall| {
            let key = format!("{}/tokens={tokens}", recall.direction.key(recall.k));
            share(recall, key, format!(", {tokens} tokens"))
        };
        metrics.extend(at.recalls.iter().map(of_recall));
    }
    if let Some(monotonicity) = &measured.monotonicity {
        let mut metric = |key: &str, name: &str, scale, of: fn(&Growing) -> (f64, f64)| {
            let mut parts = vec![(0.0, 0.0); n_images];
            for growing in &monotonicity.captions {
                let (above, below) = of(growing);
                parts[growing.image_idx].0 += above;
                parts[growing.image_idx].1 += below;
            }
            metrics.push(Metric::of_ratio(key, name, scale, parts));
        };
        let is_rising = |growing: &Growing| (f64::from(u8::from(growing.n_rises == growing.n_added)), 1.0);
        let raising = |growing: &Growing| (growing.n_rises as f64, growing.n_added as f64);
        metric(
            "monotone_captions",
            "captions that always rise",
            Scale::Share,
            is_rising,
        );
        metric("monotone_sentences", "sentences that raise", Scale::Share, raising);
        metric("monotone_spearman", "rank correlation", Scale::Number, |growing| {
            (growing.correlation, 1.0)
        });
    }
    metrics
}

fn share(recall: &Recall, key: String, suffix: String) -> Metric {
    let part = |hits: &Hits| (f64::from(hits.n_found), f64::from(hits.n_asked));
    let name = format!("{} R@{}{suffix}", recall.direction.name(), recall.k);
    Metric::of_ratio(&key, &name, Scale::Share, recall.hits.iter().map(part).collect())
}
