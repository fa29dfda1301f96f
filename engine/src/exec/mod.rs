//! Running requests over one snapshot: finding the rows ([`matches`](self)), scoring them against query vectors,
//! ordering them, and gathering the columns of the answer. Collections call in here; nothing here locks or writes.

mod aggregate;
mod gather;
mod matches;
mod query;
mod queue;
mod search;

pub(crate) use aggregate::aggregate;
pub use aggregate::{Aggregate, AggregateKind, AggregateRequest, Cell, Group};
pub(crate) use matches::{check_rows, matches};
pub use query::{OrderBy, QueryRequest};
pub(crate) use query::{count, get, query, scan};
pub use queue::Cancel;
pub(crate) use queue::SearchQueue;
pub use search::{
    Explained, Fusion, GroupBy, HybridRequest, QueryVectors, SearchHits, SearchRequest, SegmentPlan,
};
pub(crate) use search::{hybrid_search, search};

use crate::error::{EngineError, Result};
use crate::limits::MAX_RESULT_WINDOW;

/// Where a row of a snapshot is: segment by position, row by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowAddress {
    pub(crate) view: u32,
    pub(crate) row: u32,
}

/// Checks a window of a query: `offset + limit` in 1..=16,384.
fn check_window(limit: usize, offset: usize) -> Result<usize> {
    let end = limit.saturating_add(offset);
    if limit == 0 || end > MAX_RESULT_WINDOW {
        return Err(EngineError::invalid(format!(
            "invalid max query result window, (offset+limit) should be in range [1, {MAX_RESULT_WINDOW}], but got {end}"
        )));
    }
    Ok(end)
}
