//! Requests without vectors: rows by filter in key order, rows by key, counts, and full scans.

use arrow_ord::sort::{SortColumn, SortOptions, lexsort_to_indices};

use super::gather::{gather, gather_scalars};
use super::matches::matches;
use super::{RowAddress, check_window};
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::filter::Filter;
use crate::row::{Keys, Projection, Rows};
use crate::rowset::RowSet;
use crate::schema::{DataType, Schema};
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
    /// Most rows; `offset + limit` is 1 to 16,384.
    pub limit: usize,
    /// Matching rows to skip.
    pub offset: usize,
    /// Order of the rows before that of the keys.
    pub order_by: Vec<OrderBy>,
}

/// Order by one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderBy {
    /// A field of numbers, text, truth values or moments.
    pub field: String,
    /// Whether the largest come first.
    pub descending: bool,
    /// Whether rows without a value come first; unless said, they come last, or first when the order descends.
    pub nulls_first: Option<bool>,
}

pub(crate) fn query(snapshot: &Snapshot, request: &QueryRequest) -> Result<Rows> {
    let end = check_window(request.limit, request.offset)?;
    let matching = matches(snapshot, request.filter.as_ref())?;
    if !request.order_by.is_empty() {
        let rows = in_order(snapshot, &matching, &request.order_by, end)?;
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

/// The first `end` matching rows in the order asked for; keys decide between equal ones.
fn in_order(
    snapshot: &Snapshot,
    matching: &[RowSet],
    order: &[OrderBy],
    end: usize,
) -> Result<Vec<RowAddress>> {
    let schema = snapshot.schema();
    let addresses: Vec<RowAddress> = matching
        .iter()
        .zip(0..)
        .flat_map(|(rows, view)| rows.iter().map(move |row| RowAddress { view, row: row as u32 }))
        .collect();
    let mut columns = Vec::with_capacity(order.len() + 1);
    for by in order {
        check_sortable(schema, &by.field)?;
        let nulls_first = by.nulls_first.unwrap_or(by.descending);
        columns.push(SortColumn {
            values: gather_scalars(snapshot, &by.field, &addresses)?,
            options: Some(SortOptions { descending: by.descending, nulls_first }),
        });
    }
    let keys = gather_scalars(snapshot, &schema.primary().name, &addresses)?;
    columns.push(SortColumn { values: keys, options: None });
    let sorted = lexsort_to_indices(&columns, Some(end)).map_err(|e| EngineError::arrow(&e))?;
    Ok(sorted.values().iter().map(|&at| addresses[at as usize]).collect())
}

fn check_sortable(schema: &Schema, name: &str) -> Result<()> {
    let Some((_, field)) = schema.field(name) else {
        return Err(EngineError::invalid(format!(
            "order by field '{name}' does not exist in collection schema"
        )));
    };
    let data_type = field.data_type;
    if data_type.is_vector() || matches!(data_type, DataType::Json | DataType::Array) {
        return Err(EngineError::invalid(format!(
            "order by field '{name}' has unsortable type {data_type}: it is not sortable"
        )));
    }
    Ok(())
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
        Some(_) => {
            let visible = matches(snapshot, visible)?;
            let seen = |a: &RowAddress| visible[a.view as usize].contains(a.row as usize);
            rows.into_iter().filter(seen).collect()
        }
    };
    gather(snapshot, projection, &rows)
}

pub(crate) fn count(snapshot: &Snapshot, filter: &Filter) -> Result<u64> {
    Ok(matches(snapshot, Some(filter))?.iter().map(|m| m.len() as u64).sum())
}

pub(crate) fn scan(
    snapshot: &Snapshot,
    projection: &Projection,
    visit: &mut dyn FnMut(Rows) -> Result<()>,
) -> Result<()> {
    for (index, matching) in matches(snapshot, None)?.iter().enumerate() {
        let view = index as u32;
        let rows: Vec<RowAddress> = matching.iter().map(|row| RowAddress { view, row: row as u32 }).collect();
        for part in rows.chunks(SCAN_ROWS) {
            visit(gather(snapshot, projection, part)?)?;
        }
    }
    Ok(())
}
