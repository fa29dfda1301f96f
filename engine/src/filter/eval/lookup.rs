//! Answers from what a segment has prepared ([`ScalarIndexes`](crate::index::scalar::ScalarIndexes)): the same ones that
//! reading the rows gives, where that takes longer.

use std::ops::{Bound, Range};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, UInt32Array};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType as ArrowType;

use super::super::condition::{ColumnTest, NumberTest, TextTest, ValueTest};
use super::super::like::Shape;
use super::super::number::Number;
use super::super::set::IntegerSet;
use super::super::verdict::{Rows, Verdict};
use super::{column, primitive, strings};
use crate::error::Result;
use crate::index::scalar::{ScalarIndex, between, bitmap};

/// Setting the bit of a row takes about as long as comparing so many numbers, or a text.
/// (Tests have few rows.)
const NUMBERS_PER_ROW: usize = if cfg!(test) { 1 } else { 16 };
const TEXTS_PER_ROW: usize = 1;
/// Larger sets are not looked up member by member.
const MOST_MEMBERS: usize = 256;

/// The answers of an index; none where the column is read faster.
pub(super) fn indexed(
    index: &ScalarIndex,
    array: &ArrayRef,
    test: &ColumnTest,
    rows: Rows<'_>,
) -> Result<Option<Verdict>> {
    match index {
        ScalarIndex::Bitmaps { values, rows: bitmaps } => {
            // Numbers are compared in less time than bitmaps are joined, unless they are few.
            if array.data_type().is_primitive() && bitmaps.len() > 8 {
                return Ok(None);
            }
            let all = Rows { count: values.len(), wanted: None };
            let passing = column::test(values, test, all)?.into_true();
            let mut matching = BooleanBuffer::new_unset(rows.count);
            for value in passing.set_indices() {
                matching = &matching | &bitmaps[value];
            }
            Ok(Some(Verdict::new(matching, array.nulls())))
        }
        ScalarIndex::Sorted(order) => {
            let Some(places) = places(order, array, test)? else { return Ok(None) };
            let found: usize = places.iter().map(Range::len).sum();
            let cost = if array.data_type().is_primitive() { NUMBERS_PER_ROW } else { TEXTS_PER_ROW };
            if found.saturating_mul(cost) > rows.count {
                return Ok(None);
            }
            let set =
                places.into_iter().flat_map(|range| order.values()[range].iter().map(|&row| row as usize));
            Ok(Some(Verdict::new(bitmap(rows.count, set), array.nulls())))
        }
    }
}

/// Where in the order the rows are that pass; none for a test that is no range and no set.
fn places(order: &UInt32Array, array: &ArrayRef, test: &ColumnTest) -> Result<Option<Vec<Range<usize>>>> {
    fn within<T: ArrowPrimitiveType>(
        order: &UInt32Array,
        array: &ArrayRef,
        below: impl Fn(T::Native) -> bool,
        above: impl Fn(T::Native) -> bool,
    ) -> Result<Vec<Range<usize>>> {
        let values = primitive::<T>(array)?.values();
        Ok(vec![between(order, |row| below(values[row]), |row| above(values[row]))])
    }
    let integers = |low: i64, high: i64| match array.data_type() {
        ArrowType::Int8 => within::<Int8Type>(order, array, |v| i64::from(v) < low, |v| i64::from(v) > high),
        ArrowType::Int16 => {
            within::<Int16Type>(order, array, |v| i64::from(v) < low, |v| i64::from(v) > high)
        }
        ArrowType::Int32 => {
            within::<Int32Type>(order, array, |v| i64::from(v) < low, |v| i64::from(v) > high)
        }
        _ => within::<Int64Type>(order, array, |v| v < low, |v| v > high),
    };
    Ok(match test {
        ColumnTest::IntRange(None) => Some(Vec::new()),
        ColumnTest::IntRange(Some((low, high))) => Some(integers(*low, *high)?),
        ColumnTest::IntSet(set) if set.as_slice().len() <= MOST_MEMBERS => {
            let members = set.as_slice().iter().map(|&member| integers(member, member));
            Some(members.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
        }
        ColumnTest::SingleRange(low, high) => {
            Some(within::<Float32Type>(order, array, |v| v < *low, |v| v > *high)?)
        }
        ColumnTest::DoubleRange(low, high) => {
            Some(within::<Float64Type>(order, array, |v| v < *low, |v| v > *high)?)
        }
        ColumnTest::Text(test) => text_places(order, array, test)?,
        _ => None,
    })
}

fn text_places(order: &UInt32Array, array: &ArrayRef, test: &TextTest) -> Result<Option<Vec<Range<usize>>>> {
    let texts = strings(array)?;
    let equal = |text: &str| between(order, |row| texts.value(row) < text, |row| texts.value(row) > text);
    Ok(match test {
        TextTest::Range(low, high) => {
            let below = |row: usize| match low {
                Bound::Unbounded => false,
                Bound::Included(low) => texts.value(row) < low.as_str(),
                Bound::Excluded(low) => texts.value(row) <= low.as_str(),
            };
            let above = |row: usize| match high {
                Bound::Unbounded => false,
                Bound::Included(high) => texts.value(row) > high.as_str(),
                Bound::Excluded(high) => texts.value(row) >= high.as_str(),
            };
            Some(vec![between(order, below, above)])
        }
        TextTest::Set(set) if set.len() <= MOST_MEMBERS => Some(set.iter().map(|text| equal(text)).collect()),
        TextTest::Like(pattern) => match pattern.shape() {
            Shape::Equal(text) => Some(vec![equal(text)]),
            Shape::Start(start) => {
                // What begins so lies together: after all that is smaller, before all that is larger and does not.
                let below = |row: usize| texts.value(row) < start.as_str();
                let above = |row: usize| !below(row) && !texts.value(row).starts_with(start.as_str());
                Some(vec![between(order, below, above)])
            }
            _ => None,
        },
        _ => None,
    })
}

/// The answers for an undeclared key whose values are a column.
pub(super) fn key_column(array: &ArrayRef, test: &ValueTest, rows: Rows<'_>) -> Result<Verdict> {
    let unknown = || Ok(Verdict::from_rows(rows, |_| None));
    match array.data_type() {
        ArrowType::Utf8 => match &test.text {
            Some(test) => column::test(array, &ColumnTest::Text(test.clone()), rows),
            None => unknown(),
        },
        ArrowType::Boolean => match test.boolean {
            Some(test) => column::test(array, &ColumnTest::Bool(test), rows),
            None => unknown(),
        },
        ArrowType::Int64 => match &test.number {
            Some(NumberTest::Range(range)) => {
                column::test(array, &ColumnTest::IntRange(range.integers()), rows)
            }
            Some(NumberTest::Set(numbers)) => {
                let members = numbers.iter().filter_map(|number| number.to_i64()).collect();
                column::test(array, &ColumnTest::IntSet(IntegerSet::new(members)), rows)
            }
            None => unknown(),
        },
        _ => match &test.number {
            Some(NumberTest::Range(range)) => {
                let (low, high) = range.doubles();
                column::test(array, &ColumnTest::DoubleRange(low, high), rows)
            }
            Some(test) => {
                let values = array.as_primitive_opt::<Float64Type>();
                Ok(Verdict::from_rows(rows, |row| {
                    let value = values.filter(|values| values.is_valid(row))?.value(row);
                    Some(test.accepts(Number::Float(value)))
                }))
            }
            None => unknown(),
        },
    }
}
