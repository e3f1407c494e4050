//! Training steps on a tiny model, compared with the reference and with each other.

use candle_core::{DType, Device, Tensor};
use serde_json::Value;

use super::gradients::{Example, Gradients, Kept, Plan, gradients, gradients_of};
use super::optimizer::{AdamW, AdamWSettings, Schedule};
use super::parameters::Parameters;
use super::pcm::Matching;
use super::testing::{assert_close, golden, image, numbers, tiny_clip, token_ids, values};
use super::towers::{Computing, Towers};
use crate::weights::LoadOptions;

const DEVICE: Device = Device::Cpu;

/// The batch of the reference.
fn reference_batch(goldens: &Value) -> Vec<Example> {
    let ids = |which: &str, i: usize| {
        let text = &goldens[which][i];
        token_ids(text[0].as_str().unwrap(), text[1].as_u64().unwrap() as usize)
    };
    let n = goldens["batch"].as_u64().unwrap() as usize;
    let example = |i| Example {
        pixels: image(&format!("train.image.{i}")),
        long: ids("ids_long", i),
        short: ids("ids_short", i),
    };
    (0..n).map(example).collect()
}

/// `n` samples with short texts.
fn small_batch(n: usize) -> Vec<Example> {
    let example = |i| Example {
        pixels: image(&format!("small.image.{i}")),
        long: token_ids(&format!("small.long.{i}"), 5 + 4 * i),
        short: token_ids(&format!("small.short.{i}"), 2 + i % 3),
    };
    (0..n).map(example).collect()
}

fn parameters(freeze: &[&str]) -> Parameters {
    let freeze: Vec<String> = freeze.iter().map(|prefix| (*prefix).to_owned()).collect();
    Parameters::from_checkpoint(&tiny_clip(&LoadOptions::default()), &freeze, &DEVICE).unwrap()
}

fn compute(parameters: &Parameters, batch: &[Example], micro_batch: usize, matching: &Matching) -> Gradients {
    let plan = plan(micro_batch, Kept::Activations);
    gradients(parameters, &Computing::CPU, batch, plan, matching).unwrap()
}

fn plan(micro_batch: usize, kept: Kept) -> Plan {
    Plan { micro_batch, kept }
}

/// Checks both losses to `relative`, and that gradients have the same names.
#[track_caller]
fn check_losses(found: &Gradients, expected: &Gradients, relative: f64) {
    assert_close("the long loss", &[found.loss_long], &[expected.loss_long], relative);
    assert_close("the short loss", &[found.loss_short], &[expected.loss_short], relative);
    assert!(found.by_name.keys().eq(expected.by_name.keys()));
}

/// Checks losses and gradients to these relative errors.
#[track_caller]
fn check_same(found: &Gradients, expected: &Gradients, of_losses: f64, of_gradients: f64) {
    check_losses(found, expected, of_losses);
    for (name, gradient) in &found.by_name {
        assert_close(name, &values(gradient), &values(&expected.by_name[name]), of_gradients);
    }
}

#[test]
fn three_steps_equal_the_reference() {
    let goldens = golden("steps.json");
    let parameters = parameters(&[]);
    let batch = reference_batch(&goldens);
    let schedule = Schedule {
        peak: goldens["lr"].as_f64().unwrap(),
        warmup_steps: goldens["warmup"].as_u64().unwrap(),
        total_steps: goldens["total_steps"].as_u64().unwrap(),
    };
    let mut optimizer = AdamW::new(AdamWSettings::default());
    for (i, expected) in goldens["steps"].as_array().unwrap().iter().enumerate() {
        let what = |part: &str| format!("{part} of step {i}");
        let rate = schedule.rate(i as u64);
        assert_close(&what("the rate"), &[rate], &numbers(&expected["lr"]), 1e-12);
        let found = compute(&parameters, &batch, batch.len(), &Matching::default());
        assert_close(
            &what("the long loss"),
            &[found.loss_long],
            &numbers(&expected["loss_long"]),
            1e-4,
        );
        assert_close(
            &what("the short loss"),
            &[found.loss_short],
            &numbers(&expected["loss_short"]),
            1e-4,
        );
        let norms = expected["grad_norms"].as_object().unwrap();
        assert_eq!(found.by_name.len(), norms.len());
        for (name, norm) in norms {
            let gradient = values(&found.by_name[name]);
            let length = gradient.iter().map(|v| v * v).sum::<f64>().sqrt();
            assert_close(&what(name), &[length], &numbers(norm), 1e-2);
        }
        optimizer.step(parameters.trained(), &found.by_name, rate).unwrap();
    }
    let tensors = parameters.tensors();
    for (name, expected) in goldens["after"].as_object().unwrap() {
        for (found, expected) in values(tensors[name.as_str()]).iter().zip(numbers(expected)) {
            assert!((found - expected).abs() < 2e-4, "`{name}` has {found}, not {expected}");
        }
    }
}

#[test]
fn gradients_in_parts_equal_those_of_the_whole_batch() {
    let (parameters, batch) = (parameters(&[]), small_batch(7));
    let matching = Matching {
        components: Some(3),
        ..Matching::default()
    };
    let whole = compute(&parameters, &batch, 7, &matching);
    for micro_batch in [1, 3, 6] {
        let parts = compute(&parameters, &batch, micro_batch, &matching);
        check_same(&parts, &whole, 1e-5, 1e-3);
    }
}

