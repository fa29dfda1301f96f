//! Shorter vectors: a principal component analysis (PCA), learned on the stored vectors of a collection and applied to
//! everything that is compared with them. After Jégou and Chum, "Negative evidences and co-occurrences in image retrieval:
//! the benefit of PCA and whitening" (ECCV 2012): the mean is subtracted, the vector is projected on the directions of
//! the largest variance, with whitening each of them is divided by its standard deviation, and the length becomes 1 again.
//! Whitening wants many more vectors than dimensions: what it gains and loses is measured in `benches/README.md`.
//!
//! ```text
//!   vectors ─► Covariance ─► PrincipalComponents ─► Reduction ◄─► bytes of a file
//!              sums, f64      eigenvectors, once     for one dimension, with or without whitening
//! ```
//!
//! A reduction is part of what its vectors mean: [`Reduction::identity`] ends in the SHA-256 of its file. What must stay
//! true: the same file gives the same vectors for ever.

mod file;
mod learn;

pub use learn::{Covariance, PrincipalComponents, most_dimensions};

use crate::error::ReductionError;
use crate::identity::{ModelIdentity, ReductionIdentity};

/// Brings vectors of one identity to fewer dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduction {
    /// Identity of the vectors that it takes.
    source: ModelIdentity,
    /// Values of its results.
    dimension: usize,
    whitened: bool,
    /// Mean of the vectors that it was learned on.
    mean: Vec<f32>,
    /// Inputs x outputs, row-major. Each column is a component, with whitening divided by its standard deviation.
    projection: Vec<f32>,
}

impl Reduction {
    /// Identity of the vectors that it takes.
    pub fn source(&self) -> &ModelIdentity {
        &self.source
    }

    /// Identity of the vectors that it makes.
    pub fn identity(&self) -> ModelIdentity {
        let (dimension, whitened, sha256) = (self.dimension, self.whitened, self.sha256());
        ModelIdentity {
            reduction: Some(ReductionIdentity { dimension, whitened, sha256 }),
            ..self.source.clone()
        }
    }

    /// Reduces a vector; the result has length 1.
    ///
    /// # Errors
    /// [`ReductionError::Length`] for a vector of another dimension; [`ReductionError::NoDirection`] for one that lies at the
    /// mean, or is not finite.
    pub fn apply(&self, vector: &[f32]) -> Result<Vec<f32>, ReductionError> {
        if vector.len() != self.mean.len() {
            return Err(ReductionError::Length { expected: self.mean.len(), got: vector.len() });
        }
        let mut reduced = vec![0f64; self.dimension];
        let rows = self.projection.chunks_exact(self.dimension);
        for ((value, mean), weights) in vector.iter().zip(&self.mean).zip(rows) {
            let centred = f64::from(*value) - f64::from(*mean);
            for (sum, weight) in reduced.iter_mut().zip(weights) {
                *sum += centred * f64::from(*weight);
            }
        }
        let length = reduced.iter().map(|value| value * value).sum::<f64>().sqrt();
        if !length.is_finite() || length == 0.0 {
            return Err(ReductionError::NoDirection);
        }
        Ok(reduced.into_iter().map(|value| (value / length) as f32).collect())
    }
}

#[cfg(test)]
mod tests;
