//! Which rows of a segment a request may return: alive and, if there is a filter, matching. The answer is a bitmap
//! with its number of ones, or simply "all".

use arrow_buffer::BooleanBufferBuilder;

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
        let indices = arrow_array::UInt32Array::from_iter_values(rows.iter().map(|&row| row as u32));
        let few = arrow_select::take::take_record_batch(view.segment.scalars(), &indices)
            .map_err(|e| EngineError::arrow(&e))?;
        let matching = filter.evaluate(&few)?;
        rows.iter().zip(matching.iter()).filter(|(_, is)| *is).for_each(|(&row, _)| bits.set_bit(row, true));
    }
    Ok(RowSet::new(bits.finish()))
}