#[test]
fn recomputed_blocks_give_the_same_gradients_as_kept_ones() {
    let batch = small_batch(5);
    let with_short = Matching {
        components: Some(3),
        ..Matching::default()
    };
    let without = Matching {
        components: None,
        ..Matching::default()
    };
    for (freeze, matching) in [
        (vec![], with_short),
        (vec![], without),
        (vec!["visual.", "logit_scale"], with_short),
        (vec!["transformer.", "token_embedding"], with_short),
    ] {
        let parameters = parameters(&freeze);
        let whole = compute(&parameters, &batch, 5, &matching);
        for micro_batch in [5, 2] {
            let plan = plan(micro_batch, Kept::BlockInputs);
            let again = gradients(&parameters, &Computing::CPU, &batch, plan, &matching).unwrap();
            check_same(&again, &whole, 1e-6, 1e-5);
        }
    }
}

#[test]
fn gradients_equal_differences_of_the_loss() {
    let (parameters, batch) = (parameters(&[]), small_batch(4));
    let matching = Matching {
        components: Some(2),
        ..Matching::default()
    };
    parameters
        .set("logit_scale", &Tensor::new(1.0f32, &DEVICE).unwrap())
        .unwrap();
    let found = compute(&parameters, &batch, 4, &matching);
    for (name, var) in parameters.trained() {
        // Along the gradient, the slope of the loss is the gradient's norm.
        let gradient = &found.by_name[name];
        let length = values(gradient).iter().map(|v| v * v).sum::<f64>().sqrt();
        if length < 1e-3 {
            continue;
        }
        let start = var.as_tensor().copy().unwrap();
        let step = 1e-2 / length.max(1.0);
        let loss_at = |distance: f64| {
            let moved = (&start + (gradient * (distance / length)).unwrap()).unwrap();
            parameters.set(name, &moved).unwrap();
            let moved = compute(&parameters, &batch, 4, &matching);
            moved.loss_long + moved.loss_short
        };
        let slope = (loss_at(step) - loss_at(-step)) / (2.0 * step);
        parameters.set(name, &start).unwrap();
        assert_close(name, &[slope], &[length], 2e-2);
    }
}

#[test]
fn fused_layers_have_the_losses_and_gradients_of_composed_ones() {
    use crate::model::engine::Gradients as Operations;
    let (parameters, batch) = (parameters(&[]), small_batch(6));
    let matching = Matching {
        components: Some(3),
        ..Matching::default()
    };
    let by = |operations| {
        let towers = Towers::of(&parameters, &parameters, &Computing::CPU, operations).unwrap();
        gradients_of(&parameters, &towers, &batch, plan(6, Kept::Activations), &matching).unwrap()
    };
    let (fused, composed) = (by(Operations::Fused), by(Operations::Composed));
    check_same(&fused, &composed, 1e-5, 1e-3);
}

#[test]
fn mixed_precision_gradients_are_f32_and_point_the_same_way() {
    let (parameters, batch) = (parameters(&[]), small_batch(6));
    let matching = Matching {
        components: Some(3),
        ..Matching::default()
    };
    // At the usual logit scale, the loss would magnify the rounding of bf16 a hundred times.
    parameters
        .set("logit_scale", &Tensor::new(1.0f32, &DEVICE).unwrap())
        .unwrap();
    let exact = compute(&parameters, &batch, 6, &matching);
    for kept in [Kept::Activations, Kept::BlockInputs] {
        let computing = Computing {
            device: DEVICE,
            dtype: DType::BF16,
        };
        let mixed = gradients(&parameters, &computing, &batch, plan(4, kept), &matching).unwrap();
        check_losses(&mixed, &exact, 2e-2);
        for (name, gradient) in &mixed.by_name {
            assert_eq!(gradient.dtype(), DType::F32, "`{name}`");
            let (found, expected) = (values(gradient), values(&exact.by_name[name]));
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let cosine = dot(&found, &expected) / (dot(&found, &found) * dot(&expected, &expected)).sqrt();
            assert!(cosine > 0.98, "`{name}` has a cosine of {cosine}");
        }
    }
}

#[test]
fn a_base_of_77_positions_gets_a_fixed_and_a_trained_table() {
    let parameters = parameters(&[]);
    let tensors = parameters.tensors();
    assert_eq!(tensors["positional_embedding"].dims(), [248, 64]);
    assert_eq!(
        values(tensors["positional_embedding"]),
        values(tensors["positional_embedding_res"])
    );
    assert!(!parameters.trained().contains_key("positional_embedding"));
}

#[test]
fn without_stretching_the_only_table_is_trained() {
    let options = LoadOptions {
        stretching: None,
        ..LoadOptions::default()
    };
    let parameters = Parameters::from_checkpoint(&tiny_clip(&options), &[], &DEVICE).unwrap();
    assert!(!parameters.tensors().contains_key("positional_embedding_res"));
    let found = compute(&parameters, &small_batch(3), 3, &Matching::default());
    assert!(found.by_name.contains_key("positional_embedding"));
}

#[test]
fn frozen_tensors_get_no_gradient() {
    let parameters = parameters(&["visual.", "logit_scale"]);
    let found = compute(&parameters, &small_batch(3), 2, &Matching::default());
    assert!(
        found
            .by_name
            .keys()
            .all(|name| !name.starts_with("visual.") && name != "logit_scale")
    );
    assert!(found.by_name.contains_key("text_projection"));
}

#[test]
fn freezing_an_unknown_tensor_is_refused() {
    let checkpoint = tiny_clip(&LoadOptions::default());
    for (freeze, expected) in [("vision.", "`vision.`"), ("", "``")] {
        let error = Parameters::from_checkpoint(&checkpoint, &[freeze.into()], &DEVICE)
            .err()
            .unwrap();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
