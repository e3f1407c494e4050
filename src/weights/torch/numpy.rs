//! Reads pickled dictionaries of byte arrays, numbers and texts, such as CIFAR's batches.
//!
//! They are written by Python 2 or 3, in protocols 2 to 5. The interpreter is that of weights with another list of allowed
//! names: any other name is refused, and nothing is run.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::globals::Dialect;
use super::opcode;
use super::pickle::{self, Unpickled};
use super::refusal::{Refusal, shown};
use super::value::{Tuple, Value};

/// A value of the dictionary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pickled<'a> {
    /// An array of bytes.
    Array(ByteArray<'a>),
    /// A list of whole numbers; an empty list too.
    Numbers(Vec<i64>),
    /// A list of texts.
    Texts(Vec<String>),
    /// Anything else.
    Other,
}

/// An array of unsigned bytes, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ByteArray<'a> {
    /// The lengths of its axes.
    pub(crate) shape: Vec<usize>,
    /// As many bytes as the shape says.
    pub(crate) bytes: Cow<'a, [u8]>,
}

/// What is contiguous in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Rows,
    /// As in Fortran.
    Columns,
}

/// Reads a dictionary by its keys; the error says what is wrong with it.
pub(crate) fn read_dictionary(bytes: &[u8]) -> Result<BTreeMap<String, Pickled<'_>>, String> {
    if bytes.first().is_some_and(|first| *first != opcode::PROTO) {
        return Err("not a pickle of protocol 2 or later, as CIFAR's batches are".into());
    }
    let unpickled = pickle::read(bytes, Dialect::Numpy).map_err(|refusal| match refusal {
        Refusal::Damaged(found) => found,
        Refusal::Foreign(global) => {
            format!("it holds a Python object that is not data, `{global}`; nothing of it was run")
        }
    })?;
    let Value::Dict(dict) = unpickled.root else {
        return Err("a pickle of something other than a dictionary".into());
    };
    let mut read = BTreeMap::new();
    for (key, value) in unpickled.heap.dict(dict) {
        if let Some(key) = text(value_text(*key)) {
            let value = pickled(&unpickled, *value).map_err(|problem| format!("its `{}` is {problem}", shown(&key)))?;
            read.insert(key, value);
        }
    }
    Ok(read)
}

fn pickled<'a>(unpickled: &Unpickled<'a>, value: Value<'a>) -> Result<Pickled<'a>, String> {
    match value {
        Value::Object(object) => match unpickled.heap.state(object) {
            Some(state) => reconstructed(unpickled, state).map(Pickled::Array),
            None => Err("an array without contents".into()),
        },
        Value::OverBuffer(arguments) => over_buffer(unpickled, arguments).map(Pickled::Array),
        Value::List(list) => Ok(listed(unpickled.heap.list(list))),
        _ => Ok(Pickled::Other),
    }
}

fn listed<'a>(items: &[Value<'a>]) -> Pickled<'a> {
    let number = |value: &Value<'_>| match value {
        Value::Int(number) => Some(*number),
        _ => None,
    };
    if let Some(numbers) = items.iter().map(number).collect() {
        return Pickled::Numbers(numbers);
    }
    let texts: Option<Vec<String>> = items.iter().map(|item| text(value_text(*item))).collect();
    texts.map_or(Pickled::Other, Pickled::Texts)
}

/// `(version, shape, type, is column-major, bytes)`, the argument of numpy's `__setstate__`.
fn reconstructed<'a>(unpickled: &Unpickled<'a>, state: Tuple) -> Result<ByteArray<'a>, String> {
    let [_, Value::Tuple(shape), of_type, Value::Bool(is_fortran), bytes] = *unpickled.heap.tuple(state) else {
        return Err("an array in a form that numpy doesn't write".into());
    };
    let order = if is_fortran { Order::Columns } else { Order::Rows };
    array(unpickled, shape, of_type, order, bytes)
}

/// `_frombuffer(buffer, type, shape, order)`, as protocol 5 writes arrays.
fn over_buffer<'a>(unpickled: &Unpickled<'a>, arguments: Tuple) -> Result<ByteArray<'a>, String> {
    let [bytes, of_type, Value::Tuple(shape), order] = *unpickled.heap.tuple(arguments) else {
        return Err("an array in a form that numpy doesn't write".into());
    };
    let order = match value_text(order).as_deref() {
        Some(b"F") => Order::Columns,
        _ => Order::Rows,
    };
    array(unpickled, shape, of_type, order, bytes)
}

