//! Which rows of a segment a request may return: alive and, if there is a filter, matching. The answer is a bitmap
//! with its number of ones, or simply "all".

use arrow_array::UInt32Array;
use arrow_buffer::BooleanBufferBuilder;

use super::RowAddress;
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::filter::Filter;
use crate::plan::{AccessPath, access_path};
use crate::rowset::RowSet;
use crate::segment::SegmentView;

/// The matching rows of each segment of a snapshot, in its order.
pub(crate) fn matches(snapshot: &Snapshot, filter: Option<&Filter>) -> Result<Vec<RowSet>> {
    match (access_path(filter, snapshot.live()), filter) {
        (AccessPath::All, _) | (_, None) => Ok(snapshot.views().iter().map(alive).collect()),
        (AccessPath::Scan, Some(filter)) => snapshot.views().iter().map(|view| scan(view, filter)).collect(),
        (AccessPath::Keys(keys), Some(filter)) => {
            let mut rows = vec![Vec::new(); snapshot.views().len()];
            for (view, row) in keys.iter().filter_map(|key| snapshot.find(key)) {
                rows[view].push(row as usize);
            }
            snapshot.views().iter().zip(rows).map(|(view, rows)| check_rows(view, rows, filter)).collect()
        }
    }
}

fn alive(view: &SegmentView) -> RowSet {
    let rows = view.segment.rows();
    if view.deleted.is_empty() {
        return RowSet::All(rows);
    }
    let mut bits = BooleanBufferBuilder::new(rows);
    bits.append_n(rows, true);
    view.deleted.iter().for_each(|row| bits.set_bit(row as usize, false));
    RowSet::new(bits.finish())
}

fn scan(view: &SegmentView, filter: &Filter) -> Result<RowSet> {
    let indexes = view.segment.scalar_indexes();
    let matching = filter.evaluate_with(view.segment.scalars(), indexes.as_deref())?;
    if matching.len() != view.segment.rows() {
        return Err(EngineError::Internal("a filter gave a bitmap of the wrong length".into()));
    }
    Ok(match alive(view) {
        RowSet::All(_) => RowSet::new(matching),
        RowSet::Some(alive, _) => RowSet::new(&matching & &alive),
    })
}

/// Evaluates the filter on a few rows only.
pub(crate) fn check_rows(view: &SegmentView, mut rows: Vec<usize>, filter: &Filter) -> Result<RowSet> {
    let total = view.segment.rows();
    let mut bits = BooleanBufferBuilder::new(total);
    bits.append_n(total, false);
    if !rows.is_empty() {
        rows.sort_unstable();
        rows.dedup();
        let indices = UInt32Array::from_iter_values(rows.iter().map(|&row| row as u32));
        let matching = filter.evaluate_rows(view.segment.scalars(), &indices)?;
        rows.iter().zip(matching.iter()).filter(|(_, is)| *is).for_each(|(&row, _)| bits.set_bit(row, true));
    }
    Ok(RowSet::new(bits.finish()))
}

/// Those of some rows that match, in their order: the filter is evaluated on them alone.
pub(crate) fn matching(
    snapshot: &Snapshot,
    filter: &Filter,
    mut rows: Vec<RowAddress>,
) -> Result<Vec<RowAddress>> {
    let mut by_view = vec![Vec::new(); snapshot.views().len()];
    rows.iter().for_each(|address| by_view[address.view as usize].push(address.row as usize));
    let views = snapshot.views().iter().zip(by_view);
    let matching: Vec<RowSet> =
        views.map(|(view, rows)| check_rows(view, rows, filter)).collect::<Result<_>>()?;
    rows.retain(|address| matching[address.view as usize].contains(address.row as usize));
    Ok(rows)
}
