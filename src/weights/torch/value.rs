//! What a pickle can describe here: values, and the heap of the compound ones.
//!
//! A value is small and `Copy`; tuples, dictionaries and objects are indices into the [`Heap`]. So a pickle can refer to
//! one thing from many places, even in a circle, and dropping it doesn't overflow the stack, however deep it is.

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
    /// A function or class listed in `globals`.
    Global(Global),
    Storage(Storage<'a>),
    /// A tensor, as the arguments of its function: storage, offset, shape, strides and more.
    Tensor(Tuple),
    Bool(bool),
    Bytes(&'a [u8]),
    /// Bytes that were written as text in Latin-1.
    Latin1(&'a str),
    /// A list; only in the dialect that keeps lists.
    List(List),
    /// A number type of numpy, as the arguments of its function.
    NumberType(Tuple),
    /// An array of numpy over a buffer: buffer, type, shape, order.
    OverBuffer(Tuple),
    /// What can't contain tensors: none, floats, sets, settings. It is not kept.
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

/// Consecutive values on the heap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuple {
    start: usize,
    len: usize,
}

/// A dictionary's place on the heap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dict(usize);

/// A list's place on the heap.
#[derive(Debug, Clone, Copy)]
pub(super) struct List(usize);

/// An object's place on the heap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object(usize);

/// Holds compound values. Only the heap makes handles, so they are always in range.
#[derive(Debug, Default)]
pub(super) struct Heap<'a> {
    items: Vec<Value<'a>>,
    dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    lists: Vec<Vec<Value<'a>>>,
    objects: Vec<Inside>,
}

/// What an object was given: a dictionary of attributes, or another state.
#[derive(Debug, Clone, Copy)]
enum Inside {
    Nothing,
    Attributes(Dict),
    State(Tuple),
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
        self.objects.push(Inside::Nothing);
        Value::Object(Object(self.objects.len() - 1))
    }

    pub(super) fn tuple(&self, tuple: Tuple) -> &[Value<'a>] {
        &self.items[tuple.start..tuple.start + tuple.len]
    }

    /// Keys and values in the order in which they were set; of two equal keys the later one counts.
    pub(super) fn dict(&self, dict: Dict) -> &[(Value<'a>, Value<'a>)] {
        &self.dicts[dict.0]
    }

    /// An object's attributes, as [`Heap::dict`] returns them.
    pub(super) fn attributes(&self, object: Object) -> &[(Value<'a>, Value<'a>)] {
        match self.objects[object.0] {
            Inside::Attributes(dict) => self.dict(dict),
            Inside::State(_) | Inside::Nothing => &[],
        }
    }

    pub(super) fn set_item(&mut self, dict: Dict, key: Value<'a>, value: Value<'a>) {
        self.dicts[dict.0].push((key, value));
    }

    pub(super) fn set_attributes(&mut self, object: Object, attributes: Dict) {
        self.objects[object.0] = Inside::Attributes(attributes);
    }

    /// An object's state, if it was given one.
    pub(super) fn state(&self, object: Object) -> Option<Tuple> {
        match self.objects[object.0] {
            Inside::State(state) => Some(state),
            Inside::Attributes(_) | Inside::Nothing => None,
        }
    }

    pub(super) fn set_state(&mut self, object: Object, state: Tuple) {
        self.objects[object.0] = Inside::State(state);
    }

    pub(super) fn new_list(&mut self) -> Value<'a> {
        self.lists.push(Vec::new());
        Value::List(List(self.lists.len() - 1))
    }

    pub(super) fn list(&self, list: List) -> &[Value<'a>] {
        &self.lists[list.0]
    }

    pub(super) fn append(&mut self, list: List, items: &[Value<'a>]) {
        self.lists[list.0].extend_from_slice(items);
    }
}
