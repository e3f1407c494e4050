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
    Bool(bool),
    Bytes(&'a [u8]),
    /// Bytes that were written as the text that Latin-1 makes of them.
    Latin1(&'a str),
    /// A list; only where lists are kept.
    List(List),
    /// A type of numpy's, as the arguments that it would be made of.
    NumberType(Tuple),
    /// An array of numpy's over a buffer: buffer, type, shape, order.
    OverBuffer(Tuple),
    /// Whatever can't lead to numbers: none, floats, sets, settings. It is not kept.
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

/// A list's place on the heap.
#[derive(Debug, Clone, Copy)]
pub(super) struct List(usize);

/// An object's place on the heap.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object(usize);

/// Where compound values live. Handles come from this heap alone, so that they are always in range.
#[derive(Debug, Default)]
pub(super) struct Heap<'a> {
    items: Vec<Value<'a>>,
    dicts: Vec<Vec<(Value<'a>, Value<'a>)>>,
    lists: Vec<Vec<Value<'a>>>,
    objects: Vec<Inside>,
}

/// What an object was given: attributes as a dictionary, or a state of its own form.
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

    /// Keys and values in the order they were set; of two equal keys the later one counts.
    pub(super) fn dict(&self, dict: Dict) -> &[(Value<'a>, Value<'a>)] {
        &self.dicts[dict.0]
    }

    /// An object's attributes, as [`Heap::dict`] gives them.
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

    /// An object's state, where it was given one.
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
