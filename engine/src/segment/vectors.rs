//! One vector field of a segment: a row-major matrix of f32 and, for each row, one over its length (for COSINE).
//! Sealed matrices are read straight from the map.

use elanus_storage::Bytes;

use crate::error::{EngineError, Result};
use crate::kernel;

/// Floats in memory or in a map.
#[derive(Debug)]
enum Floats {
    Heap(Vec<f32>),
    Mapped(Bytes),
}

impl Floats {
    fn mapped(bytes: Bytes, expected: usize) -> Result<Self> {
        let found = bytes.typed::<f32>()?.len();
        if found != expected {
            return Err(EngineError::Internal(format!(
                "vector block holds {found} floats, expected {expected}"
            )));
        }
        Ok(Self::Mapped(bytes))
    }

    fn as_slice(&self) -> &[f32] {
        match self {
            Self::Heap(values) => values,
            // `mapped` has made this very call succeed, and maps do not change: the fallback is never taken.
            Self::Mapped(bytes) => bytes.typed().unwrap_or(&[]),
        }
    }
}

/// Matrix of one vector field.
#[derive(Debug)]
pub struct VectorColumn {
    dim: usize,
    rows: usize,
    values: Floats,
    inverse_norms: Floats,
}

impl VectorColumn {
    /// Takes a row-major matrix and measures its rows.
    pub(crate) fn in_memory(dim: usize, matrix: Vec<f32>) -> Self {
        let kernel = kernel::active();
        let inverse_norms: Vec<f32> =
            matrix.chunks_exact(dim.max(1)).map(|row| kernel.inverse_norm(row)).collect();
        let rows = inverse_norms.len();
        Self { dim, rows, values: Floats::Heap(matrix), inverse_norms: Floats::Heap(inverse_norms) }
    }

    /// Reads a matrix of `rows` × `dim` and its inverse norms from maps.
    ///
    /// # Errors
    /// When a block has not exactly that size or is not aligned.
    pub(crate) fn mapped(dim: usize, rows: usize, values: Bytes, inverse_norms: Bytes) -> Result<Self> {
        let values = Floats::mapped(values, rows.saturating_mul(dim))?;
        Ok(Self { dim, rows, values, inverse_norms: Floats::mapped(inverse_norms, rows)? })
    }

    /// Values a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The whole matrix, row-major.
    pub fn values(&self) -> &[f32] {
        self.values.as_slice()
    }

    /// One over the length of each row; 0 for a row of zeros, so that its cosine is 0.
    pub fn inverse_norms(&self) -> &[f32] {
        self.inverse_norms.as_slice()
    }

    /// One row. `row` must be below [`VectorColumn::rows`].
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values()[row * self.dim..(row + 1) * self.dim]
    }

    /// Size of the matrix and norms.
    pub fn bytes(&self) -> usize {
        (self.rows * self.dim + self.rows) * size_of::<f32>()
    }
}
