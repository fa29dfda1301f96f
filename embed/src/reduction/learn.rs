//! Learning a PCA. Rows are added one by one and only their sums are kept, in f64: a million of them take no more memory
//! than a thousand, the square of the dimension. The same rows in the same order give the same components, whatever the
//! number of threads.

use std::cmp::Ordering;

use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

use super::Reduction;
use crate::error::ReductionError;
use crate::identity::ModelIdentity;

/// Rows that are added to the sums together, so that each sum is fetched from memory once for all of them.
const BLOCK: usize = 64;
/// Whitening divides by no variance below this share of the largest: what is hardly there would be made of noise only.
const LEAST_VARIANCE: f64 = 1e-6;
/// Steps of the decomposition for each dimension, after which it counts as failed; it takes about two.
const MOST_STEPS: usize = 100;

/// Sums from which mean and covariance follow.
#[derive(Clone, Debug)]
pub struct Covariance {
    dimension: usize,
    rows: usize,
    /// The first row. All others count from there: rows that are equal, or nearly so, then leave no rounding to learn from.
    origin: Vec<f64>,
    sums: Vec<f64>,
    /// Sums of the products of two values, dimension x dimension; only those with row <= column are kept up.
    products: Vec<f64>,
    /// Rows that are not in the products yet.
    pending: Vec<f64>,
}

impl Covariance {
    /// Of no rows yet, of so many values each.
    pub fn new(dimension: usize) -> Self {
        let (sums, products) = (vec![0.0; dimension], vec![0.0; dimension * dimension]);
        Self { dimension, rows: 0, origin: Vec::new(), sums, products, pending: Vec::new() }
    }

    /// How many rows were added.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`ReductionError::Length`] for one of another dimension, [`ReductionError::NotFinite`] for infinite values and NaN.
    pub fn add(&mut self, row: &[f32]) -> Result<(), ReductionError> {
        if row.len() != self.dimension {
            return Err(ReductionError::Length { expected: self.dimension, got: row.len() });
        }
        if !row.iter().all(|value| value.is_finite()) {
            return Err(ReductionError::NotFinite);
        }
        if self.rows == 0 {
            self.origin = row.iter().copied().map(f64::from).collect();
        }
        self.rows += 1;
        let from_origin = row.iter().zip(&self.origin).map(|(value, origin)| f64::from(*value) - origin);
        let start = self.pending.len();
        self.pending.extend(from_origin);
        self.sums.iter_mut().zip(&self.pending[start..]).for_each(|(sum, value)| *sum += value);
        if self.pending.len() == BLOCK * self.dimension {
            self.absorb();
        }
        Ok(())
    }

    fn absorb(&mut self) {
        let (dimension, pending) = (self.dimension, &self.pending);
        self.products.par_chunks_mut(dimension).enumerate().for_each(|(first, sums)| {
            for row in pending.chunks_exact(dimension) {
                let factor = row[first];
                for (sum, value) in sums[first..].iter_mut().zip(&row[first..]) {
                    *sum += factor * value;
                }
            }
        });
        self.pending.clear();
    }

