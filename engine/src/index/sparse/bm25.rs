//! BM25 over sparse vectors whose dimensions are terms and whose values count them (S. Robertson, H. Zaragoza: The
//! Probabilistic Relevance Framework: BM25 and Beyond, Foundations and Trends in Information Retrieval 3(4), 2009).
//!
//! ```text
//!   score = Σ over terms t of the query   count(t in query) · idf(t) · tf · (k1 + 1) / (tf + k1 · (1 − b + b · len / avg))
//!   idf(t) = ln(1 + (N − df + 0.5) / (df + 0.5))
//! ```
//!
//! `N` documents, `df` of them with the term, `tf` its count in the document, `len` the terms of the document, `avg`
//! their mean: these come from a [`Corpus`] that spans all segments, so that a document has the same score wherever it
//! lies. Rows without terms are documents, too.

use std::collections::BTreeMap;

use super::index::SparseIndex;
use super::query::SparseQuery;
use super::rows::{SparseRow, SparseRows};
use super::score::Scoring;
use crate::error::{EngineError, Result};

/// The parameters of BM25.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bm25Params {
    k1: f64,
    b: f64,
}

impl Default for Bm25Params {
    /// `k1` = 1.2 and `b` = 0.75, as in Milvus.
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

impl Bm25Params {
    /// `k1`: how soon more of the same term counts for less, 0 to 3. `b`: how much the length of a document counts
    /// against it, 0 to 1. The ranges are Milvus's.
    ///
    /// # Errors
    /// `InvalidParameter` when one is out of range.
    pub fn new(k1: f64, b: f64) -> Result<Self> {
        if !(0.0..=3.0).contains(&k1) {
            return Err(EngineError::invalid(format!("bm25_k1 should be in range 0 ~ 3, got {k1}")));
        }
        if !(0.0..=1.0).contains(&b) {
            return Err(EngineError::invalid(format!("bm25_b should be in range 0 ~ 1, got {b}")));
        }
        Ok(Self { k1, b })
    }
}

/// What BM25 needs to know of all documents, for the terms of one query. Gathered segment by segment, in any order or
/// side by side and then merged. Lengths are sums of counts, whole numbers: the same however they are merged.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Corpus {
    documents: u64,
    length: f64,
    /// Documents with a term.
    frequencies: BTreeMap<u32, u64>,
}

impl Corpus {
    /// Nothing yet, for the terms of a query (a vector of term → count).
    pub fn of_query(query: SparseRow<'_>) -> Self {
        Self { frequencies: query.entries().map(|(term, _)| (term, 0)).collect(), ..Self::default() }
    }

    /// Takes in the documents of an indexed segment, by a look at the blocks of each term.
    pub fn add_index(&mut self, index: &SparseIndex) {
        self.documents += index.rows() as u64;
        self.length += index.total_length();
        for (&term, frequency) in &mut self.frequencies {
            *frequency += index.frequency(term);
        }
    }

    /// Takes in the documents of a segment that has no index, by a look at each.
    pub fn add_rows(&mut self, rows: &(impl SparseRows + ?Sized)) {
        for row in 0..rows.count() {
            let row = rows.row(row);
            self.documents += 1;
            self.length += f64::from(row.length());
            for (term, _) in row.entries() {
                if let Some(frequency) = self.frequencies.get_mut(&term) {
                    *frequency += 1;
                }
            }
        }
    }

    /// How rare a term is, above 0.
    fn idf(&self, term: u32) -> f64 {
        let frequency = self.frequencies.get(&term).copied().unwrap_or(0) as f64;
        let others = (self.documents as f64 - frequency).max(0.0);
        ((others + 0.5) / (frequency + 0.5)).ln_1p()
    }

    /// Mean number of terms of a document; 0 when there are none.
    fn mean_length(&self) -> f64 {
        if self.documents == 0 { 0.0 } else { self.length / self.documents as f64 }
    }
}

/// Scoring by BM25, for one query over one corpus.
#[derive(Debug, Clone, Copy)]
pub struct Bm25 {
    most: f64,
    /// What is added to a count below the line: a part for every document, and one for each term of its length.
    fixed: f64,
    by_length: f64,
}

impl Bm25 {
    /// A scoring and a query that go together. `query`: term → count. `drop_ratio`: as for [`SparseQuery::new`].
    ///
    /// # Errors
    /// `InvalidParameter` as [`SparseQuery::new`].
    pub fn new(
        params: Bm25Params,
        corpus: &Corpus,
        query: SparseRow<'_>,
        drop_ratio: f32,
    ) -> Result<(Self, SparseQuery)> {
        let Bm25Params { k1, b } = params;
        let mean = corpus.mean_length();
        let by_length = if mean > 0.0 { k1 * b / mean } else { 0.0 };
        let weights = query.entries().map(|(term, count)| (term, f64::from(count) * corpus.idf(term)));
        let query = SparseQuery::weighted(weights, drop_ratio)?;
        Ok((Self { most: k1 + 1.0, fixed: k1 * (1.0 - b), by_length }, query))
    }
}

impl Scoring for Bm25 {
    #[inline]
    fn part(&self, weight: f64, value: f32, length: impl FnOnce() -> f32) -> f64 {
        let count = f64::from(value);
        weight * (count * self.most / (count + (self.fixed + self.by_length * f64::from(length()))))
    }
}
