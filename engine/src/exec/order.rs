//! Rows in the order of some fields. Only as many addresses as are asked for are kept, and values are compared where they
//! lie: neither the number of matching rows nor the size of their values is felt in memory.

use std::cmp::Ordering;

use super::query::key_of;
use super::{Columns, RowAddress, check_once};
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::row::Scalar;
use crate::rowset::RowSet;
use crate::schema::{DataType, Schema};

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

impl OrderBy {
    fn compare(&self, a: &Scalar<'_>, b: &Scalar<'_>) -> Ordering {
        let nulls_first = self.nulls_first.unwrap_or(self.descending);
        let null_order = if nulls_first { Ordering::Less } else { Ordering::Greater };
        match (a, b) {
            (Scalar::Null, Scalar::Null) => Ordering::Equal,
            (Scalar::Null, _) => null_order,
            (_, Scalar::Null) => null_order.reverse(),
            _ if self.descending => b.cmp(a),
            _ => a.cmp(b),
        }
    }
}

/// The first `end` matching rows in the order asked for; keys decide between equal ones.
pub(super) fn first_in_order(
    snapshot: &Snapshot,
    matching: &[RowSet],
    order: &[OrderBy],
    end: usize,
) -> Result<Vec<RowAddress>> {
    check_once("order by", order.iter().map(|by| by.field.as_str()))?;
    let columns = order.iter().map(|by| Columns::new(snapshot, sortable(snapshot.schema(), &by.field)?));
    let columns: Vec<Columns<'_>> = columns.collect::<Result<_>>()?;
    let compare = |a: &RowAddress, b: &RowAddress| {
        let fields = order.iter().zip(&columns);
        let orders = fields.map(|(by, column)| by.compare(&column.get(*a), &column.get(*b)));
        let first = orders.into_iter().find(|order| order.is_ne());
        first.unwrap_or_else(|| key_of(snapshot, *a).cmp(&key_of(snapshot, *b)))
    };
    let addresses = matching
        .iter()
        .zip(0..)
        .flat_map(|(rows, view)| rows.iter().map(move |row| RowAddress { view, row: row as u32 }));
    let mut first: Vec<RowAddress> = Vec::new();
    // The last of `end` rows that come before all others so far: what comes behind it is not among the first.
    let mut last: Option<RowAddress> = None;
    for address in addresses {
        if last.is_some_and(|last| compare(&address, &last).is_ge()) {
            continue;
        }
        first.push(address);
        if first.len() == end * 2 {
            first.select_nth_unstable_by(end - 1, compare);
            first.truncate(end);
            last = first.last().copied();
        }
    }
    first.sort_unstable_by(compare);
    first.truncate(end);
    Ok(first)
}

/// Position of the column of a field that has an order.
fn sortable(schema: &Schema, name: &str) -> Result<usize> {
    let unknown =
        || EngineError::invalid(format!("order by field '{name}' does not exist in collection schema"));
    let (_, field) = schema.field(name).ok_or_else(unknown)?;
    let data_type = field.data_type;
    if data_type.is_vector() || matches!(data_type, DataType::Json | DataType::Array) {
        return Err(EngineError::invalid(format!(
            "order by field '{name}' has unsortable type {data_type}: it is not sortable"
        )));
    }
    schema.column_of(name).ok_or_else(unknown)
}
