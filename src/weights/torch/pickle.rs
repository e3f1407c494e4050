//! A small interpreter of Python's pickle, protocols 2 to 5, with only the opcodes of saved weights and arrays.
//!
//! A pickle is a program for a stack machine. This one can't run anything: `REDUCE`, `NEWOBJ` and `BUILD` know the few
//! functions and classes of `globals` and do in Rust what those would do; any other name is an error. Lengths are checked
//! against the bytes that exist, and the number of opcodes limits everything that grows: an opcode adds at most one value
//! to the stack, the memo or the heap.

use std::collections::HashMap;

use super::globals::{self, Dialect, Global};
use super::opcode as op;
use super::refusal::{Outcome, Refusal, damaged, shown};
use super::value::{Heap, Storage, Tuple, Value};

/// A tensor takes about 25 opcodes, so this is enough for 80,000 tensors; the values of all opcodes take about 200 MiB.
const MAX_OPCODES: usize = 1 << 21;

/// What a pickle describes.
#[derive(Debug)]
pub(super) struct Unpickled<'a> {
    pub(super) root: Value<'a>,
    pub(super) heap: Heap<'a>,
}

/// Reads a whole pickle.
pub(super) fn read(bytes: &[u8], dialect: Dialect) -> Outcome<Unpickled<'_>> {
    let mut machine = Machine {
        rest: bytes,
        dialect,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        heap: Heap::default(),
    };
    match machine.run() {
        Ok(root) => Ok(Unpickled {
            root,
            heap: machine.heap,
        }),
        Err(Refusal::Damaged(found)) if dialect == Dialect::Numpy => {
            damaged(format!("{found}, at byte {}", bytes.len() - machine.rest.len()))
        }
        Err(refusal) => Err(refusal),
    }
}

struct Machine<'a> {
    /// The rest of the program.
    rest: &'a [u8],
    dialect: Dialect,
    stack: Vec<Value<'a>>,
    /// Heights of the stack at each `MARK`.
    marks: Vec<usize>,
    memo: HashMap<usize, Value<'a>>,
    heap: Heap<'a>,
}

