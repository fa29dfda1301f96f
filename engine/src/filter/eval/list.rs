//! Tests on columns of arrays. The elements of all rows are one column by themselves: what is asked of an element is
//! asked of that column.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, Int64Array, ListArray, UInt32Array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use arrow_schema::DataType as ArrowType;

use super::super::predicate::{Elements, ListTest};
use super::super::verdict::{Rows, Verdict};
use super::{column, primitive, unfit};
use crate::error::{EngineError, Result};

/// The column as arrays.
pub(super) fn lists(array: &dyn Array) -> Result<&ListArray> {
    array.as_list_opt::<i32>().ok_or_else(|| unfit(&format!("arrays expected, found {}", array.data_type())))
}

/// Each row's element at `index`; null where there is none.
pub(super) fn elements(lists: &ListArray, index: usize) -> Result<ArrayRef> {
    let place = |row: usize| {
        let (start, end) = range(lists, row);
        (!lists.is_null(row) && index < end - start).then(|| (start + index) as u32)
    };
    let places: UInt32Array = (0..lists.len()).map(place).collect();
    arrow_select::take::take(lists.values().as_ref(), &places, None).map_err(|e| EngineError::arrow(&e))
}

/// Each row's number of elements.
pub(super) fn lengths(lists: &ListArray) -> Int64Array {
    let lengths: Vec<i64> =
        lists.value_offsets().windows(2).map(|w| i64::from(w[1]) - i64::from(w[0])).collect();
    Int64Array::new(lengths.into(), lists.nulls().cloned())
}

/// The answers for a column of arrays.
pub(super) fn test(lists: &ListArray, test: &ListTest, rows: Rows<'_>) -> Result<Verdict> {
    match test {
        ListTest::Never => Ok(Verdict::new(BooleanBuffer::new_unset(lists.len()), lists.nulls())),
        ListTest::Any(test) => {
            let (start, end) = (first(lists), last(lists));
            let elements = lists.values().slice(start, end - start);
            let all = Rows { count: elements.len(), wanted: None };
            let passing = column::test(&*elements, test, all)?.into_true();
            Ok(Verdict::new(rows_with(lists, &passing), lists.nulls()))
        }
        ListTest::All(wanted) => with_elements(lists, wanted, AllOf, rows),
        ListTest::Same(wanted) => with_elements(lists, wanted, Same, rows),
    }
}

fn range(lists: &ListArray, row: usize) -> (usize, usize) {
    let offsets = lists.value_offsets();
    (offsets[row] as usize, offsets[row + 1] as usize)
}

fn first(lists: &ListArray) -> usize {
    lists.value_offsets().first().map_or(0, |&offset| offset as usize)
}

fn last(lists: &ListArray) -> usize {
    lists.value_offsets().last().map_or(0, |&offset| offset as usize)
}

/// Rows with a passing element; `passing` starts with the first element of the first row.
fn rows_with(lists: &ListArray, passing: &BooleanBuffer) -> BooleanBuffer {
    let mut found = BooleanBufferBuilder::new(lists.len());
    found.append_n(lists.len(), false);
    let (mut row, start) = (0, first(lists));
    for element in passing.set_indices() {
        while range(lists, row).1 <= start + element {
            row += 1;
        }
        found.set_bit(row, true);
    }
    found.finish()
}

/// A question about the elements `start..end` of a column, whatever its type.
trait Question {
    /// `at` gives the element at a place; `wanted` is what the question is about.
    fn holds<T: PartialOrd>(
        &self,
        range: (usize, usize),
        at: impl Fn(usize) -> Option<T>,
        wanted: &[T],
    ) -> bool;
}

/// The elements are the wanted ones in their order.
struct Same;

impl Question for Same {
    fn holds<T: PartialOrd>(
        &self,
        range: (usize, usize),
        at: impl Fn(usize) -> Option<T>,
        wanted: &[T],
    ) -> bool {
        range.1 - range.0 == wanted.len()
            && wanted.iter().enumerate().all(|(i, value)| at(range.0 + i).as_ref() == Some(value))
    }
}

/// Each of the wanted ones, which are sorted and differ, is an element.
struct AllOf;

impl Question for AllOf {
    fn holds<T: PartialOrd>(
        &self,
        range: (usize, usize),
        at: impl Fn(usize) -> Option<T>,
        wanted: &[T],
    ) -> bool {
        if range.1 - range.0 < wanted.len() {
            return false;
        }
        let mut seen = vec![false; wanted.len()];
        let mut missing = wanted.len();
        for place in range.0..range.1 {
            if missing == 0 {
                break;
            }
            let Some(value) = at(place) else { continue };
            let order = |member: &T| member.partial_cmp(&value).unwrap_or(std::cmp::Ordering::Less);
            if let Ok(position) = wanted.binary_search_by(order)
                && !std::mem::replace(&mut seen[position], true)
            {
                missing -= 1;
            }
        }
        missing == 0
    }
}

fn with_elements(
    lists: &ListArray,
    wanted: &Elements,
    question: impl Question,
    rows: Rows<'_>,
) -> Result<Verdict> {
    let values = lists.values().as_ref();
    let ask = |decide: &dyn Fn((usize, usize)) -> bool| {
        Verdict::from_rows(rows, |row| (!lists.is_null(row)).then(|| decide(range(lists, row))))
    };
    Ok(match wanted {
        Elements::Bools(wanted) => {
            let values = values.as_boolean_opt().ok_or_else(|| unfit("booleans expected"))?;
            let at = |place| (place < values.len()).then(|| values.value(place));
            ask(&|range| question.holds(range, at, wanted))
        }
        Elements::Texts(wanted) => {
            let values = super::strings(values)?;
            let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            let at = |place| (place < values.len()).then(|| values.value(place));
            ask(&|range| question.holds(range, at, &wanted))
        }
        Elements::Singles(wanted) => {
            let values = primitive::<Float32Type>(values)?.values();
            ask(&|range| question.holds(range, |place| values.get(place).copied(), wanted))
        }
        Elements::Doubles(wanted) => {
            let values = primitive::<Float64Type>(values)?.values();
            ask(&|range| question.holds(range, |place| values.get(place).copied(), wanted))
        }
        Elements::Ints(wanted) => {
            let at = integers(values)?;
            ask(&|range| question.holds(range, &at, wanted))
        }
    })
}

/// The integer at a place, of a column of any width.
fn integers<'a>(values: &'a dyn Array) -> Result<Box<dyn Fn(usize) -> Option<i64> + 'a>> {
    fn widened<'a, T: ArrowPrimitiveType>(
        values: &'a dyn Array,
    ) -> Result<Box<dyn Fn(usize) -> Option<i64> + 'a>>
    where
        T::Native: Into<i64>,
    {
        let values = primitive::<T>(values)?.values();
        Ok(Box::new(|place| values.get(place).map(|&value| value.into())))
    }
    match values.data_type() {
        ArrowType::Int8 => widened::<Int8Type>(values),
        ArrowType::Int16 => widened::<Int16Type>(values),
        ArrowType::Int32 => widened::<Int32Type>(values),
        _ => widened::<Int64Type>(values),
    }
}