fn array<'a>(
    unpickled: &Unpickled<'a>,
    shape: Tuple,
    of_type: Value<'a>,
    order: Order,
    bytes: Value<'a>,
) -> Result<ByteArray<'a>, String> {
    let length = |value: &Value<'_>| match value {
        Value::Int(length) => usize::try_from(*length).ok(),
        _ => None,
    };
    let shape: Option<Vec<usize>> = unpickled.heap.tuple(shape).iter().map(length).collect();
    let shape = shape.ok_or("an array whose shape is not made of numbers")?;
    let named = match of_type {
        Value::NumberType(arguments) => unpickled.heap.tuple(arguments).first().copied(),
        _ => None,
    };
    match named.and_then(value_text).as_deref() {
        Some(b"u1" | b"|u1" | b"uint8") => {}
        other => {
            let other = other.map_or_else(|| "?".into(), |name| shown(&String::from_utf8_lossy(name)));
            return Err(format!("an array of the type `{other}`; bytes (`u1`) are expected"));
        }
    }
    let bytes = value_text(bytes).ok_or("an array without bytes")?;
    let n = shape.iter().try_fold(1_usize, |n, length| n.checked_mul(*length));
    if n != Some(bytes.len()) {
        return Err(format!("an array of the shape {shape:?} with {} bytes", bytes.len()));
    }
    let bytes = match (order, &shape[..]) {
        (Order::Columns, [rows, columns]) => Cow::Owned(turned(&bytes, *rows, *columns)),
        (Order::Columns, [_, _, ..]) => return Err("an array in Fortran's order".into()),
        _ => bytes,
    };
    Ok(ByteArray { shape, bytes })
}

/// From column-major to row-major.
fn turned(bytes: &[u8], rows: usize, columns: usize) -> Vec<u8> {
    let row = |i: usize| (0..columns).map(move |j| bytes[j * rows + i]);
    (0..rows).flat_map(row).collect()
}

/// The bytes of a value, in any of the ways in which Python writes them.
fn value_text(value: Value<'_>) -> Option<Cow<'_, [u8]>> {
    match value {
        Value::Bytes(bytes) => Some(Cow::Borrowed(bytes)),
        Value::Text(text) => Some(Cow::Borrowed(text.as_bytes())),
        // Each character is a byte; higher ones are not in Latin-1.
        Value::Latin1(text) => {
            let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
            bytes.map(Cow::Owned)
        }
        _ => None,
    }
}

fn text(bytes: Option<Cow<'_, [u8]>>) -> Option<String> {
    String::from_utf8(bytes?.into_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Python 2 writes: `{'data': array([[1, 254], [3, 4]], uint8), 'labels': [7, 300]}`, protocol 2, without memos.
    const PYTHON_2: &[u8] = b"\x80\x02}(U\x04datacnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02K\x02\x86cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x01\xfe\x03\x04tbU\x06labels](K\x07M\x2c\x01eu.";

    #[test]
    fn a_dictionary_of_python_2_is_read() {
        let read = read_dictionary(PYTHON_2).unwrap();
        let expected = ByteArray {
            shape: vec![2, 2],
            bytes: Cow::Borrowed(&[1, 254, 3, 4]),
        };
        assert_eq!(read["data"], Pickled::Array(expected));
        assert_eq!(read["labels"], Pickled::Numbers(vec![7, 300]));
    }

    #[test]
    fn an_array_in_fortrans_order_is_turned() {
        let at = PYTHON_2.iter().position(|byte| *byte == 0x89).unwrap();
        let mut fortran = PYTHON_2.to_vec();
        fortran[at] = 0x88;
        let Pickled::Array(array) = read_dictionary(&fortran).unwrap()["data"].clone() else {
            panic!()
        };
        assert_eq!(&*array.bytes, [1, 3, 254, 4]);
    }

    #[test]
    fn whatever_else_it_names_is_refused_and_a_cut_says_where() {
        let error = read_dictionary(b"(dp0\nS'data'\np1\nI1\ns.").unwrap_err();
        assert!(error.contains("protocol 2 or later"), "{error}");
        let error = read_dictionary(b"\x80\x02cos\nsystem\nU\x02ls\x85R.").unwrap_err();
        assert!(
            error.contains("`os.system`") && error.ends_with("nothing of it was run"),
            "{error}"
        );
        for length in 0..PYTHON_2.len() {
            let error = read_dictionary(&PYTHON_2[..length]).unwrap_err();
            assert!(error.contains("at byte"), "{length}: {error}");
        }
    }

    #[test]
    fn damage_anywhere_is_an_error_or_other_data_and_never_a_panic() {
        for at in 0..PYTHON_2.len() {
            for change in [1, 0x20, 0x80, 0xff] {
                let mut bytes = PYTHON_2.to_vec();
                bytes[at] ^= change;
                if let Ok(read) = read_dictionary(&bytes)
                    && let Some(Pickled::Array(array)) = read.get("data")
                {
                    assert_eq!(array.bytes.len(), array.shape.iter().product::<usize>());
                }
            }
        }
    }
}
