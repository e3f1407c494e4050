//! Compares two models metric by metric: images are resampled with their captions, the same ones for both models.

use longclip::eval::bootstrap::{Bootstrap, Ratio};
use longclip::eval::retrieval::{Growing, Recall};

use super::measured::Measured;
use crate::cli::eval::compare::{Compared, Comparison, Contender, Scale, labels};

/// A metric of one model, image by image.
struct Metric {
    key: String,
    name: String,
    scale: Scale,
    ratio: Ratio,
}

/// All metrics of both models with their differences, if there are two.
pub(super) fn compare(contenders: &[Contender], measured: &[Measured], bootstrap: Bootstrap) -> Option<Comparison> {
    let [first, second] = measured else { return None };
    let models = <[String; 2]>::try_from(labels(contenders)).ok()?;
    let (first, second) = (metrics(first), metrics(second));
    let n_pictures = first.first().map_or(0, |metric| metric.ratio.parts.len());
    let differences = bootstrap.paired(n_pictures, |times| {
        let pairs = first.iter().zip(&second);
        pairs
            .map(|(first, second)| first.ratio.value(times) - second.ratio.value(times))
            .collect()
    });
    let all = vec![1; n_pictures];
    let rows = first.into_iter().zip(second).zip(differences);
    let rows = rows.map(|((first, second), difference)| Compared {
        first: first.ratio.value(&all),
        second: second.ratio.value(&all),
        key: first.key,
        name: first.name,
        scale: first.scale,
        difference,
    });
    Some(Comparison {
        models,
        bootstrap,
        rows: rows.collect(),
    })
}

fn metrics(measured: &Measured) -> Vec<Metric> {
    let n_pictures = measured.protocol.n_pictures;
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
            let mut parts = vec![(0.0, 0.0); n_pictures];
            for growing in &monotonicity.captions {
                let (above, below) = of(growing);
                parts[growing.picture_idx].0 += above;
                parts[growing.picture_idx].1 += below;
            }
            metrics.push(Metric {
                key: key.to_owned(),
                name: name.to_owned(),
                scale,
                ratio: Ratio { parts },
            });
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
    let part = |hits: &longclip::eval::retrieval::Hits| (f64::from(hits.n_found), f64::from(hits.n_asked));
    Metric {
        key,
        name: format!("{} R@{}{suffix}", recall.direction.name(), recall.k),
        scale: Scale::Share,
        ratio: Ratio {
            parts: recall.hits.iter().map(part).collect(),
        },
    }
}
