//! Tests with files that are almost a CLIP, in every layout: each missing, misshapen or damaged tensor is named, and no
//! file makes the reader panic.
//!
//! The files are made from a tiny CLIP of two image blocks and one text block, by doing each layout's [`Assembly`] in
//! reverse.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, TensorView};

use super::layouts::{self, Assembly, Layout};
use super::sizes::Sizes;
use super::stored::{FileFormat, TensorFile};
use super::{Checkpoint, LoadOptions};
use crate::Result;

pub(super) const SIZES: Sizes = Sizes {
    image_resolution_px: 16,
    patch_px: 8,
    vision_width: 64,
    vision_layers: 2,
    vision_heads: 1,
    vision_mlp_dim: 96,
    text_width: 128,
    text_layers: 1,
    text_heads: 2,
    text_mlp_dim: 160,
    embed_dim: 32,
    vocab_size: 11,
    context_length: 248,
    stored_context_length: 248,
};

/// A tensor as a file would hold it: shape and values.
pub(super) type Written = (Vec<usize>, Vec<f32>);
pub(super) type File = BTreeMap<String, Written>;

pub(super) fn layout(name: &str) -> &'static Layout {
    let found = layouts::all().into_iter().find(|layout| layout.name.starts_with(name));
    found.unwrap_or_else(|| panic!("there is no layout {name}"))
}

/// Values that differ within and between tensors, exact in f16.
pub(super) fn values_of(name: &str, shape: &[usize]) -> Vec<f32> {
    let seed = name
        .bytes()
        .fold(7u32, |h, b| h.wrapping_mul(31).wrapping_add(b.into()));
    (0..shape.iter().product::<usize>() as u32)
        .map(|i| (seed.wrapping_add(i).wrapping_mul(2_654_435_761) >> 22) as f32 / 512.0 - 1.0)
        .collect()
}

pub(super) fn columns(values: &[f32], n_columns: usize) -> Vec<f32> {
    (0..n_columns)
        .flat_map(|column| values.iter().skip(column).step_by(n_columns).copied())
        .collect()
}

/// The tiny CLIP in a layout. Low-rank tables get the identity as their second factor.
pub(super) fn written(layout: &Layout) -> File {
    let none = TensorFile {
        path: "none".into(),
        format: FileFormat::Safetensors,
        blobs: Vec::new(),
        tensors: BTreeMap::new(),
    };
    let mut file = File::new();
    for (name, shape) in SIZES.tensors() {
        let values = values_of(&name, &shape);
        let is_gmp = layout.name.starts_with("GmP") && name.contains("mlp.") && name.ends_with(".weight");
        match (layout.assembly)(&none, &name) {
            Assembly::AsStored(stored) if is_gmp => {
                let layer = stored.trim_end_matches(".weight");
                let norms = values
                    .chunks(shape[1])
                    .map(|row| row.iter().map(|v| v * v).sum::<f32>().sqrt());
                file.insert(format!("{layer}.r"), (vec![shape[0], 1], norms.collect()));
                file.insert(
                    format!("{layer}.theta"),
                    (shape, values.iter().map(|v| v * 4.0).collect()),
                );
            }
            Assembly::AsStored(stored) => drop(file.insert(stored, (shape, values))),
            Assembly::Transposed(stored) => {
                let turned = columns(&values, shape[1]);
                file.insert(stored, (vec![shape[1], shape[0]], turned));
            }
            Assembly::Joined(parts) => {
                for (part, chunk) in parts.into_iter().zip(values.chunks(values.len() / 3)) {
                    let mut shape = shape.clone();
                    shape[0] /= 3;
                    file.insert(part, (shape, chunk.to_vec()));
                }
            }
            Assembly::LowRank { a, b, .. } => {
                let width = shape[1];
                let identity = (0..width * width).map(|i| f32::from(u8::from(i % (width + 1) == 0)));
                file.insert(a, (shape, values));
                file.insert(b, (vec![width, width], identity.collect()));
            }
            Assembly::Framed { name, n_axes } => {
                file.insert(name, ([vec![1; n_axes], shape].concat(), values));
            }
            Assembly::Polar { .. } | Assembly::Scaled { .. } => {
                unreachable!("an empty file has no `.theta` or `.scale`")
            }
        }
    }
    file
}

pub(super) fn bytes(file: &File) -> Vec<u8> {
    let data: Vec<(&String, &Vec<usize>, Vec<u8>)> = file
        .iter()
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = data.iter().map(|(name, shape, bytes)| {
        (
            name.as_str(),
            TensorView::new(Dtype::F32, shape.to_vec(), bytes).unwrap(),
        )
    });
    safetensors::serialize(views, None).unwrap()
}

