//! Takes the tensors from what a pickle describes, by name, and checks that each is within its record.
//!
//! There are three forms: a state dict; a training checkpoint that holds one under one of [`HOLDERS`], among other things,
//! which are ignored; a TorchScript module, where the names of submodules are joined with dots.

use std::collections::BTreeMap;

use super::pickle::Unpickled;
use super::refusal::{Outcome, damaged, shown};
use super::value::{Dict, Object, Storage, Tuple, Value};
use super::zip::Archive;
use crate::weights::stored::StoredTensor;

/// Where checkpoints keep their state dict. The first one found is used: trained weights before averaged ones.
const HOLDERS: [&str; 16] = [
    "state_dict",
    "model_state_dict",
    "model",
    "module", // DeepSpeed
    "net",
    "network",
    "student",
    "params",
    "weights",
    "state_dict_ema",
    "model_ema",
    "ema_state_dict",
    "ema_model",
    "ema",
    "params_ema",
    "averaged_model",
];
/// How deep holders may be nested.
const MAX_HOLDERS: usize = 3;
/// A ViT-L's module tree has about 5,000 attributes, with names of up to 60 bytes. There is a limit because an object may
/// be referred to from many places, or from itself.
const MAX_ATTRIBUTES: usize = 1 << 18;
const MAX_NAME_BYTES: usize = 512;
/// A convolution's weights have 4.
const MAX_AXES: usize = 16;

type Tensors = BTreeMap<String, StoredTensor>;

/// All tensors of the model that a pickle describes.
pub(super) fn tensors(object: &Unpickled, archive: &Archive) -> Outcome<Tensors> {
    match object.root {
        Value::Dict(dict) => of_dict(object, held_dict(object, dict), archive),
        Value::Object(module) => of_module(object, module, archive),
        _ => damaged("a pickle of something other than a dictionary of tensors"),
    }
}

/// The dictionary itself, or the one that it holds under a known name.
fn held_dict(object: &Unpickled, mut dict: Dict) -> Dict {
    for _ in 0..MAX_HOLDERS {
        let entries = object.heap.dict(dict);
        let held = |holder: &str| {
            entries.iter().rev().find_map(|(key, value)| match (key, value) {
                (Value::Text(name), Value::Dict(inner)) if *name == holder => Some(*inner),
                _ => None,
            })
        };
        match HOLDERS.into_iter().find_map(held) {
            Some(inner) => dict = inner,
            None => break,
        }
    }
    dict
}

fn of_dict(object: &Unpickled, dict: Dict, archive: &Archive) -> Outcome<Tensors> {
    let entries = object.heap.dict(dict);
    let mut tensors = Tensors::new();
    for (key, value) in entries {
        match (key, value) {
            (Value::Text(name), Value::Tensor(arguments)) => {
                tensors.insert(checked_name(name)?, tensor(object, *arguments, archive, name)?);
            }
            (_, Value::Tensor(_)) => return damaged("a tensor whose name is not text"),
            _ => {}
        }
    }
    if tensors.is_empty() {
        return damaged(format!("a dictionary without tensors ({})", keys(entries)));
    }
    Ok(tensors)
}

/// The first keys of a dictionary, for a message.
fn keys(entries: &[(Value, Value)]) -> String {
    const N_SHOWN: usize = 5;
    let names: Vec<String> = entries
        .iter()
        .filter_map(|(key, _)| match key {
            Value::Text(name) => Some(format!("`{}`", shown(name))),
            _ => None,
        })
        .take(N_SHOWN)
        .collect();
    match (names.is_empty(), entries.len().saturating_sub(names.len())) {
        (true, 0) => "it is empty".into(),
        (true, n) => format!("{n} entries without names"),
        (false, 0) => names.join(", "),
        (false, more) => format!("{} and {more} more", names.join(", ")),
    }
}

