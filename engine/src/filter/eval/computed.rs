//! Comparisons of what is computed from a column, row by row.

use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_schema::DataType as ArrowType;

use super::super::condition::Arithmetic;
use super::super::number::{Number, NumberRange};
use super::super::verdict::{Rows, Verdict};
use super::primitive;
use crate::error::Result;
use crate::row::moment::Interval;

/// Arithmetic on numbers, whose result is compared.
pub(super) fn numbers(
    array: &dyn Array,
    arithmetic: &Arithmetic,
    range: &NumberRange,
    rows: Rows<'_>,
) -> Result<Verdict> {
    let decide = |number: Number| arithmetic.apply(number).map(|result| range.contains(result));
    let bounds = range.integers();
    // Nearly all integers stay small; the others take the long way.
    let decide_int = |value: i64| match arithmetic.apply_small(value) {
        Some(result) => Some(bounds.is_some_and(|(low, high)| low <= result && result <= high)),
        None => decide(Number::Int(value.into())),
    };
    match array.data_type() {
        ArrowType::Int8 => each::<Int8Type>(array, rows, |v| decide_int(v.into())),
        ArrowType::Int16 => each::<Int16Type>(array, rows, |v| decide_int(v.into())),
        ArrowType::Int32 => each::<Int32Type>(array, rows, |v| decide_int(v.into())),
        ArrowType::Int64 => each::<Int64Type>(array, rows, decide_int),
        ArrowType::Float32 => each::<Float32Type>(array, rows, |v| decide(Number::Float(v.into()))),
        _ => each::<Float64Type>(array, rows, |v| decide(Number::Float(v))),
    }
}

/// Moments that are moved, then compared to a range.
pub(super) fn moments(
    array: &dyn Array,
    intervals: &[Interval],
    range: Option<(i64, i64)>,
    rows: Rows<'_>,
) -> Result<Verdict> {
    each::<Int64Type>(array, rows, |start| {
        let moment = intervals.iter().try_fold(start, |moment, interval| interval.after(moment))?;
        Some(range.is_some_and(|(low, high)| low <= moment && moment <= high))
    })
}

/// Asks about each value; nulls are UNKNOWN.
fn each<T: ArrowPrimitiveType>(
    array: &dyn Array,
    rows: Rows<'_>,
    decide: impl Fn(T::Native) -> Option<bool>,
) -> Result<Verdict> {
    let (values, nulls) = (primitive::<T>(array)?.values(), array.nulls());
    let is_value = |row| nulls.is_none_or(|nulls| nulls.is_valid(row));
    Ok(Verdict::from_rows(rows, |row| decide(*values.get(row).filter(|_| is_value(row))?)))
}
