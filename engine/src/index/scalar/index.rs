//! The order of a scalar column. Of few values each has a bitmap of its rows; of many, row numbers are sorted by value, so
//! that a range of values is a range of rows, and so is a beginning of text.

use std::ops::Range;

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_ord::ord::make_comparator;
use arrow_ord::sort::{SortOptions, sort_to_indices};
use arrow_schema::DataType as ArrowType;
use arrow_select::take::take;

use crate::error::{EngineError, Result};

/// More values than this are sorted: a bitmap each would take more room than row numbers. (Tests have few rows.)
const MOST_VALUES: usize = if cfg!(test) { 3 } else { 64 };

/// An index over one column.
#[derive(Debug)]
pub(crate) enum ScalarIndex {
    /// Each value once, with the rows that have it. Rows without a value are in none.
    Bitmaps { values: ArrayRef, rows: Vec<BooleanBuffer> },
    /// Rows with a value, ascending by it.
    Sorted(UInt32Array),
}

impl ScalarIndex {
    /// Sorts a column; none for one of a type that has no order.
    ///
    /// # Errors
    /// Arrow's, which only a bug can cause.
    pub(super) fn build(column: &ArrayRef) -> Result<Option<Self>> {
        let sortable = column.data_type().is_primitive()
            || matches!(column.data_type(), ArrowType::Utf8 | ArrowType::Boolean);
        if !sortable {
            return Ok(None);
        }
        let failed = |e: arrow_schema::ArrowError| EngineError::arrow(&e);
        let options = SortOptions { descending: false, nulls_first: false };
        let with_value = column.len() - column.null_count();
        let order = sort_to_indices(column, Some(options), None).map_err(failed)?.slice(0, with_value);
        let compare = make_comparator(column, column, options).map_err(failed)?;
        let ends = |group: &mut Vec<usize>| {
            for at in 1..=order.len() {
                let ended = at == order.len()
                    || compare(order.value(at - 1) as usize, order.value(at) as usize).is_ne();
                if ended {
                    group.push(at);
                }
                if group.len() > MOST_VALUES {
                    return;
                }
            }
        };
        let mut groups = Vec::new();
        ends(&mut groups);
        if groups.len() > MOST_VALUES {
            return Ok(Some(Self::Sorted(order)));
        }
        let firsts = std::iter::once(0).chain(groups.iter().copied()).take(groups.len());
        let representatives = UInt32Array::from_iter_values(firsts.clone().map(|at| order.value(at)));
        let values = take(column, &representatives, None).map_err(failed)?;
        let rows = firsts.zip(&groups).map(|(start, &end)| {
            bitmap(column.len(), order.values()[start..end].iter().map(|&row| row as usize))
        });
        Ok(Some(Self::Bitmaps { values, rows: rows.collect() }))
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Bitmaps { values, rows } => {
                values.get_array_memory_size() + rows.iter().map(|bits| bits.len() / 8).sum::<usize>()
            }
            Self::Sorted(order) => order.len() * size_of::<u32>(),
        }
    }
}

/// The places in an order between values that are too small and values that are too large.
pub(crate) fn between(
    order: &UInt32Array,
    too_small: impl Fn(usize) -> bool,
    too_large: impl Fn(usize) -> bool,
) -> Range<usize> {
    let rows = order.values();
    let start = rows.partition_point(|&row| too_small(row as usize));
    let end = rows.partition_point(|&row| !too_large(row as usize));
    start..end.max(start)
}

/// A bitmap of these rows.
pub(crate) fn bitmap(rows: usize, set: impl Iterator<Item = usize>) -> BooleanBuffer {
    let mut bits = BooleanBufferBuilder::new(rows);
    bits.append_n(rows, false);
    set.for_each(|row| bits.set_bit(row, true));
    bits.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn few_values_have_bitmaps_and_many_are_sorted() {
        let few: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("b")]));
        let Some(ScalarIndex::Bitmaps { values, rows }) = ScalarIndex::build(&few).unwrap() else {
            panic!("bitmaps")
        };
        assert_eq!(values.as_ref(), &StringArray::from(vec!["a", "b"]) as &dyn Array);
        let set: Vec<Vec<usize>> = rows.iter().map(|bits| bits.set_indices().collect()).collect();
        assert_eq!(set, [vec![2], vec![0, 3]]);
        let many: ArrayRef = Arc::new(Int64Array::from_iter((0..200).map(|i| (i != 7).then_some(199 - i))));
        let Some(ScalarIndex::Sorted(order)) = ScalarIndex::build(&many).unwrap() else { panic!("sorted") };
        assert_eq!((order.len(), order.value(0), order.value(198)), (199, 199, 0));
        let value = |row: usize| 199 - row as i64;
        assert_eq!(between(&order, |row| value(row) < 10, |row| value(row) > 12), 10..13);
        assert!(between(&order, |row| value(row) < 500, |row| value(row) > 600).is_empty());
    }

    #[test]
    fn a_column_of_nothing_has_an_index_of_nothing() {
        let empty: ArrayRef = Arc::new(Int64Array::from(vec![None, None]));
        let Some(ScalarIndex::Bitmaps { rows, .. }) = ScalarIndex::build(&empty).unwrap() else {
            panic!("bitmaps")
        };
        assert!(rows.is_empty());
    }
}
