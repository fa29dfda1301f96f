//! What a dimension that a row shares with a query adds to its score, and how much it can add at most.

/// A way of scoring. Parts are finite and never negative, and the more the larger the value and the smaller the length.
pub trait Scoring {
    /// What a row with `value` in a dimension gets for it. `length` tells the sum of all its values.
    fn part(&self, weight: f64, value: f32, length: impl FnOnce() -> f32) -> f64;
}

/// The inner product: the sum of products, each exact in `f64`.
#[derive(Debug, Clone, Copy)]
pub struct InnerProduct;

impl Scoring for InnerProduct {
    #[inline]
    fn part(&self, weight: f64, value: f32, _: impl FnOnce() -> f32) -> f64 {
        weight * f64::from(value)
    }
}

/// A bound is a sum in another order than the score, of parts computed from other operands: it may fall short by
/// rounding, by less than this factor for any number of dimensions that fits into a request.
const SLACK: f64 = 1.0 + 1e-7;

/// A sum as it leaves this module: the nearest `f32`, never infinite.
#[inline]
pub(super) fn rounded(sum: f64) -> f32 {
    (sum as f32).min(f32::MAX)
}

/// Whether a row whose sum is at most `bound` is worse than every row that is welcome. Rounding keeps the order, so
/// that this also holds where sums are too small for `f32` to be told apart.
#[inline]
pub(super) fn hopeless(bound: f64, threshold: Option<f32>) -> bool {
    threshold.is_some_and(|threshold| rounded(bound * SLACK) < threshold)
}
