//! The results of retrieval as text, and as JSON with the keys of CLIP_benchmark's files.

use serde_json::{Map, Value, json};

use super::lengths::AtLength;
use super::measured::Measured;
use super::pairs::Pairs;
use super::protocol::TIES;
use super::recall::{Direction, Recall};
use crate::eval::comparison::{Comparison, ModelFacts, display_names};
use crate::eval::interval::Estimate;

/// Characters of the longest bar.
const BAR: f64 = 30.0;

/// Images that are listed as the worst.
const WORST: usize = 10;

/// The results of one model, or of two.
pub struct Results<'a> {
    /// The data as the user named it.
    pub data: String,
    /// One model, or two.
    pub measured: &'a [Measured],
    /// The comparison of the two.
    pub comparison: Option<Comparison>,
    /// The images with their captions.
    pub pairs: &'a Pairs,
    /// The command that was run, as typed.
    pub command: &'a str,
}

impl Results<'_> {
    /// One name per model.
    pub(super) fn model_names(&self) -> Vec<String> {
        let models: Vec<ModelFacts> = self.measured.iter().map(|measured| measured.model.clone()).collect();
        display_names(&models)
    }

    /// As text for a terminal.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for (measured, name) in self.measured.iter().zip(self.model_names()) {
            text += &format!(
                "{}, on {}\n{}\n\n",
                with_dtype(&name, &measured.model.dtype),
                self.data,
                measured.protocol.line()
            );
            text += &recall_table(&measured.recalls);
            text += &length_table(measured);
            text += &monotonicity(measured);
            if let Some(rate) = measured.images_per_s {
                text += &format!("\nspeed: {rate:.1} images/s\n");
            }
            text += "\n";
        }
        if let Some(comparison) = &self.comparison {
            text += &comparison.table();
            text += "\n";
        }
        text += &format!("{}\n", self.footer());
        text
    }

    /// What applies to all numbers.
    pub(super) fn footer(&self) -> String {
        format!("intervals of shares: 95%, Wilson, an image with its captions as one draw; {TIES}")
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let first = &self.measured[0];
        let mut json = json!({
            "dataset": self.data,
            "model": first.model.name,
            "pretrained": first.model.name,
            "dtype": first.model.dtype,
            "task": "zeroshot_retrieval",
            "language": "en",
            "metrics": by_key(&first.recalls, |recall| json!(recall.share.value)),
            "intervals_95": by_key(&first.recalls, |recall| recall.share.interval_json()),
            "protocol": first.protocol.to_json(),
            "images_per_s": first.images_per_s,
        });
        if !self.pairs.unusable.is_empty() {
            let left_out = self.pairs.unusable.iter().map(ToString::to_string);
            json["left_out"] = left_out.collect::<Vec<_>>().into();
        }
        if !first.lengths.is_empty() {
            json["lengths"] = first.lengths.iter().map(at_length).collect();
        }
        if let Some(found) = &first.monotonicity {
            json["monotonicity"] = json!({
                "captions": found.rising_share(),
                "sentences": found.raising_share(),
                "spearman": found.correlation(),
                "n_captions": found.captions.len(),
                "n_left_out": found.n_left_out,
            });
        }
        json["worst"] = self.worst(first);
        if let (Some(comparison), [_, second]) = (&self.comparison, self.measured) {
            json["compare"] = comparison.to_json();
            json["compare"]["protocol"] = second.protocol.to_json();
        }
        json
    }

    /// The images whose captions rank last, with the caption that ranked first instead.
    fn worst(&self, measured: &Measured) -> Value {
        let captions: Vec<&str> = self.pairs.captions().collect();
        let described = |image_idx: usize| {
            let place = measured.ranks.image_to_text[image_idx];
            let captioned = &self.pairs.images[image_idx];
            json!({
                "path": captioned.image.name(),
                "captions": captioned.captions,
                "rank": place.rank + 1,
                "first": captions[place.first],
                "first_cosine": place.first_similarity,
                "own_cosine": place.own_similarity,
            })
        };
        measured.ranks.worst_images(WORST).into_iter().map(described).collect()
    }
}

/// A model's name with its number type, unless the name contains it.
pub(super) fn with_dtype(label: &str, dtype: &str) -> String {
    match label.split(", ").any(|part| part == dtype) {
        true => label.to_owned(),
        false => format!("{label} in {dtype}"),
    }
}

fn by_key(recalls: &[Recall], of: impl Fn(&Recall) -> Value) -> Map<String, Value> {
    recalls
        .iter()
        .map(|recall| (recall.direction.key(recall.k), of(recall)))
        .collect()
}

fn at_length(at: &AtLength) -> Value {
    json!({
        "tokens": at.tokens.get(),
        "n_cut": at.n_cut,
        "metrics": by_key(&at.recalls, |recall| json!(recall.share.value)),
        "intervals_95": by_key(&at.recalls, |recall| recall.share.interval_json()),
    })
}

fn recall_table(recalls: &[Recall]) -> String {
    let of_direction = |direction: Direction| recalls.iter().filter(move |recall| recall.direction == direction);
    let mut text = format!("{:<15}", "");
    for recall in of_direction(Direction::TextToImage) {
        text += &format!("{:<24}", format!("R@{}", recall.k));
    }
    text = text.trim_end().to_owned() + "\n";
    for direction in Direction::BOTH {
        let mut line = format!("{:<15}", direction.name());
        for recall in of_direction(direction) {
            line += &format!("{:<24}", percents(&recall.share));
        }
        text += &format!("{}\n", line.trim_end());
    }
    text
}

fn percents(share: &Estimate) -> String {
    let Estimate { value, low, high } = share;
    format!("{:.1}% ({:.1} to {:.1})", 100.0 * value, 100.0 * low, 100.0 * high)
}

fn length_table(measured: &Measured) -> String {
    if measured.lengths.is_empty() {
        return String::new();
    }
    let mut text = "\ntokens  text to image R@1     image to text R@1     captions cut\n".to_owned();
    let longest = measured
        .lengths
        .iter()
        .map(|at| at.recalls[0].share.value)
        .fold(f64::MIN_POSITIVE, f64::max);
    for at in &measured.lengths {
        let shares: Vec<&Estimate> = at.recalls.iter().map(|recall| &recall.share).collect();
        let bar = "#".repeat((BAR * shares[0].value / longest).round() as usize);
        let beyond = match at.tokens > measured.context {
            true => format!("  (this model reads {})", measured.context.get()),
            false => String::new(),
        };
        let line = format!(
            "{:>6}  {:<20}  {:<20}  {:>12}  {bar}{beyond}",
            at.tokens.get(),
            percents(shares[0]),
            percents(shares[1]),
            at.n_cut
        );
        text += &format!("{}\n", line.trim_end());
    }
    text
}

pub(super) fn monotonicity(measured: &Measured) -> String {
    let Some(found) = &measured.monotonicity else {
        return String::new();
    };
    if found.captions.is_empty() {
        return "\nno caption has two sentences that the model reads: nothing is measured\n".to_owned();
    }
    format!(
        "\nmore true sentences: {:.1}% of {} captions rise with every sentence, {:.1}% of added sentences raise the similarity, \
         mean rank correlation {:+.3}; {} captions of one sentence say nothing\n",
        100.0 * found.rising_share(),
        found.captions.len(),
        100.0 * found.raising_share(),
        found.correlation(),
        found.n_left_out
    )
}
