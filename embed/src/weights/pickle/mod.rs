//! The pickles of a state dict: a stack machine over as many of Python's opcodes as `torch.save` writes (protocols 2 to
//! 4, PEP 3154), which builds names, numbers and descriptions of tensors and nothing else. A pickle may ask for any
//! function to be called; here three are known, which put tensors together, and any other one is refused by name.
//!
//! Values lie in one list and refer to each other by position, so that what a hostile file nests, repeats or closes to a
//! ring costs no more memory than its own bytes times a constant, and no stack.

mod machine;

use std::rc::Rc;

use super::{Kind, not_weights};
use crate::error::WeightsError;
use machine::Machine;

/// Bytes of a name of Python's, or of a tensor.
const LONGEST_NAME: usize = 1024;
/// Dimensions of a tensor. What is kept for each call of a function must not grow with what it is called with.
const MOST_SIDES: usize = 8;

/// Position of a [`Value`] in [`Pickle::values`].
type Id = usize;

/// What a pickle can hold.
#[derive(Clone, Debug)]
enum Value {
    Nothing,
    Int(i64),
    Text(Rc<str>),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, by its name.
    Global(Rc<str>),
    Storage(Storage),
    Tensor(Tensor),
}

/// Values that tensors share.
#[derive(Clone, Debug)]
pub(super) struct Storage {
    /// Or the name of a kind that no weights have.
    pub(super) kind: Result<Kind, String>,
    /// Bytes of a value.
    pub(super) width: usize,
    /// Its name in the file.
    pub(super) key: Rc<str>,
}

/// A part of a storage.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) storage: Storage,
    /// Of its first value, in values.
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    /// Whether the values follow each other row by row, from the strides.
    pub(super) contiguous: bool,
}

/// One pickle, read to its end.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// The tensors of a dictionary, or of the one that lies in it under `state_dict`.
    pub(super) fn tensors(&self) -> Result<impl Iterator<Item = (&str, &Tensor)>, WeightsError> {
        let dict = |id: Id| match &self.values[id] {
            Value::Dict(items) => Some(items),
            _ => None,
        };
        let root = dict(self.root).ok_or_else(|| not_weights("the file holds no dictionary of tensors"))?;
        let inner = root.iter().find(|(key, _)| self.text(*key) == Some("state_dict"));
        let items = inner.and_then(|(_, value)| dict(*value)).unwrap_or(root);
        Ok(items.iter().filter_map(|&(key, value)| match &self.values[value] {
            Value::Tensor(tensor) => {
                Some((self.text(key).filter(|name| name.len() <= LONGEST_NAME)?, tensor))
            }
            _ => None,
        }))
    }

    /// Everything that tensors share, also those that are in no dictionary of weights: an optimiser's.
    pub(super) fn storages(&self) -> impl Iterator<Item = &Storage> {
        self.values.iter().filter_map(|value| match value {
            Value::Storage(storage) => Some(storage),
            _ => None,
        })
    }

    /// The texts of a list.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        match &self.values[self.root] {
            Value::List(items) => items.iter().map(|&item| self.text(item)).collect(),
            _ => None,
        }
    }

    fn text(&self, id: Id) -> Option<&str> {
        match &self.values[id] {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads the pickle at the beginning of `bytes`; says how many of them it has.
///
/// # Errors
/// For what is cut off, no pickle, or more than a state dict.
pub(super) fn read(bytes: &[u8]) -> Result<(Pickle, usize), WeightsError> {
    let mut machine = Machine::new(bytes);
    loop {
        if let Some(root) = machine.step()? {
            let (values, rest) = machine.finish();
            return Ok((Pickle { values, root }, bytes.len() - rest));
        }
    }
}

fn damaged() -> WeightsError {
    not_weights("its pickle is cut off or damaged")
}
