//! Query vectors of each kind: as a client gives them, and as they are compared after they were checked.

use std::sync::Arc;

use crate::error::{EngineError, Result};
use crate::index::sparse::SparseVector;
use crate::kernel;
use crate::metric::MetricType;
use crate::row::{packed, sparse};
use crate::schema::{DataType, Field, Schema};
use crate::text::Analyzer;
use crate::text::term::term_counts;

/// Query vectors, as many as one request has.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryVectors {
    /// For dense vectors of any type: row-major, number of queries × dimension.
    Dense(Vec<f32>),
    /// For binary vectors: row-major, number of queries × dimension / 8 bytes.
    Binary(Vec<u8>),
    /// For sparse vectors: each as [`crate::row::Value::Bytes`].
    Sparse(Vec<Vec<u8>>),
    /// For the output of a full-text function: each is cut into words as the stored texts were.
    Text(Vec<String>),
}

impl From<Vec<f32>> for QueryVectors {
    fn from(matrix: Vec<f32>) -> Self {
        Self::Dense(matrix)
    }
}

/// Query vectors that fit their field and metric.
#[derive(Debug, Clone)]
pub(super) enum Queries {
    /// Row-major; for COSINE each is scaled to length 1.
    Dense { matrix: Vec<f32>, dim: usize },
    /// Row-major, `width` bytes each.
    Binary { matrix: Vec<u8>, width: usize },
    /// Weights, or how often each word is in a text.
    Sparse(Vec<SparseVector>),
}

impl Queries {
    /// Checks what a client gave for this field.
    ///
    /// # Errors
    /// `InvalidQueryVector` when kinds, dimensions or values do not fit.
    pub(super) fn check(
        schema: &Schema,
        field: &Field,
        metric: MetricType,
        given: &QueryVectors,
    ) -> Result<Self> {
        match (field.data_type, given) {
            (DataType::BinaryVector, QueryVectors::Binary(matrix)) => {
                let width = field.dim.unwrap_or(0) / 8;
                check_length(field, matrix.len(), width)?;
                Ok(Self::Binary { matrix: matrix.clone(), width })
            }
            (DataType::SparseFloatVector, QueryVectors::Text(texts)) if field.function_output => {
                let analyzer = analyzer_of(schema, field)?;
                let terms = texts.iter().map(|text| term_counts(&analyzer, text));
                Ok(Self::Sparse(terms.collect::<Result<_>>()?))
            }
            (DataType::SparseFloatVector, QueryVectors::Sparse(vectors)) if !field.function_output => {
                let vector = |bytes: &Vec<u8>| {
                    sparse::check(bytes).map_err(EngineError::InvalidQueryVector)?;
                    SparseVector::from_pairs(sparse::pairs(bytes))
                };
                Ok(Self::Sparse(vectors.iter().map(vector).collect::<Result<_>>()?))
            }
            (data_type, QueryVectors::Dense(matrix)) if data_type.is_dense() => {
                let dim = field.dim.unwrap_or(0);
                check_length(field, matrix.len(), dim)?;
                dense(data_type, metric, matrix, dim)
            }
            _ => Err(EngineError::InvalidQueryVector(format!(
                "the query vectors are of another kind than field {}, which is {}",
                field.name, field.data_type
            ))),
        }
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Dense { matrix, dim } => matrix.len() / dim.max(&1),
            Self::Binary { matrix, width } => matrix.len() / width.max(&1),
            Self::Sparse(vectors) => vectors.len(),
        }
    }

    /// One of them by itself.
    pub(super) fn only(&self, at: usize) -> Self {
        match self {
            Self::Dense { matrix, dim } => {
                Self::Dense { matrix: matrix[at * dim..(at + 1) * dim].to_vec(), dim: *dim }
            }
            Self::Binary { matrix, width } => {
                Self::Binary { matrix: matrix[at * width..(at + 1) * width].to_vec(), width: *width }
            }
            Self::Sparse(vectors) => Self::Sparse(vec![vectors[at].clone()]),
        }
    }

    /// Bytes that are read to compare one row in full, about.
    pub(super) fn row_bytes(&self) -> usize {
        match self {
            Self::Dense { dim, .. } => dim * size_of::<f32>(),
            Self::Binary { width, .. } => *width,
            Self::Sparse(_) => 0,
        }
    }
}

/// What cut the texts that fill a field into words.
fn analyzer_of(schema: &Schema, field: &Field) -> Result<Arc<Analyzer>> {
    let function = schema.functions().iter().find(|function| function.output == field.name);
    let input = function.and_then(|function| schema.field(&function.input));
    let missing = || EngineError::Internal(format!("field {} without its function", field.name));
    schema.analyzer(input.ok_or_else(missing)?.1)
}

fn check_length(field: &Field, length: usize, one: usize) -> Result<()> {
    if one > 0 && length > 0 && length.is_multiple_of(one) {
        return Ok(());
    }
    Err(EngineError::InvalidQueryVector(format!(
        "{length} query values are not a multiple of the dimension {one} of field {}",
        field.name
    )))
}

fn dense(data_type: DataType, metric: MetricType, matrix: &[f32], dim: usize) -> Result<Queries> {
    if matrix.iter().any(|v| !v.is_finite()) {
        return Err(EngineError::InvalidQueryVector("query vector holds a value that is not finite".into()));
    }
    let mut fitted = Vec::with_capacity(matrix.len());
    for &value in matrix {
        fitted.push(packed::fit(data_type, value).ok_or_else(|| {
            EngineError::InvalidQueryVector(format!("the value {value} of a query does not fit {data_type}"))
        })?);
    }
    let matrix = match metric {
        MetricType::Cosine => fitted.chunks_exact(dim).flat_map(|q| kernel::active().unit(q)).collect(),
        _ => fitted,
    };
    Ok(Queries::Dense { matrix, dim })
}