impl<'a> Machine<'a> {
    /// Runs all opcodes; returns the value on top of the stack.
    fn run(&mut self) -> Outcome<Value<'a>> {
        for _ in 0..MAX_OPCODES {
            let opcode = self.byte()?;
            if opcode == op::STOP {
                return self.pop();
            }
            self.step(opcode)?;
        }
        damaged(format!("a pickle of more than {MAX_OPCODES} steps; weights need fewer"))
    }

    /// Runs one opcode for plain values, the stack or the memo; [`Machine::step_compound`] has the others.
    fn step(&mut self, opcode: u8) -> Outcome<()> {
        match opcode {
            op::PROTO => self.skip(1)?,
            op::FRAME => self.skip(8)?,

            op::MARK => self.marks.push(self.stack.len()),
            op::POP => drop(self.pop()?),
            op::POP_MARK => drop(self.pop_to_mark()?),
            op::DUP => self.stack.push(self.top()?),

            op::BINPUT => self.memoize(1)?,
            op::LONG_BINPUT => self.memoize(4)?,
            op::MEMOIZE => drop(self.memo.insert(self.memo.len(), self.top()?)),
            op::BINGET => self.recall(1)?,
            op::LONG_BINGET => self.recall(4)?,

            op::NONE => self.stack.push(Value::Other),
            op::NEWTRUE | op::NEWFALSE => self.stack.push(Value::Bool(opcode == op::NEWTRUE)),
            op::BININT1 => self.push_unsigned(1)?,
            op::BININT2 => self.push_unsigned(2)?,
            op::BININT => self.push_signed(4)?,
            op::LONG1 => {
                let len_bytes = self.length(1)?;
                self.push_signed(len_bytes)?;
            }
            op::BINFLOAT => self.push_other(8)?,
            // Strings of Python 2 are bytes; in weights they are names.
            op::SHORT_BINSTRING if self.dialect == Dialect::Numpy => self.push_bytes(1)?,
            op::BINSTRING if self.dialect == Dialect::Numpy => self.push_bytes(4)?,
            op::SHORT_BINUNICODE | op::SHORT_BINSTRING => self.push_text(1)?,
            op::BINUNICODE | op::BINSTRING => self.push_text(4)?,
            op::BINUNICODE8 => self.push_text(8)?,
            op::SHORT_BINBYTES => self.push_bytes(1)?,
            op::BINBYTES => self.push_bytes(4)?,
            op::BINBYTES8 | op::BYTEARRAY8 => self.push_bytes(8)?,
            compound => self.step_compound(compound)?,
        }
        Ok(())
    }

    fn step_compound(&mut self, opcode: u8) -> Outcome<()> {
        match opcode {
            op::EMPTY_TUPLE => self.push_tuple(self.stack.len()),
            op::TUPLE1 => self.push_last(1)?,
            op::TUPLE2 => self.push_last(2)?,
            op::TUPLE3 => self.push_last(3)?,
            op::TUPLE => {
                let start = self.pop_mark()?;
                self.push_tuple(start);
            }
            op::EMPTY_LIST if self.dialect == Dialect::Numpy => {
                let list = self.heap.new_list();
                self.stack.push(list);
            }
            op::EMPTY_LIST | op::EMPTY_SET => self.stack.push(Value::Other),
            op::FROZENSET => {
                self.pop_to_mark()?;
                self.stack.push(Value::Other);
            }
            op::APPEND => {
                let item = self.pop()?;
                self.append(&[item]);
            }
            op::APPENDS => {
                let items = self.pop_to_mark()?;
                self.append(&items);
            }
            // Sets are not kept, and neither are their items.
            op::ADDITEMS => drop(self.pop_to_mark()?),
            op::EMPTY_DICT => {
                let dict = self.heap.new_dict();
                self.stack.push(dict);
            }
            op::SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            op::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }

            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.push_global(module, name)?;
            }
            op::STACK_GLOBAL => match (self.pop()?, self.pop()?) {
                (Value::Text(name), Value::Text(module)) => self.push_global(module, name)?,
                _ => return damaged("a damaged pickle: a name that is not text"),
            },
            op::REDUCE | op::NEWOBJ => self.call()?,
            op::BUILD => self.build()?,
            op::BINPERSID => self.push_storage()?,
            unknown => {
                return damaged(format!(
                    "a pickle with the opcode {unknown:#04x}, which neither weights nor arrays use"
                ));
            }
        }
        Ok(())
    }

    // Reading the program.

    fn take(&mut self, len: usize) -> Outcome<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return damaged("a damaged pickle: it ends too early");
        };
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Outcome<u8> {
        Ok(self.take(1)?[0])
    }

    fn skip(&mut self, len: usize) -> Outcome<()> {
        self.take(len).map(drop)
    }

    /// An unsigned little-endian number of at most eight bytes: a length or an index.
    fn length(&mut self, len_bytes: usize) -> Outcome<usize> {
        let mut wide = [0; 8];
        wide[..len_bytes].copy_from_slice(self.take(len_bytes)?);
        // A number that doesn't fit is also longer than the file.
        Ok(usize::try_from(u64::from_le_bytes(wide)).unwrap_or(usize::MAX))
    }

    fn line(&mut self) -> Outcome<&'a str> {
        let len = self.rest.iter().position(|b| *b == b'\n').unwrap_or(self.rest.len());
        let line = self.take(len)?;
        self.skip(1)?;
        text(line)
    }

    // The stack and the memo.

    /// The number of values above the last mark.
    fn n_reachable(&self) -> usize {
        self.stack.len() - self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Outcome<Value<'a>> {
        match self.stack.last() {
            Some(value) if self.n_reachable() > 0 => Ok(*value),
            _ => damaged("a damaged pickle: it takes more than it has"),
        }
    }

    fn pop(&mut self) -> Outcome<Value<'a>> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_mark(&mut self) -> Outcome<usize> {
        match self.marks.pop() {
            Some(height) => Ok(height),
            None => damaged("a damaged pickle: an end without a beginning"),
        }
    }

    fn pop_to_mark(&mut self) -> Outcome<Vec<Value<'a>>> {
        let start = self.pop_mark()?;
        Ok(self.stack.split_off(start))
    }

    fn memoize(&mut self, index_bytes: usize) -> Outcome<()> {
        let index = self.length(index_bytes)?;
        self.memo.insert(index, self.top()?);
        Ok(())
    }

    fn recall(&mut self, index_bytes: usize) -> Outcome<()> {
        let index = self.length(index_bytes)?;
        let Some(value) = self.memo.get(&index) else {
            return damaged("a damaged pickle: it recalls what it never kept");
        };
        self.stack.push(*value);
        Ok(())
    }

    // Values.

    fn push_unsigned(&mut self, len_bytes: usize) -> Outcome<()> {
        let value = self.length(len_bytes)?;
        self.stack.push(i64::try_from(value).map_or(Value::Other, Value::Int));
        Ok(())
    }

    /// A little-endian number in two's complement; weights have none of more than eight bytes.
    fn push_signed(&mut self, len_bytes: usize) -> Outcome<()> {
        let bytes = self.take(len_bytes)?;
        let is_negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = if is_negative { [0xff; 8] } else { [0; 8] };
        self.stack.push(match wide.get_mut(..len_bytes) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(wide))
            }
            None => Value::Other,
        });
        Ok(())
    }

    fn push_other(&mut self, len_bytes: usize) -> Outcome<()> {
        self.skip(len_bytes)?;
        self.stack.push(Value::Other);
        Ok(())
    }

    fn push_bytes(&mut self, count_bytes: usize) -> Outcome<()> {
        let len_bytes = self.length(count_bytes)?;
        let bytes = self.take(len_bytes)?;
        self.stack.push(Value::Bytes(bytes));
        Ok(())
    }

    fn push_text(&mut self, count_bytes: usize) -> Outcome<()> {
        let len_bytes = self.length(count_bytes)?;
        let bytes = self.take(len_bytes)?;
        self.stack.push(Value::Text(text(bytes)?));
        Ok(())
    }

    /// Makes a tuple of the values from `start` to the top of the stack.
    fn push_tuple(&mut self, start: usize) {
        let tuple = self.heap.new_tuple(self.stack.drain(start..));
        self.stack.push(tuple);
    }

    fn push_last(&mut self, len: usize) -> Outcome<()> {
        if self.n_reachable() < len {
            return damaged("a damaged pickle: it takes more than it has");
        }
        self.push_tuple(self.stack.len() - len);
        Ok(())
    }

    /// Puts alternating keys and values into the dictionary on top of the stack.
    fn set_items(&mut self, items: &[Value<'a>]) -> Outcome<()> {
        let (pairs, odd) = items.as_chunks::<2>();
        match self.top()? {
            Value::Dict(dict) if odd.is_empty() => {
                for [key, value] in pairs {
                    self.heap.set_item(dict, *key, *value);
                }
                Ok(())
            }
            Value::Other if odd.is_empty() => Ok(()),
            _ => damaged("a damaged pickle: entries of something that is not a dictionary"),
        }
    }

    /// Appends to the list on top of the stack, if lists are kept; those of weights are not.
    fn append(&mut self, items: &[Value<'a>]) {
        if let Some(Value::List(list)) = self.stack.last() {
            self.heap.append(*list, items);
        }
    }

    // Names, calls and objects.

    fn push_global(&mut self, module: &str, name: &str) -> Outcome<()> {
        let Some(global) = globals::find(module, name, self.dialect) else {
            return Err(Refusal::Foreign(shown(&format!("{module}.{name}"))));
        };
        self.stack.push(Value::Global(global));
        Ok(())
    }

    fn call(&mut self) -> Outcome<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let (Value::Global(function), Value::Tuple(arguments)) = (function, arguments) else {
            return damaged("a damaged pickle: a call of something that is not a function");
        };
        let result = self.result_of(function, arguments)?;
        self.stack.push(result);
        Ok(())
    }

    /// What an allowed function returns, without running it.
    fn result_of(&mut self, function: Global, arguments: Tuple) -> Outcome<Value<'a>> {
        match function {
            Global::DictClass => Ok(self.heap.new_dict()),
            Global::ScriptClass => Ok(self.heap.new_object()),
            Global::RebuildTensor => Ok(Value::Tensor(arguments)),
            Global::Other => Ok(Value::Other),
            Global::NumpyArray => Ok(self.heap.new_object()),
            Global::NumpyType => Ok(Value::NumberType(arguments)),
            Global::NumpyBuffer => Ok(Value::OverBuffer(arguments)),
            Global::Encode => match *self.heap.tuple(arguments) {
                [Value::Text(text), Value::Text("latin1")] => Ok(Value::Latin1(text)),
                _ => damaged("a damaged pickle: text with an encoding other than Latin-1"),
            },
            Global::FirstArgument => match self.heap.tuple(arguments).first() {
                Some(first) => Ok(*first),
                None => damaged("a damaged pickle: a call without arguments"),
            },
            Global::RebuildFromType => match *self.heap.tuple(arguments) {
                [
                    Value::Global(rebuild @ (Global::RebuildTensor | Global::FirstArgument)),
                    _,
                    Value::Tuple(inner),
                    ..,
                ] => self.result_of(rebuild, inner),
                _ => damaged("a damaged pickle: a tensor that is rebuilt by an unknown function"),
            },
            Global::Storage(_) => damaged("a damaged pickle: a storage that is called"),
        }
    }

    /// Sets the attributes of the object on top of the stack; those of other values don't matter.
    fn build(&mut self) -> Outcome<()> {
        let state = self.pop()?;
        match (self.top()?, state) {
            (Value::Object(object), Value::Dict(attributes)) => self.heap.set_attributes(object, attributes),
            (Value::Object(object), Value::Tuple(state)) => self.heap.set_state(object, state),
            _ => {}
        }
        Ok(())
    }

    /// torch's persistent ids: `("storage", type, key, device, number of elements)`.
    fn push_storage(&mut self) -> Outcome<()> {
        let Value::Tuple(id) = self.pop()? else {
            return damaged("a damaged pickle: a persistent id that is not a tuple");
        };
        let [
            Value::Text("storage"),
            Value::Global(Global::Storage(stored_type)),
            Value::Text(key),
            _,
            Value::Int(n_elements),
        ] = *self.heap.tuple(id)
        else {
            return damaged("a damaged pickle: a persistent id without a storage");
        };
        let Ok(n_elements) = usize::try_from(n_elements) else {
            return damaged("a damaged pickle: a storage with a negative number of elements");
        };
        self.stack.push(Value::Storage(Storage {
            stored_type,
            key,
            n_elements,
        }));
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Outcome<&str> {
    std::str::from_utf8(bytes).or_else(|_| damaged("a damaged pickle: text that is not UTF-8"))
}
