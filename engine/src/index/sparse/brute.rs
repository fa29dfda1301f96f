//! Without an index: the rows of a set one by one, each merged with the query. For segments too small or too fresh to
//! have an index, and what the index is tested against.

use std::cell::OnceCell;

use super::Findable;
use super::query::{SparseQuery, Term};
use super::rows::{SparseRow, SparseRows};
use super::score::{Scoring, rounded};
use crate::index::{Collector, SearchStats};

/// Offers every row that may be found and shares a dimension with the query.
pub fn brute_force(
    rows: &(impl SparseRows + ?Sized),
    query: &SparseQuery,
    scoring: &impl Scoring,
    findable: Findable<'_>,
    collector: &mut dyn Collector,
    stats: &mut SearchStats,
) {
    if query.is_empty() {
        return;
    }
    for row in findable.rows.iter().take_while(|&row| row < rows.count()) {
        if findable.is_hidden(row) {
            continue;
        }
        let vector = rows.row(row);
        stats.scored += 1;
        stats.bytes += vector.as_bytes().len() as u64;
        let score = rounded(sum(vector, &query.terms, scoring));
        if score > 0.0 {
            collector.offer(row as u32, score);
        }
    }
}

/// The sum of what shared dimensions add, by ascending dimension.
fn sum(row: SparseRow<'_>, terms: &[Term], scoring: &impl Scoring) -> f64 {
    let (mut sum, mut terms) = (0.0, terms);
    let length = OnceCell::new();
    for (dimension, value) in row.entries() {
        terms = &terms[terms.iter().take_while(|term| term.dimension < dimension).count()..];
        match terms.first() {
            None => break,
            Some(term) if term.dimension == dimension => {
                sum += scoring.part(term.weight, value, || *length.get_or_init(|| row.length()));
            }
            Some(_) => {}
        }
    }
    sum
}
