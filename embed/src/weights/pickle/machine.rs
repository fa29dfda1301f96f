//! The stack machine: one method for each thing that opcodes do.

use std::collections::HashMap;
use std::rc::Rc;

use super::{Id, LONGEST_NAME, MOST_SIDES, Storage, Tensor, Value, damaged};
use crate::error::WeightsError;
use crate::weights::{Kind, not_weights};

const NOT_A_STATE_DICT: &str =
    "which no state dict needs (a model saved whole can't be read: save its state_dict())";

/// The machine between two opcodes.
#[derive(Default)]
pub(super) struct Machine<'a> {
    rest: &'a [u8],
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, ..Self::default() }
    }

    /// All values, and how many bytes are left.
    pub(super) fn finish(self) -> (Vec<Value>, usize) {
        (self.values, self.rest.len())
    }

    /// Does what the next opcode says; gives the result after the last one.
    pub(super) fn step(&mut self) -> Result<Option<Id>, WeightsError> {
        match self.byte()? {
            // Protocol and frames say nothing that is needed.
            0x80 => drop(self.byte()?),
            0x95 => drop(self.take(8)?),
            b'.' => return self.pop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'N' | 0x88 | 0x89 => self.push(Value::Nothing),
            b'G' => {
                self.take(8)?;
                self.push(Value::Nothing);
            }
            b'K' => {
                let number = self.byte()?;
                self.push(Value::Int(number.into()));
            }
            b'M' => {
                let number = u16::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()));
            }
            b'J' => {
                let number = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(number.into()));
            }
            0x8a => {
                let count = self.byte()?;
                let number = long(self.take(count.into())?);
                self.push(number.map_or(Value::Nothing, Value::Int));
            }
            b'U' | 0x8c => {
                let count = self.byte()?;
                self.push_text(count.into())?;
            }
            b'X' | b'T' => {
                let count = u32::from_le_bytes(self.array()?);
                self.push_text(count as usize)?;
            }
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85 => self.push_tuple(1)?,
            0x86 => self.push_tuple(2)?,
            0x87 => self.push_tuple(3)?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Value::Tuple(items));
            }
            b']' => self.push(Value::List(Vec::new())),
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push(Value::List(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b'}' => self.push(Value::Dict(Vec::new())),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set(&items)?;
            }
            b'q' => {
                let at = self.byte()?;
                self.remember(at.into())?;
            }
            b'r' => {
                let at = u32::from_le_bytes(self.array()?);
                self.remember(at)?;
            }
            0x94 => self.remember(u32::try_from(self.memo.len()).map_err(|_| damaged())?)?,
            b'h' => {
                let at = self.byte()?;
                self.recall(at.into())?;
            }
            b'j' => {
                let at = u32::from_le_bytes(self.array()?);
                self.recall(at)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push_global(&module, &name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.text(module)?, self.text(name)?);
                self.push_global(&module, &name)?;
            }
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Value::Storage(storage));
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let made = self.call(function, arguments)?;
                self.push(made);
            }
            // The attributes of a dictionary: versions of PyTorch's modules.
            b'b' => drop(self.pop()?),
            0x81 | b'i' | b'o' => return Err(not_weights(format!("it makes objects, {NOT_A_STATE_DICT}"))),
            other => return Err(not_weights(format!("its pickle has the opcode {other:#04x}"))),
        }
        Ok(None)
    }

    fn byte(&mut self) -> Result<u8, WeightsError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WeightsError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(damaged)?;
        self.rest = rest;
        Ok(*array)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], WeightsError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(damaged)?;
        self.rest = rest;
        Ok(taken)
    }

    fn line(&mut self) -> Result<String, WeightsError> {
        let end = self.rest.iter().position(|&byte| byte == b'\n').ok_or_else(damaged)?;
        let line = self.take(end + 1)?;
        Ok(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn push_text(&mut self, count: usize) -> Result<(), WeightsError> {
        let text = Rc::from(String::from_utf8_lossy(self.take(count)?));
        self.push(Value::Text(text));
        Ok(())
    }

    /// A name put together anew at each call must be short: the parts may have been read once and be called a hundred
    /// thousand times.
    fn push_global(&mut self, module: &str, name: &str) -> Result<(), WeightsError> {
        if module.len() + name.len() > LONGEST_NAME {
            return Err(damaged());
        }
        self.push(Value::Global(format!("{module}.{name}").into()));
        Ok(())
    }

    fn push_tuple(&mut self, count: usize) -> Result<(), WeightsError> {
        let at = self.stack.len().checked_sub(count).ok_or_else(damaged)?;
        let items = self.stack.split_off(at);
        self.push(Value::Tuple(items));
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, WeightsError> {
        self.stack.pop().ok_or_else(damaged)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>, WeightsError> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or_else(damaged)?;
        Ok(self.stack.split_off(mark))
    }

    fn top(&mut self) -> Result<&mut Value, WeightsError> {
        let top = *self.stack.last().ok_or_else(damaged)?;
        Ok(&mut self.values[top])
    }

    fn append(&mut self, items: Vec<Id>) -> Result<(), WeightsError> {
        match self.top()? {
            Value::List(list) => list.extend(items),
            _ => return Err(damaged()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Result<(), WeightsError> {
        match self.top()? {
            Value::Dict(dict) => dict.extend(items.as_chunks().0.iter().map(|&[key, value]| (key, value))),
            _ => return Err(damaged()),
        }
        Ok(())
    }

    fn remember(&mut self, at: u32) -> Result<(), WeightsError> {
        let top = *self.stack.last().ok_or_else(damaged)?;
        self.memo.insert(at, top);
        Ok(())
    }

    fn recall(&mut self, at: u32) -> Result<(), WeightsError> {
        self.stack.push(*self.memo.get(&at).ok_or_else(damaged)?);
        Ok(())
    }

    fn text(&self, id: Id) -> Result<Rc<str>, WeightsError> {
        match &self.values[id] {
            Value::Text(text) => Ok(Rc::clone(text)),
            _ => Err(damaged()),
        }
    }

    fn size(&self, id: Id) -> Result<usize, WeightsError> {
        match &self.values[id] {
            Value::Int(number) => usize::try_from(*number).map_err(|_| damaged()),
            _ => Err(damaged()),
        }
    }

    fn tuple(&self, id: Id) -> Result<&[Id], WeightsError> {
        match &self.values[id] {
            Value::Tuple(items) => Ok(items),
            _ => Err(damaged()),
        }
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>, WeightsError> {
        let sizes = self.tuple(id)?;
        if sizes.len() > MOST_SIDES {
            return Err(not_weights(format!("it has a tensor of {} dimensions", sizes.len())));
        }
        sizes.iter().map(|&item| self.size(item)).collect()
    }

    /// A persistent id: `("storage", class, key, device, count)`, and in files before 1.6 what part of another one it is.
    fn storage(&self, id: Id) -> Result<Storage, WeightsError> {
        let (&[_, class, key, _, _], view) = self.tuple(id)?.split_first_chunk().ok_or_else(damaged)?;
        if view.iter().any(|&view| !matches!(self.values[view], Value::Nothing)) {
            return Err(not_weights("it has storages that are parts of other ones"));
        }
        let Value::Global(class) = &self.values[class] else { return Err(damaged()) };
        let (kind, width) = match &**class {
            "torch.FloatStorage" => (Ok(Kind::F32), 4),
            "torch.HalfStorage" => (Ok(Kind::F16), 2),
            "torch.BFloat16Storage" => (Ok(Kind::Bf16), 2),
            other => (Err(format!("its values are a {other}, not of f32, f16 or bf16")), other_width(other)?),
        };
        Ok(Storage { kind, width, key: self.text(key)? })
    }

    /// The functions that a state dict is put together by.
    fn call(&self, function: Id, arguments: Id) -> Result<Value, WeightsError> {
        let Value::Global(name) = &self.values[function] else { return Err(damaged()) };
        let arguments = self.tuple(arguments)?;
        match (&**name, arguments) {
            ("collections.OrderedDict", []) => Ok(Value::Dict(Vec::new())),
            (
                "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
                &[storage, offset, shape, strides, ..],
            ) => {
                let Value::Storage(storage) = &self.values[storage] else { return Err(damaged()) };
                let shape = self.sizes(shape)?;
                let contiguous = is_row_major(&shape, &self.sizes(strides)?);
                let (storage, offset) = (storage.clone(), self.size(offset)?);
                Ok(Value::Tensor(Tensor { storage, offset, shape, contiguous }))
            }
            ("torch._utils._rebuild_parameter", &[tensor, ..]) => match &self.values[tensor] {
                Value::Tensor(tensor) => Ok(Value::Tensor(tensor.clone())),
                _ => Err(damaged()),
            },
            _ => Err(not_weights(format!("it asks for {name} to be called, {NOT_A_STATE_DICT}"))),
        }
    }
}

/// Bytes of a value in a storage that is not for weights.
fn other_width(class: &str) -> Result<usize, WeightsError> {
    match class {
        "torch.DoubleStorage" | "torch.LongStorage" => Ok(8),
        "torch.IntStorage" => Ok(4),
        "torch.ShortStorage" => Ok(2),
        "torch.CharStorage" | "torch.ByteStorage" | "torch.BoolStorage" => Ok(1),
        _ => Err(not_weights(format!("it has values of an unknown class, {class}"))),
    }
}

/// Whether values of this shape lie row by row. The stride of a side of one value says nothing.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    let mut expected = 1usize;
    shape.len() == strides.len()
        && shape.iter().zip(strides).rev().all(|(&side, &stride)| {
            let fits = side == 1 || stride == expected;
            expected = expected.saturating_mul(side);
            fits
        })
}

/// A little-endian number in two's complement; `None` if it needs more than 64 bits.
fn long(bytes: &[u8]) -> Option<i64> {
    let sign = if bytes.last().is_some_and(|last| last & 0x80 != 0) { 0xff } else { 0 };
    let mut wide = [sign; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(wide))
}
