//! Sparse vectors: a few dimensions of 2^32 − 1 with a positive value each. Searched by inner product, or by BM25 where
//! they are counts of terms.
//!
//! ```text
//!   rows   bytes as on Milvus's wire, checked          query   dimensions and weights
//!     └──► build: SparseIndex                            │
//!            dimension → postings, in blocks by window   │
//!                  └───────────────► search ◄────────────┤   windows skipped by their best possible score
//!     └────────────────────────────► brute  ◄────────────┘   every row of a set
//!                                        score: InnerProduct, Bm25 (with a Corpus)
//! ```
//!
//! What must stay true: a row's score is the sum of what its dimensions add, in `f64`, by ascending dimension, rounded
//! once to `f32` (and never infinite). So both ways of searching give the same scores to the last bit. A row that
//! shares no dimension with the query, or only zeros, is no hit. Nothing here panics, whatever is in the bytes.

mod bm25;
mod brute;
mod build;
mod index;
mod query;
mod rows;
mod score;
mod search;
#[cfg(test)]
mod tests;

pub use bm25::{Bm25, Bm25Params, Corpus};
pub use brute::brute_force;
pub use index::SparseIndex;
pub use query::SparseQuery;
pub use rows::{SparseRow, SparseRows, SparseVector};
pub use score::{InnerProduct, Scoring};
pub use search::search;

use crate::rowset::RowSet;

/// Which rows may be found.
#[derive(Debug, Clone, Copy)]
pub struct Findable<'a> {
    /// Rows that are alive and match the filter. Rows beyond its length may not be found.
    pub rows: &'a RowSet,
    /// A row that does not exist for this search.
    pub hidden: Option<u32>,
}

impl Findable<'_> {
    fn contains(&self, row: usize) -> bool {
        row < self.rows.rows() && self.rows.contains(row) && !self.is_hidden(row)
    }

    fn is_hidden(&self, row: usize) -> bool {
        self.hidden.is_some_and(|hidden| hidden as usize == row)
    }
}