/// Opens the file and reads all of it.
pub(super) fn read(bytes: Vec<u8>) -> Result<Checkpoint> {
    let checkpoint = Checkpoint::from_bytes("tiny", bytes, &LoadOptions::default())?;
    for (name, _) in checkpoint.tensors() {
        checkpoint.values(&name)?;
    }
    checkpoint.text_positions()?;
    checkpoint.rows("token_embedding.weight", &[0])?;
    Ok(checkpoint)
}

#[track_caller]
fn check_names(file: &File, culprit: &str, what: &str) {
    let message = read(bytes(file)).err().map(|error| error.to_string());
    let message = message.unwrap_or_else(|| panic!("{culprit} {what}: accepted"));
    let by_name = message.contains(&format!("`{culprit}`"));
    let projection = message.contains("the text projection leads to");
    assert!(by_name || projection, "{culprit} {what}: {message}");
}

#[test]
fn every_layout_gives_upstreams_tensors() {
    for layout in layouts::all() {
        let checkpoint = read(bytes(&written(layout))).unwrap();
        assert_eq!(checkpoint.layout(), layout.name);
        assert_eq!(checkpoint.sizes(), &SIZES, "{}", layout.name);
        for (name, shape) in SIZES.tensors() {
            let (found, expected) = (checkpoint.values(&name).unwrap(), values_of(&name, &shape));
            assert_eq!(found.len(), expected.len(), "{name}");
            let is_exact = !layout.name.starts_with("GmP");
            let near = |(a, b): (&f32, &f32)| a == b || (!is_exact && (a - b).abs() < 3e-7);
            assert!(found.iter().zip(&expected).all(near), "{} {name}", layout.name);
        }
    }
}

#[test]
fn a_missing_tensor_is_named_whichever_it_is() {
    for layout in layouts::all() {
        let whole = written(layout);
        for culprit in whole.keys() {
            let mut file = whole.clone();
            file.remove(culprit);
            check_names(&file, culprit, "missing");
        }
    }
}

#[test]
fn a_misshapen_tensor_is_named_whichever_it_is() {
    for layout in layouts::all() {
        let whole = written(layout);
        for (culprit, (shape, _)) in &whole {
            let doubled = shape.iter().map(|n| n * 2).collect();
            let mut shapes: Vec<Vec<usize>> =
                vec![doubled, [&[2], shape.as_slice()].concat(), vec![0; shape.len() + 1]];
            // No other tensor shows the number of token ids, text positions or hidden values.
            shapes.extend(
                shape
                    .split_first()
                    .map(|(n, rest)| [&[n + 1], rest].concat())
                    .filter(|_| {
                        let free = ["token_embedding.", "position", "mlp.fc", "mlp.c_"];
                        !free.iter().any(|free| culprit.contains(free))
                    }),
            );
            for shape in shapes
                .into_iter()
                .filter(|doubled| doubled != shape || !shape.is_empty())
            {
                if shape.is_empty() {
                    continue; // a scalar doubled is the scalar
                }
                let mut file = whole.clone();
                let values = vec![0.5; shape.iter().product()];
                let what = format!("as {shape:?} ({})", layout.name);
                file.insert(culprit.clone(), (shape, values));
                check_names(&file, culprit, &what);
            }
        }
    }
}

#[test]
fn an_empty_tensor_is_refused_though_it_agrees_with_the_others() {
    let layout = layouts::all()
        .into_iter()
        .find(|layout| layout.name.contains("factorised"))
        .unwrap();
    let mut file = written(layout);
    let [vocab_size, width] = [SIZES.vocab_size, SIZES.text_width];
    file.insert("token_embedding.A".into(), (vec![vocab_size, 0], Vec::new()));
    file.insert("token_embedding.B".into(), (vec![0, width], Vec::new()));
    check_names(&file, "token_embedding.A", "of rank 0");
}

#[test]
fn a_number_that_is_not_finite_is_refused_wherever_it_is() {
    for layout in layouts::all() {
        let whole = written(layout);
        for culprit in whole.keys() {
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut file = whole.clone();
                if let Some(last) = file.get_mut(culprit).and_then(|(_, values)| values.last_mut()) {
                    *last = bad;
                }
                let message = read(bytes(&file))
                    .err()
                    .map(|error| error.to_string())
                    .unwrap_or_default();
                assert!(
                    message.contains("a finite number is expected"),
                    "{culprit} {bad}: {message:?}"
                );
            }
        }
    }
}

