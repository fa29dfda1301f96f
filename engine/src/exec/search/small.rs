//! Searches that take less time than waking a thread for them does: they are answered where they are asked.

use super::queries::QueryVectors;
use super::request::SearchRequest;
use crate::collection::Snapshot;
use crate::exec::gather::vector_place;
use crate::plan::{Effort, Facts, Indexed, segment_cost};

/// Values of codes compared: about a quarter of a millisecond. To wake a thread and be woken again takes a third of that on
/// virtual machines.
const SMALL: f32 = (1 << 22) as f32;
/// Hits of all queries: to gather their columns takes time too.
const FEW_HITS: usize = 1024;

/// What the work of a search without a filter depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size<'a> {
    pub(crate) field: &'a str,
    pub(crate) queries: usize,
    /// Rows for each query.
    pub(crate) wanted: usize,
    pub(crate) effort: Effort,
}

impl Size<'_> {
    /// By the planner's estimate. Of vectors without a fixed length no estimate is made.
    pub(crate) fn is_small(&self, snapshot: &Snapshot) -> bool {
        let Ok(place) = vector_place(snapshot.schema(), self.field) else { return false };
        let Some(dim) = place.field.dim.filter(|_| place.field.data_type.is_dense()) else { return false };
        if self.queries.saturating_mul(self.wanted) > FEW_HITS {
            return false;
        }
        let cost = snapshot.views().iter().map(|view| {
            let index = view.segment.index(place.position);
            let rows = view.segment.rows();
            segment_cost(Facts {
                rows,
                matching: rows,
                wanted: self.wanted.min(rows),
                effort: self.effort,
                inner_bound: false,
                index: index.as_deref().map(Indexed::of),
            })
        });
        cost.sum::<f32>() * dim as f32 * self.queries as f32 <= SMALL
    }
}

/// Whether a search is that small.
pub(crate) fn is_small(snapshot: &Snapshot, request: &SearchRequest) -> bool {
    let QueryVectors::Dense(matrix) = &request.queries else { return false };
    let dim = snapshot.schema().field(&request.field).and_then(|(_, field)| field.dim);
    let size = Size {
        field: &request.field,
        queries: matrix.len() / dim.unwrap_or(1).max(1),
        wanted: request.limit.saturating_add(request.offset),
        effort: request.effort,
    };
    let simple = request.filter.is_none() && request.group_by.is_none() && request.range_filter.is_none();
    simple && size.is_small(snapshot)
}
