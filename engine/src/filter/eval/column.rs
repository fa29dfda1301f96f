//! Tests on columns of integers, floats and booleans: no branch and no call for a value.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrowNativeTypeOp, ArrowPrimitiveType, PrimitiveArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::DataType as ArrowType;

use super::super::condition::ColumnTest;
use super::super::verdict::{Rows, Verdict};
use super::{primitive, strings, unfit};
use crate::error::Result;

/// The answers for a column of declared values.
pub(super) fn test(array: &dyn Array, test: &ColumnTest, rows: Rows<'_>) -> Result<Verdict> {
    let bits = match test {
        ColumnTest::IntRange(_) | ColumnTest::IntSet(_) => match array.data_type() {
            ArrowType::Int8 => test_integers(primitive::<Int8Type>(array)?, test),
            ArrowType::Int16 => test_integers(primitive::<Int16Type>(array)?, test),
            ArrowType::Int32 => test_integers(primitive::<Int32Type>(array)?, test),
            _ => test_integers(primitive::<Int64Type>(array)?, test),
        },
        ColumnTest::SingleRange(low, high) => within(primitive::<Float32Type>(array)?.values(), *low, *high),
        ColumnTest::DoubleRange(low, high) => within(primitive::<Float64Type>(array)?.values(), *low, *high),
        ColumnTest::SingleSet(set) => among(primitive::<Float32Type>(array)?.values(), set),
        ColumnTest::DoubleSet(set) => among(primitive::<Float64Type>(array)?.values(), set),
        ColumnTest::Text(test) => return strings::test(super::strings(array)?, test, rows),
        ColumnTest::Bool(test) => {
            let values = array.as_boolean_opt().ok_or_else(|| unfit("booleans expected"))?.values();
            match (test.on_true, test.on_false) {
                (true, false) => values.clone(),
                (false, true) => !values,
                (same, _) => Verdict::constant(same, array.len()).into_true(),
            }
        }
    };
    Ok(Verdict::new(bits, array.nulls()))
}

fn test_integers<T>(array: &PrimitiveArray<T>, test: &ColumnTest) -> BooleanBuffer
where
    T: ArrowPrimitiveType,
    T::Native: Into<i64> + TryFrom<i64>,
{
    let values = array.values();
    let (smallest, largest) = (T::Native::MIN_TOTAL_ORDER.into(), T::Native::MAX_TOTAL_ORDER.into());
    match test {
        ColumnTest::IntSet(set) => set.test(values),
        // Clamped to the column's width, so that the loop compares in that width.
        ColumnTest::IntRange(Some((low, high))) => {
            match (T::Native::try_from((*low).max(smallest)), T::Native::try_from((*high).min(largest))) {
                (Ok(low), Ok(high)) => within(values, low, high),
                _ => BooleanBuffer::new_unset(values.len()),
            }
        }
        _ => BooleanBuffer::new_unset(values.len()),
    }
}

/// One bit a value, 64 values at a time: the loop of every simple comparison.
pub(in super::super) fn bits<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> BooleanBuffer {
    // Chunks of a constant length let the compiler unroll the loop.
    let (chunks, rest) = values.as_chunks::<64>();
    let mut words = Vec::with_capacity(chunks.len() + 1);
    for chunk in chunks {
        let mut word = 0;
        for (bit, &value) in chunk.iter().enumerate() {
            word |= u64::from(test(value)) << bit;
        }
        words.push(word);
    }
    words.push(rest.iter().rev().fold(0, |word, &value| word << 1 | u64::from(test(value))));
    BooleanBuffer::new(words.into(), 0, values.len())
}

fn within<T: ArrowNativeTypeOp + PartialOrd>(values: &[T], low: T, high: T) -> BooleanBuffer {
    // One comparison where the other cannot fail. `&` instead of `&&`: no branch for each value.
    if low == T::MIN_TOTAL_ORDER {
        bits(values, |value| value <= high)
    } else if high == T::MAX_TOTAL_ORDER {
        bits(values, |value| low <= value)
    } else {
        bits(values, |value| (low <= value) & (value <= high))
    }
}

/// `set` is sorted and without NaN.
fn among<T: ArrowNativeTypeOp + PartialOrd>(values: &[T], set: &[T]) -> BooleanBuffer {
    match set {
        [] => BooleanBuffer::new_unset(values.len()),
        [one] => within(values, *one, *one),
        [first, .., last] => {
            let order = |member: &T, value: T| member.partial_cmp(&value).unwrap_or(std::cmp::Ordering::Less);
            bits(values, |value| {
                *first <= value
                    && value <= *last
                    && set.binary_search_by(|member| order(member, value)).is_ok()
            })
        }
    }
}
