//! Which rows of a segment a request may return: alive and, if there is a filter, matching. The answer is a bitmap
//! with its number of ones, or simply "all".

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};

use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::filter::Filter;
use crate::plan::{AccessPath, access_path};
use crate::segment::SegmentView;

/// Rows of one segment that a request may return.
#[derive(Debug)]
pub(crate) enum Matches {
    /// Every row.
    All(usize),
    /// The rows whose bit is set, and how many those are.
    Some(BooleanBuffer, usize),
}

impl Matches {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::All(rows) => *rows,
            Self::Some(_, ones) => *ones,
        }
    }

    pub(crate) fn contains(&self, row: usize) -> bool {
        match self {
            Self::All(_) => true,
            Self::Some(bits, _) => bits.value(row),
        }
    }

    /// Row numbers, ascending.
    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match self {
            Self::All(rows) => Box::new(0..*rows),
            Self::Some(bits, _) => Box::new(bits.set_indices()),
        }
    }

    fn some(bits: BooleanBuffer) -> Self {
        let ones = bits.count_set_bits();
        if ones == bits.len() { Self::All(ones) } else { Self::Some(bits, ones) }
    }
}

/// The matching rows of each segment of a snapshot, in its order.
pub(crate) fn matches(snapshot: &Snapshot, filter: Option<&Filter>) -> Result<Vec<Matches>> {
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

fn alive(view: &SegmentView) -> Matches {
    let rows = view.segment.rows();
    if view.deleted.is_empty() {
        return Matches::All(rows);
    }
    let mut bits = BooleanBufferBuilder::new(rows);
    bits.append_n(rows, true);
    view.deleted.iter().for_each(|row| bits.set_bit(row as usize, false));
    Matches::some(bits.finish())
}

fn scan(view: &SegmentView, filter: &Filter) -> Result<Matches> {
    let matching = filter.evaluate(view.segment.scalars())?;
    if matching.len() != view.segment.rows() {
        return Err(EngineError::Internal("a filter gave a bitmap of the wrong length".into()));
    }
    Ok(match alive(view) {
        Matches::All(_) => Matches::some(matching),
        Matches::Some(alive, _) => Matches::some(&matching & &alive),
    })
}

/// Evaluates the filter on a few rows only.
fn check_rows(view: &SegmentView, mut rows: Vec<usize>, filter: &Filter) -> Result<Matches> {
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
    Ok(Matches::some(bits.finish()))
}