    /// Finds the directions in which the rows vary most. Takes time with the cube of the dimension.
    ///
    /// # Errors
    /// [`ReductionError::NothingToLearn`] for fewer than two different rows, [`ReductionError::NotConverged`].
    pub fn principal_components(mut self) -> Result<PrincipalComponents, ReductionError> {
        if self.rows < 2 {
            return Err(ReductionError::NothingToLearn);
        }
        self.absorb();
        let Self { dimension, rows, origin, sums, products, .. } = self;
        let n = rows as f64;
        let mut mean: Vec<f64> = sums.into_iter().map(|sum| sum / n).collect();
        let covariance = DMatrix::from_fn(dimension, dimension, |row, column| {
            let (row, column) = (row.min(column), row.max(column));
            (products[row * dimension + column] - n * mean[row] * mean[column]) / (n - 1.0)
        });
        drop(products);
        mean.iter_mut().zip(origin).for_each(|(mean, origin)| *mean += origin);
        let SymmetricEigen { eigenvectors, eigenvalues } =
            SymmetricEigen::try_new(covariance, f64::EPSILON, MOST_STEPS * dimension)
                .ok_or(ReductionError::NotConverged)?;
        let mut order: Vec<usize> = (0..dimension).collect();
        // A stable sort: equal variances stay in their order.
        order.sort_by(|a, b| eigenvalues[*b].total_cmp(&eigenvalues[*a]));
        let component = |place: usize| with_fixed_sign(eigenvectors.column(place).iter().copied().collect());
        // Rounding can leave a little less than nothing.
        let variances: Vec<f64> = order.iter().map(|place| eigenvalues[*place].max(0.0)).collect();
        if variances.first().is_none_or(|largest| *largest <= 0.0) {
            return Err(ReductionError::NothingToLearn);
        }
        Ok(PrincipalComponents {
            rows,
            mean,
            components: order.into_iter().map(component).collect(),
            variances,
        })
    }
}

/// A direction has two unit vectors. Of them, the one whose largest value is positive.
fn with_fixed_sign(mut component: Vec<f64>) -> Vec<f64> {
    let by_size = |a: &&f64, b: &&f64| a.abs().partial_cmp(&b.abs()).unwrap_or(Ordering::Equal);
    // Of equal ones the last: any rule will do that is always the same.
    if component.iter().max_by(by_size).is_some_and(|largest| *largest < 0.0) {
        component.iter_mut().for_each(|value| *value = -*value);
    }
    component
}

/// Mean, and orthonormal directions by falling variance: what reductions to any dimension are cut from.
#[derive(Clone, Debug)]
pub struct PrincipalComponents {
    rows: usize,
    pub(super) mean: Vec<f64>,
    pub(super) components: Vec<Vec<f64>>,
    pub(super) variances: Vec<f64>,
}

impl PrincipalComponents {
    /// Variance of the rows along each direction, largest first.
    pub fn variances(&self) -> &[f64] {
        &self.variances
    }

    /// The reduction to the first `dimension` directions, for vectors of the identity `source`.
    ///
    /// # Errors
    /// [`ReductionError::Dimension`] unless `dimension` is from 1 to the dimension of the rows and less than their number;
    /// [`ReductionError::Source`] for an identity of vectors of another dimension, or reduced ones.
    pub fn reduction(
        &self,
        source: ModelIdentity,
        dimension: usize,
        whitened: bool,
    ) -> Result<Reduction, ReductionError> {
        let most = most_dimensions(self.mean.len(), self.rows);
        if !(1..=most).contains(&dimension) {
            return Err(ReductionError::Dimension { dimension, most, rows: self.rows });
        }
        if source.reduction.is_some() || source.dimension != self.mean.len() {
            return Err(ReductionError::Source {
                source_identity: source.to_string(),
                dimension: self.mean.len(),
            });
        }
        let least = self.variances[0] * LEAST_VARIANCE;
        let scale =
            |place: usize| if whitened { self.variances[place].max(least).sqrt().recip() } else { 1.0 };
        let scales: Vec<f64> = (0..dimension).map(scale).collect();
        let weight = |input: usize, output: usize| (self.components[output][input] * scales[output]) as f32;
        let projection = (0..self.mean.len())
            .flat_map(|input| (0..dimension).map(move |output| (input, output)))
            .map(|(input, output)| weight(input, output))
            .collect();
        let mean = self.mean.iter().map(|value| *value as f32).collect();
        Ok(Reduction { source, dimension, whitened, mean, projection })
    }
}

/// The most dimensions that rows can be reduced to: they vary in no more directions.
pub fn most_dimensions(dimension: usize, rows: usize) -> usize {
    dimension.min(rows.saturating_sub(1))
}