fn of_module(object: &Unpickled, root: Object, archive: &Archive) -> Outcome<Tensors> {
    let mut tensors = Tensors::new();
    let mut n_attributes = 0;
    let mut open = vec![(String::new(), root)];
    while let Some((prefix, module)) = open.pop() {
        let attributes = object.heap.attributes(module);
        // The module itself counts too: an empty one also takes a step.
        n_attributes += 1 + attributes.len();
        if n_attributes > MAX_ATTRIBUTES {
            return damaged(format!("a module tree of more than {MAX_ATTRIBUTES} attributes"));
        }
        for (key, value) in attributes {
            let (Value::Text(name), Value::Tensor(_) | Value::Object(_)) = (key, value) else {
                continue;
            };
            let name = checked_name(&[&prefix, *name].concat())?;
            match value {
                Value::Tensor(arguments) => {
                    let tensor = tensor(object, *arguments, archive, &name)?;
                    tensors.insert(name, tensor);
                }
                Value::Object(module) => open.push((name + ".", *module)),
                _ => {}
            }
        }
    }
    if tensors.is_empty() {
        return damaged("a TorchScript archive without tensors");
    }
    Ok(tensors)
}

fn checked_name(name: &str) -> Outcome<String> {
    if name.len() > MAX_NAME_BYTES {
        return damaged(format!(
            "a tensor whose name has {} bytes, `{}`",
            name.len(),
            shown(name)
        ));
    }
    Ok(name.to_owned())
}

/// The tensor that `_rebuild_tensor_v2` would make of `(storage, offset, shape, strides, ...)`, all in elements.
fn tensor(object: &Unpickled, arguments: Tuple, archive: &Archive, name: &str) -> Outcome<StoredTensor> {
    let bad = |what: &str| damaged(format!("a tensor `{}` {what}", shown(name)));
    let [
        Value::Storage(storage),
        Value::Int(offset),
        Value::Tuple(shape),
        Value::Tuple(strides),
        ..,
    ] = *object.heap.tuple(arguments)
    else {
        return bad("that is not made of storage, offset, shape and strides");
    };
    let (Ok(offset), Some(shape), Some(strides)) = (
        usize::try_from(offset),
        lengths(object, shape),
        lengths(object, strides),
    ) else {
        return bad("with a shape, strides or offset that no tensor has");
    };
    if shape.len() != strides.len() {
        return bad("with a stride too few or too many");
    }
    let record = archive.record(&["data/", storage.key].concat())?;
    let size_bytes = storage.stored_type.size_bytes();
    if storage.n_elements > record.bytes.len() / size_bytes {
        return bad("whose record is shorter than its elements");
    }
    let Some(first) = first_element(&storage, offset, &shape, &strides, archive.len_bytes()) else {
        return bad("that extends beyond its record");
    };
    Ok(StoredTensor {
        stored_type: storage.stored_type,
        shape,
        strides,
        blob: 0,
        start_byte: record.start_byte + first * size_bytes,
    })
}

/// A shape or strides; `None` if a number is negative or there are too many axes.
fn lengths(object: &Unpickled, tuple: Tuple) -> Option<Vec<usize>> {
    let items = object.heap.tuple(tuple);
    if items.len() > MAX_AXES {
        return None;
    }
    items
        .iter()
        .map(|item| match item {
            Value::Int(length) => usize::try_from(*length).ok(),
            _ => None,
        })
        .collect()
}

/// The first element of a tensor in its storage, if all its elements are within the storage.
///
/// A stride of zero repeats elements. So that a small file can't ask for a huge tensor, there may be at most as many
/// elements as the file has bytes, where axes of length zero count as one.
fn first_element(
    storage: &Storage,
    offset: usize,
    shape: &[usize],
    strides: &[usize],
    max_elements: usize,
) -> Option<usize> {
    let n_elements = shape
        .iter()
        .try_fold(1usize, |n, length| n.checked_mul((*length).max(1)))?;
    if shape.contains(&0) {
        return (n_elements <= isize::MAX as usize).then_some(0);
    }
    if n_elements > max_elements {
        return None;
    }
    let last = shape.iter().zip(strides).try_fold(offset, |last, (length, stride)| {
        last.checked_add((length - 1).checked_mul(*stride)?)
    })?;
    (last < storage.n_elements).then_some(offset)
}
