//! What a pickle can describe here: values, and the heap that the compound ones live on.
//!
//! A value is small and `Copy`; tuples, dictionaries and objects are numbers of a place on the [`Heap`]. So a pickle can
//! refer to one thing from many places, even in a circle, and however deeply it nests, no stack overflows when all of it
//! is dropped.

use super::globals::Global;
use crate::weights::stored::StoredType;

/// One value of a pickle; text is borrowed from the file.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Int(i64),
    Text(&'a str),
    Tuple(Tuple),
    Dict(Dict),
    /// An instance of a TorchScript class.
    Object(Object),
    /// A function or class of the list in `globals`.
    Global(Global),
    Storage(Storage<'a>),
    /// A tensor, as the arguments that it would be rebuilt from: storage, offset, shape, strides and more.
    Tensor(Tuple),
    /// Whatever can't lead to weights: none, booleans, floats, bytes, lists, sets, settings. It is not kept.
    Other,
}

/// A record of numbers that tensors are views of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storage<'a> {
    pub(super) stored_type: StoredType,
    /// The record is `data/KEY`.
    pub(super) key: &'a str,
    pub(super) n_elements: usize,
}

/// Values that lie one behind the other on the heap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuple {
    start: usize,
    len: usize,
}

/// A dictionary's place on the heap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dict(usize);

/// An object's place on the heap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object(usize);

/// Where compound values live. Handles come from this heap alone, so that they are always in range.
#[derive(Debug, Default)]
pub(super) struct Heap<'a> {
    items: Vec<Value<'a>>,
    dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    /// Each object's attributes, once they are set.
    objects: Vec<Option<Dict>>,
}

impl<'a> Heap<'a> {
    pub(super) fn new_tuple(&mut self, items: impl IntoIterator<Item = Value<'a>>) -> Value<'a> {
        let start = self.items.len();
        self.items.extend(items);
        Value::Tuple(Tuple {
            start,
            len: self.items.len() - start,
        })
    }

    pub(super) fn new_dict(&mut self) -> Value<'a> {
        self.dicts.push(Vec::new());
        Value::Dict(Dict(self.dicts.len() - 1))
    }

    pub(super) fn new_object(&mut self) -> Value<'a> {
        self.objects.push(None);
        Value::Object(Object(self.objects.len() - 1))
    }

    pub(super) fn tuple(&self, tuple: Tuple) -> &[Value<'a>] {
        &self.items[tuple.start..tuple.start + tuple.len]
    }

    /// Keys and values in the order they were set; of two equal keys the later one counts.
    pub(super) fn dict(&self, dict: Dict) -> &[(Value<'a>, Value<'a>)] {
        &self.dicts[dict.0]
    }

    /// An object's attributes, as [`Heap::dict`] gives them.
    pub(super) fn attributes(&self, object: Object) -> &[(Value<'a>, Value<'a>)] {
        self.objects[object.0].map_or(&[], |dict| self.dict(dict))
    }

    pub(super) fn set_item(&mut self, dict: Dict, key: Value<'a>, value: Value<'a>) {
        self.dicts[dict.0].push((key, value));
    }

    pub(super) fn set_attributes(&mut self, object: Object, attributes: Dict) {
        self.objects[object.0] = Some(attributes);
    }
}
