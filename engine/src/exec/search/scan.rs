//! Comparing binary vectors with a query: one by one.

use arrow_array::FixedSizeBinaryArray;

use crate::index::{Collector, SearchStats};
use crate::kernel::narrow;
use crate::metric::MetricType;

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
