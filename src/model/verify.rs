//! Checks a model: every tensor is read, hashes are compared with the hub's, and outputs with recorded ones.

use std::path::Path;

use serde::Serialize;

use super::recorded::{LEAST_COSINE, Recorded, cosine};
use super::{LongClip, LongClipOptions};
use crate::error::Result;
use crate::preprocess::Pixels;
use crate::weights::hub::{self, Checksum, HubSettings};
use crate::weights::names::{KnownModel, ModelSource, Resolved};
use crate::weights::{Checkpoint, weights_files};

/// The outcome of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked.
    pub check: &'static str,
    /// Whether it is as it should be.
    pub result: CheckResult,
    /// What was found.
    pub detail: String,
}

/// Whether what was checked is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckResult {
    /// It is.
    Ok,
    /// It is not.
    Failed,
    /// It could not be checked here, which is not a failure.
    NotChecked,
}

impl Check {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, CheckResult::Ok, detail)
    }

    fn failed(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, CheckResult::Failed, detail)
    }

    fn not_checked(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, CheckResult::NotChecked, detail)
    }

    fn new(check: &'static str, result: CheckResult, detail: impl Into<String>) -> Self {
        Check {
            check,
            result,
            detail: detail.into(),
        }
    }
}

/// Checks an open model and its files. Outputs are compared only if all tensors are sound.
///
/// # Errors
/// [`Error::Read`](crate::Error::Read) for a file that can't be read; those of computing with the model.
pub fn verify(found: &Resolved, checkpoint: Checkpoint, hub: &HubSettings) -> Result<Vec<Check>> {
    let mut checks = check_hashes(found, hub)?;
    let tensors = check_tensors(&checkpoint);
    let are_sound = tensors.result == CheckResult::Ok;
    checks.push(tensors);
    if are_sound {
        checks.extend(check_outputs(checkpoint)?);
    }
    Ok(checks)
}

fn check_tensors(checkpoint: &Checkpoint) -> Check {
    let tensors = checkpoint.tensors();
    let mut n_numbers = 0;
    for (name, _) in &tensors {
        match checkpoint.values(name) {
            Ok(values) => n_numbers += values.len(),
            Err(error) => return Check::failed("tensors", error.to_string()),
        }
        checkpoint.release(name);
    }
    Check::ok(
        "tensors",
        format!("{} tensors, {n_numbers} numbers, all finite", tensors.len()),
    )
}

/// Compares the files' hashes with the hub's, or with those from when they were downloaded.
fn check_hashes(found: &Resolved, settings: &HubSettings) -> Result<Vec<Check>> {
    let ModelSource::Path(path) = &found.source else {
        return Ok(vec![Check::not_checked("hash", "the model is part of the program")]);
    };
    let mut checks = Vec::new();
    for file in weights_files(path)? {
        let expected = match hub::recorded_checksum(&file) {
            Some(checksum) => Ok((checksum, "the hub's when it was downloaded")),
            None => hub_checksum(&file, settings),
        };
        let sha256 = || hub::file_sha256(&file, |_| ());
        checks.push(match expected {
            Err(reason) => Check::not_checked("hash", format!("sha256 {}; {reason}", sha256()?.hex())),
            Ok((expected @ Checksum::Sha256(_), whose)) => match sha256()? {
                same if same == expected => Check::ok("hash", format!("sha256 {} is {whose}", same.hex())),
                other => Check::failed(
                    "hash",
                    format!("sha256 {} is not {whose}, {}", other.hex(), expected.hex()),
                ),
            },
            Ok(_) => Check::not_checked("hash", format!("sha256 {}; the hub states none", sha256()?.hex())),
        });
    }
    Ok(checks)
}

/// The hub's hash for a file that the user downloaded by hand, or why it is unknown.
fn hub_checksum(file: &Path, settings: &HubSettings) -> Result<(Checksum, &'static str), String> {
    // By the file's name, not the model's: a converted `longclip-b.safetensors` has other bytes.
    let known = file.file_name().and_then(|name| KnownModel::by_file(name.to_str()?));
    let known = known.ok_or("the hub has no file of this name to compare it with")?;
    let facts = hub::hub_facts(&known.address(), settings).map_err(|error| error.to_string())?;
    let checksum = Checksum::from_etag(&facts.etag).ok_or("the hub states no hash")?;
    Ok((checksum, "the hub's"))
}

/// Compares a model's outputs with recorded ones, if there are any.
fn check_outputs(checkpoint: Checkpoint) -> Result<Vec<Check>> {
    let recorded = Recorded::longclip_b();
    if !recorded.is_of(&checkpoint)? {
        return Ok(vec![Check::not_checked(
            "outputs",
            "it is not the official longclip-B, whose outputs are recorded",
        )]);
    }
    let model = LongClip::from_checkpoint(checkpoint, &LongClipOptions::default())?;
    let mut checks = vec![check_ids(&model, &recorded)];
    let texts = model.encode_texts(&recorded.texts)?;
    for (row, expected) in texts.0.rows().zip(&recorded.text_features) {
        checks.push(compare("text features", row, expected));
    }
    let image = model.encode_image(&grey_image(&model)?)?;
    checks.push(compare("image features", image.0.row(0), &recorded.image_features));
    Ok(checks)
}

fn check_ids(model: &LongClip, recorded: &Recorded) -> Check {
    for (text, expected) in recorded.texts.iter().zip(&recorded.ids) {
        if model.tokenize(text).ids() != expected {
            return Check::failed("token ids", format!("of `{text}` are not the recorded ones"));
        }
    }
    Check::ok(
        "token ids",
        format!("of {} texts are the recorded ones", recorded.texts.len()),
    )
}

/// The image of the recordings.
fn grey_image(model: &LongClip) -> Result<Pixels> {
    let side = model.sizes().image_resolution_px;
    let mut ppm = format!("P6 {side} {side} 255\n").into_bytes();
    ppm.resize(ppm.len() + 3 * side * side, 127);
    model.preprocess().run("grey.ppm", &ppm)
}

fn compare(what: &'static str, found: &[f32], recorded: &[f32]) -> Check {
    let cosine = cosine(found, recorded);
    let detail = format!("cosine {cosine:.6} with the recorded ones (at least {LEAST_COSINE})");
    if cosine >= LEAST_COSINE {
        Check::ok(what, detail)
    } else {
        Check::failed(what, detail)
    }
}
