//! One vector field of a segment: a row-major matrix of f32 and, for each row, one over its length (for COSINE).
//! Sealed matrices are read straight from the map.

use std::ops::Range;

use elanus_storage::Bytes;

use crate::array::Array;
use crate::error::Result;
use crate::kernel::{self, Metric};

/// Matrix of one vector field.
#[derive(Debug)]
pub struct VectorColumn {
    dim: usize,
    rows: usize,
    values: Array<f32>,
    inverse_norms: Array<f32>,
}

impl VectorColumn {
    /// Takes a row-major matrix and measures its rows.
    pub(crate) fn in_memory(dim: usize, matrix: Vec<f32>) -> Self {
        let kernel = kernel::active();
        let inverse_norms: Vec<f32> =
            matrix.chunks_exact(dim.max(1)).map(|row| kernel.inverse_norm(row)).collect();
        let rows = inverse_norms.len();
        Self { dim, rows, values: matrix.into(), inverse_norms: inverse_norms.into() }
    }

    /// Reads a matrix of `rows` × `dim` and its inverse norms from maps.
    ///
    /// # Errors
    /// When a block has not exactly that size or is not aligned.
    pub(crate) fn mapped(dim: usize, rows: usize, values: Bytes, inverse_norms: Bytes) -> Result<Self> {
        let values = Array::mapped(values, rows.saturating_mul(dim))?;
        Ok(Self { dim, rows, values, inverse_norms: Array::mapped(inverse_norms, rows)? })
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

    /// Scores of contiguous rows. For COSINE the query has length 1.
    pub(crate) fn score_range(&self, metric: Metric, query: &[f32], rows: Range<usize>, out: &mut [f32]) {
        let kernel = kernel::active();
        let matrix = &self.values()[rows.start * self.dim..rows.end * self.dim];
        match metric {
            Metric::L2 => kernel.l2_many(query, matrix, out),
            Metric::Ip => kernel.dot_many(query, matrix, out),
            Metric::Cosine => kernel.cosine_many(query, matrix, &self.inverse_norms()[rows], out),
        }
    }

    /// Scores of the rows of these numbers. For COSINE the query has length 1.
    pub(crate) fn score_rows(&self, metric: Metric, query: &[f32], rows: &[u32], out: &mut [f32]) {
        let kernel = kernel::active();
        match metric {
            Metric::L2 => kernel.l2_gather(query, self.values(), rows, out),
            Metric::Ip => kernel.dot_gather(query, self.values(), rows, out),
            Metric::Cosine => {
                kernel.cosine_gather(query, self.values(), self.inverse_norms(), rows, out);
            }
        }
    }

    /// Size of the matrix and norms.
    pub fn bytes(&self) -> usize {
        (self.rows * self.dim + self.rows) * size_of::<f32>()
    }
}
