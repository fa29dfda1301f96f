//! Comparing rows that lie in columns, binary and sparse ones, with a query: one by one.

use arrow_array::{BinaryArray, FixedSizeBinaryArray};

use crate::index::{Collector, SearchStats};
use crate::kernel::narrow;
use crate::metric::MetricType;
use crate::row::sparse;

/// Offers the scores of binary rows to the collector.
pub(super) fn binary(
    column: &FixedSizeBinaryArray,
    metric: MetricType,
    query: &[u8],
    rows: impl Iterator<Item = usize>,
    collector: &mut dyn Collector,
    stats: &mut SearchStats,
) {
    let kernel = narrow::active();
    for row in rows {
        let value = column.value(row);
        stats.scored += 1;
        let score = match metric {
            MetricType::Jaccard => kernel.jaccard(query, value),
            MetricType::Superstructure | MetricType::Substructure => {
                let (inner, outer) =
                    if metric == MetricType::Superstructure { (query, value) } else { (value, query) };
                if inner.iter().zip(outer).any(|(inner, outer)| inner & !outer != 0) {
                    continue;
                }
                0.0
            }
            _ => kernel.hamming(query, value) as f32,
        };
        collector.offer(row as u32, score);
    }
}

/// Offers the inner products of sparse rows to the collector. A row without an index of the query is no hit.
pub(super) fn sparse(
    column: &BinaryArray,
    query: &[(u32, f32)],
    rows: impl Iterator<Item = usize>,
    collector: &mut dyn Collector,
    stats: &mut SearchStats,
) {
    for row in rows {
        stats.scored += 1;
        let mut wanted = query.iter().peekable();
        let (mut product, mut common) = (0.0f64, false);
        for (index, value) in sparse::pairs(column.value(row)) {
            while wanted.next_if(|(other, _)| *other < index).is_some() {}
            match wanted.peek() {
                Some((other, weight)) if *other == index => {
                    product += f64::from(value) * f64::from(*weight);
                    common = true;
                }
                Some(_) => {}
                None => break,
            }
        }
        if common {
            collector.offer(row as u32, product as f32);
        }
    }
}
