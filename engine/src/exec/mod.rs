//! Running requests over one snapshot: finding the rows ([`matches`](self)), scoring them against query vectors,
//! ordering them, and gathering the columns of the answer. Collections call in here; nothing here locks or writes.

mod aggregate;
mod gather;
mod matches;
mod order;
mod query;
mod queue;
mod search;

use std::collections::HashSet;

pub(crate) use aggregate::aggregate;
pub use aggregate::{Aggregate, AggregateKind, AggregateRequest, Cell, Group};
pub(crate) use matches::{check_rows, matches};
pub use order::OrderBy;
pub use query::QueryRequest;
pub(crate) use query::{count, get, query, scan};
pub use queue::Cancel;
pub(crate) use queue::{Place, SearchQueue};
pub use search::{
    Explained, Fusion, GroupBy, HybridRequest, QueryVectors, SearchHits, SearchRequest, SegmentPlan,
};
pub(crate) use search::{Size, hybrid_search, is_small, search};

use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::limits::MAX_RESULT_WINDOW;
use crate::row::{Scalar, ScalarColumn};
use crate::segment::SegmentView;

/// Where a row of a snapshot is: segment by position, row by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowAddress {
    pub(crate) view: u32,
    pub(crate) row: u32,
}

/// A scalar column in each segment of a snapshot.
struct Columns<'a>(Vec<ScalarColumn<'a>>);

impl<'a> Columns<'a> {
    /// That at a position in [`Schema::arrow`](crate::schema::Schema::arrow).
    fn new(snapshot: &'a Snapshot, position: usize) -> Result<Self> {
        let missing = || EngineError::Internal(format!("column {position} has no single values"));
        let column = |view: &'a SegmentView| {
            let array = view.segment.scalars().columns().get(position)?;
            ScalarColumn::of(array.as_ref())
        };
        snapshot.views().iter().map(|view| column(view).ok_or_else(missing)).collect::<Result<_>>().map(Self)
    }

    fn get(&self, address: RowAddress) -> Scalar<'a> {
        self.0[address.view as usize].get(address.row as usize)
    }
}

/// Refuses a field that is named twice.
fn check_once<'n>(what: &str, names: impl Iterator<Item = &'n str>) -> Result<()> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(EngineError::invalid(format!("{what} field {name} is given more than once")));
        }
    }
    Ok(())
}

/// Checks a window of rows: `offset + limit` in 1..=16,384.
fn check_window(limit: usize, offset: usize) -> Result<usize> {
    let end = limit.saturating_add(offset);
    if limit == 0 || end > MAX_RESULT_WINDOW {
        return Err(EngineError::invalid(format!(
            "invalid max query result window, (offset+limit) should be in range [1, {MAX_RESULT_WINDOW}], but got {end}"
        )));
    }
    Ok(end)
}
