//! What is searched for: dimensions and weights.

use super::rows::SparseRow;
use crate::error::{EngineError, Result};

/// A dimension of a query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    pub(super) dimension: u32,
    pub(super) weight: f64,
    /// Whether a row may be found for this dimension alone, once enough rows are found.
    pub(super) leads: bool,
}

/// A query: its dimensions that are not 0, ascending.
#[derive(Debug, Clone)]
pub struct SparseQuery {
    pub(super) terms: Vec<Term>,
}

impl SparseQuery {
    /// A query for the inner product.
    ///
    /// `drop_ratio`: the share of the dimensions, those with the smallest weights, that nobody needs to look at to find
    /// rows once `k` are found. They still count in every score. With 0 results are exact; with more, a row can be
    /// missed that shares only such dimensions with the query. The largest weight always leads.
    ///
    /// # Errors
    /// `InvalidParameter` unless `drop_ratio` is at least 0 and below 1.
    pub fn new(row: SparseRow<'_>, drop_ratio: f32) -> Result<Self> {
        Self::weighted(row.entries().map(|(dimension, value)| (dimension, f64::from(value))), drop_ratio)
    }

    /// From weights by strictly ascending dimension. What weighs nothing finds nothing.
    pub(super) fn weighted(terms: impl Iterator<Item = (u32, f64)>, drop_ratio: f32) -> Result<Self> {
        if !(0.0..1.0).contains(&drop_ratio) {
            return Err(EngineError::invalid(format!(
                "drop_ratio_search should be at least 0 and less than 1, got {drop_ratio}"
            )));
        }
        let mut terms: Vec<Term> = terms
            .filter(|&(_, weight)| weight > 0.0 && weight.is_finite())
            .map(|(dimension, weight)| Term { dimension, weight, leads: true })
            .collect();
        let dropped = (terms.len() as f64 * f64::from(drop_ratio)) as usize;
        let mut order: Vec<usize> = (0..terms.len()).collect();
        order.sort_by(|&a, &b| terms[a].weight.total_cmp(&terms[b].weight));
        order.into_iter().take(dropped).for_each(|term| terms[term].leads = false);
        Ok(Self { terms })
    }

    /// Dimensions that count.
    pub fn len(&self) -> usize {
        self.terms.len()
    }

    /// Whether nothing can be found.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }
}
