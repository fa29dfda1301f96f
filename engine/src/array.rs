//! A column of plain values, in memory or in a map: readers see a slice and cannot tell which it is.

use bytemuck::Pod;
use elanus_storage::Bytes;

use crate::error::{EngineError, Result};

/// Values that never change.
#[derive(Debug)]
pub(crate) enum Array<T> {
    Heap(Vec<T>),
    Mapped(Bytes),
}

impl<T: Pod> Array<T> {
    /// Reads a mapped block as values.
    ///
    /// # Errors
    /// When it does not hold exactly `expected` of them, or is not aligned.
    pub(crate) fn mapped(bytes: Bytes, expected: usize) -> Result<Self> {
        let found = bytes.typed::<T>()?.len();
        if found != expected {
            return Err(EngineError::Internal(format!("a block of {found} values, expected {expected}")));
        }
        Ok(Self::Mapped(bytes))
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::Heap(values) => values,
            // `mapped` has made this very call succeed, and maps do not change: the fallback is never taken.
            Self::Mapped(bytes) => bytes.typed().unwrap_or(&[]),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.as_slice())
    }
}

impl<T> From<Vec<T>> for Array<T> {
    fn from(values: Vec<T>) -> Self {
        Self::Heap(values)
    }
}