#[test]
fn vectors_that_are_not_finite_are_all_listed_when_the_file_is_opened() {
    let mut file = written(layouts::all().last().unwrap());
    for name in ["ln_final.bias", "visual.ln_pre.weight"] {
        file.insert(name.into(), (file[name].0.clone(), vec![f32::NAN; file[name].1.len()]));
    }
    let opened = Checkpoint::from_bytes("tiny", bytes(&file), &LoadOptions::default());
    let message = opened.err().unwrap().to_string();
    assert!(
        message.contains("`ln_final.bias`") && message.contains("`visual.ln_pre.weight`"),
        "{message}"
    );
}

#[test]
fn wrappers_are_looked_through() {
    for prefix in [
        "module.",
        "model.",
        "_orig_mod.",
        "module._orig_mod.",
        "base_model.model.",
        "clip.",
        "net.",
        "student.",
    ] {
        for layout in layouts::all() {
            let mut wrapped = with_prefix(prefix, layout);
            assert_eq!(read(bytes(&wrapped)).unwrap().sizes(), &SIZES);
            wrapped.insert("n_averaged".into(), (vec![], vec![3.0]));
            assert_eq!(read(bytes(&wrapped)).unwrap().sizes(), &SIZES);
        }
    }
}

/// The tiny CLIP in a layout, with a prefix before each name.
pub(super) fn with_prefix(prefix: &str, layout: &Layout) -> File {
    let named = written(layout).into_iter();
    named
        .map(|(name, tensor)| (format!("{prefix}{name}"), tensor))
        .collect()
}

#[test]
fn what_is_next_to_a_wrapped_model_is_named() {
    let mut file = with_prefix("model.", layouts::all().last().unwrap());
    file.insert("criterion.weight".into(), (vec![1], vec![1.0]));
    file.insert("ema.visual.proj".into(), (vec![1], vec![1.0]));
    let message = read(bytes(&file)).err().unwrap().to_string();
    assert!(
        message.ends_with("2 not a CLIP's: `criterion.weight`, `ema.visual.proj`"),
        "{message}"
    );
    let options = LoadOptions {
        ignores_surplus: true,
        ..LoadOptions::default()
    };
    assert!(Checkpoint::from_bytes("tiny", bytes(&file), &options).is_ok());
}

#[test]
fn a_table_of_text_positions_that_is_missing_may_be_a_tulip() {
    for layout in layouts::all() {
        let mut file = written(layout);
        file.retain(|name, _| name.contains("vis") || !name.contains("position"));
        let hint = read(bytes(&file)).err().unwrap().hint().unwrap().to_string();
        assert!(hint.contains("TULIP"), "{}: {hint}", layout.name);
    }
}

/// Names that SmartCLIP and FG-CLIP v1 write besides what is used of them.
#[test]
fn tensors_that_only_a_training_or_a_short_text_uses_are_no_surplus() {
    let add = |file: &mut File, name: &str| drop(file.insert(name.into(), (vec![2], vec![0.5; 2])));
    let mut smart = written(layout("OpenAI"));
    add(&mut smart, "mask_net.resblocks.0.ln_1.weight");
    add(&mut smart, "mask_net.attn_pool.attention.bias");
    assert_eq!(read(bytes(&smart)).unwrap().sizes(), &SIZES);
    let mut fg = written(layout("FG-CLIP"));
    let table = fg["text_model.embeddings.position_embedding_ori.weight"].clone();
    fg.insert("text_model.embeddings.position_embedding_res.weight".into(), table);
    for name in [
        "text_model.embeddings.position_embedding.weight",
        "text_projection.weight",
        "logit_scale_finegraind",
        "logit_scale_hardneg",
    ] {
        add(&mut fg, name);
    }
    let long = read(bytes(&fg)).unwrap();
    assert_eq!(long.sizes(), &SIZES);
    assert!(long.has_residual_positions());
}

#[test]
fn whole_numbers_are_refused_by_name() {
    let file = written(layouts::all().last().unwrap());
    let mut bytes = bytes(&file);
    let entry = br#""visual.proj":{"dtype":"F32""#;
    let at = bytes.windows(entry.len()).position(|window| window == entry).unwrap() + entry.len() - 4;
    bytes[at..at + 3].copy_from_slice(b"I32");
    let message = read(bytes).err().unwrap().to_string();
    assert!(
        message.contains("`visual.proj`, expected f32, f16, bf16 or f64, found i32"),
        "{message}"
    );
}

#[test]
fn no_cut_and_no_changed_byte_makes_the_reader_panic() {
    let whole = bytes(&written(layouts::all().last().unwrap()));
    let header_bytes = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for len in (0..header_bytes).step_by(7).chain([header_bytes, whole.len() - 1]) {
        assert!(read(whole[..len].to_vec()).is_err(), "cut at {len}");
    }
    for at in (0..header_bytes).step_by(5) {
        for flip in [1, 0x10, 0x80] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            let _ = read(changed);
        }
    }
}
