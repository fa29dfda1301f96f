//! Requests without vectors: rows by filter in key order, rows by key, counts, and full scans.

use super::RowAddress;
use super::gather::gather;
use super::matches::{matches, matching};
use super::order::{OrderBy, first_in_order};
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::filter::Filter;
use crate::row::{Keys, Projection, Rows};
use crate::rowset::RowSet;
use crate::segment::SegmentView;

/// Rows a scan hands over at once.
const SCAN_ROWS: usize = 8192;

/// Which rows to give back, by filter, in ascending key order.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    /// None: every row.
    pub filter: Option<Filter>,
    /// Fields of the answer.
    pub projection: Projection,
    /// Most rows, at least 1. Answers are bounded by their bytes.
    pub limit: usize,
    /// Matching rows to skip.
    pub offset: usize,
    /// Order of the rows before that of the keys.
    pub order_by: Vec<OrderBy>,
}

pub(crate) fn query(snapshot: &Snapshot, request: &QueryRequest) -> Result<Rows> {
    if request.limit == 0 {
        return Err(EngineError::invalid("a query for no rows"));
    }
    let end = request.limit.saturating_add(request.offset);
    let matching = matches(snapshot, request.filter.as_ref())?;
    if !request.order_by.is_empty() {
        let rows = first_in_order(snapshot, &matching, &request.order_by, end)?;
        let rows = rows.get(request.offset.min(rows.len())..).unwrap_or_default();
        return gather(snapshot, &request.projection, rows);
    }
    // The first `end` of each segment in key order hold the first `end` of all.
    let mut rows = Vec::new();
    for (index, (view, matching)) in snapshot.views().iter().zip(&matching).enumerate() {
        rows.extend(in_key_order(view, matching).take(end).map(|row| RowAddress { view: index as u32, row }));
    }
    rows.sort_by(|a, b| key_of(snapshot, *a).cmp(&key_of(snapshot, *b)));
    let rows = rows.get(request.offset.min(rows.len())..end.min(rows.len())).unwrap_or_default();
    gather(snapshot, &request.projection, rows)
}

fn in_key_order<'a>(view: &'a SegmentView, matching: &'a RowSet) -> impl Iterator<Item = u32> + 'a {
    let keys = view.segment.keys();
    let rows = if matching.is_empty() { 0 } else { keys.len() };
    (0..rows).map(|rank| keys.row_at(rank)).filter(|&row| matching.contains(row as usize))
}

pub(super) fn key_of(snapshot: &Snapshot, address: RowAddress) -> crate::row::KeyRef<'_> {
    snapshot.views()[address.view as usize].segment.key(address.row as usize)
}

pub(crate) fn get(
    snapshot: &Snapshot,
    visible: Option<&Filter>,
    keys: &Keys,
    projection: &Projection,
) -> Result<Rows> {
    let rows: Vec<RowAddress> = keys
        .iter()
        .filter_map(|key| snapshot.find(key))
        .map(|(view, row)| RowAddress { view: view as u32, row })
        .collect();
    let rows = match visible {
        None => rows,
        Some(filter) => matching(snapshot, filter, rows)?,
    };
    gather(snapshot, projection, &rows)
}

pub(crate) fn count(snapshot: &Snapshot, filter: &Filter) -> Result<u64> {
    Ok(matches(snapshot, Some(filter))?.iter().map(|m| m.len() as u64).sum())
}

pub(crate) fn scan(
    snapshot: &Snapshot,
    visible: Option<&Filter>,
    projection: &Projection,
    visit: &mut dyn FnMut(Rows) -> Result<()>,
) -> Result<()> {
    for (index, matching) in matches(snapshot, visible)?.iter().enumerate() {
        let view = index as u32;
        let rows: Vec<RowAddress> = matching.iter().map(|row| RowAddress { view, row: row as u32 }).collect();
        rows.chunks(SCAN_ROWS).try_for_each(|part| visit_part(snapshot, projection, part, visit))?;
    }
    Ok(())
}

/// Rows whose values are too much for one answer are visited in halves.
fn visit_part(
    snapshot: &Snapshot,
    projection: &Projection,
    part: &[RowAddress],
    visit: &mut dyn FnMut(Rows) -> Result<()>,
) -> Result<()> {
    match gather(snapshot, projection, part) {
        Err(EngineError::AnswerTooLarge { .. }) if part.len() > 1 => {
            let (first, second) = part.split_at(part.len() / 2);
            visit_part(snapshot, projection, first, visit)?;
            visit_part(snapshot, projection, second, visit)
        }
        rows => visit(rows?),
    }
}
