//! Evaluates a predicate on columns laid out as `Schema::arrow`: whole columns at a time for declared fields, row by
//! row inside JSON text. Never allocates for a row, except to decode a JSON string that has escapes.

use std::borrow::Cow;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
};
use arrow_array::{Array, ArrowNativeTypeOp, PrimitiveArray, RecordBatch, StringArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_ord::cmp;
use arrow_schema::DataType as ArrowType;

use super::ast::CompareOp;
use super::json::{self, JsonValue};
use super::number::{Number, NumberRange};
use super::predicate::{Arithmetic, ColumnTest, Predicate, TextTest, ValueTest};
use super::verdict::Verdict;
use crate::error::{EngineError, Result};

/// The truth of `predicate` for every row.
///
/// # Errors
/// `Internal` when the columns are not those that the predicate was bound to.
pub(super) fn evaluate(predicate: &Predicate, columns: &RecordBatch) -> Result<Verdict> {
    let rows = columns.num_rows();
    Ok(match predicate {
        Predicate::Constant(value) => Verdict::constant(*value, rows),
        Predicate::Not(inner) => evaluate(inner, columns)?.not(),
        Predicate::And(parts) => fold(parts, columns, Verdict::and)?,
        Predicate::Or(parts) => fold(parts, columns, Verdict::or)?,
        Predicate::Column { column, test } => test_column(array(columns, *column)?, test)?,
        Predicate::Computed { column, arithmetic, range } => {
            computed(array(columns, *column)?, arithmetic, range)?
        }
        Predicate::Json { column, path, arithmetic, test } => {
            let texts = strings(array(columns, *column)?)?;
            Verdict::from_rows(rows, |row| {
                let value = json::read(json::find(text_at(texts, row)?, path)?)?;
                test_value(value, arithmetic.as_ref(), test)
            })
        }
        Predicate::Pair { left, op, right } => pair(array(columns, *left)?, *op, array(columns, *right)?)?,
        Predicate::IsNull { column } => {
            let nulls = array(columns, *column)?.logical_nulls();
            nulls.map_or(Verdict::constant(false, rows), |nulls| Verdict::new(!nulls.inner(), None))
        }
        Predicate::Exists { column, path } => {
            let texts = strings(array(columns, *column)?)?;
            let exists = |row| {
                text_at(texts, row).and_then(|t| json::find(t, path)).is_some_and(|v| !json::is_empty(v))
            };
            Verdict::new(BooleanBuffer::collect_bool(rows, exists), None)
        }
    })
}

fn fold(
    parts: &[Predicate],
    columns: &RecordBatch,
    join: fn(Verdict, Verdict) -> Verdict,
) -> Result<Verdict> {
    let mut verdict: Option<Verdict> = None;
    for part in parts {
        let next = evaluate(part, columns)?;
        verdict = Some(match verdict {
            Some(before) => join(before, next),
            None => next,
        });
    }
    verdict.ok_or_else(|| EngineError::Internal("a filter connective without operands".to_owned()))
}

fn array(columns: &RecordBatch, column: usize) -> Result<&dyn Array> {
    columns.columns().get(column).map(AsRef::as_ref).ok_or_else(|| unfit(&format!("no column {column}")))
}

fn strings(array: &dyn Array) -> Result<&StringArray> {
    array.as_string_opt::<i32>().ok_or_else(|| unfit(&format!("text expected, found {}", array.data_type())))
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array) -> Result<&PrimitiveArray<T>> {
    array
        .as_primitive_opt::<T>()
        .ok_or_else(|| unfit(&format!("{} expected, found {}", T::DATA_TYPE, array.data_type())))
}

fn unfit(reason: &str) -> EngineError {
    EngineError::Internal(format!("a filter met columns of another schema: {reason}"))
}

fn text_at(texts: &StringArray, row: usize) -> Option<&str> {
    (!texts.is_null(row)).then(|| texts.value(row))
}

fn test_column(array: &dyn Array, test: &ColumnTest) -> Result<Verdict> {
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
        ColumnTest::Text(test) => test_strings(strings(array)?, test),
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
        ColumnTest::IntSet(set) => {
            let fitting = set.iter().filter_map(|&i| T::Native::try_from(i).ok());
            among(values, &fitting.collect::<Vec<_>>())
        }
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
fn bits<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> BooleanBuffer {
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

fn test_strings(texts: &StringArray, test: &TextTest) -> BooleanBuffer {
    // Null rows have some text too (the empty one); the caller masks them.
    BooleanBuffer::collect_bool(texts.len(), |row| test.accepts(texts.value(row)))
}

fn test_value(value: JsonValue<'_>, arithmetic: Option<&Arithmetic>, test: &ValueTest) -> Option<bool> {
    match (arithmetic, value) {
        (None, value) => test.accepts(&value),
        (Some(arithmetic), JsonValue::Number(number)) => {
            test.accepts(&JsonValue::Number(arithmetic.apply(number)?))
        }
        (Some(_), _) => None,
    }
}

fn computed(array: &dyn Array, arithmetic: &Arithmetic, range: &NumberRange) -> Result<Verdict> {
    let nulls = array.nulls();
    let decide = |number: Number| arithmetic.apply(number).map(|result| range.contains(result));
    fn rows<T: ArrowPrimitiveType>(
        array: &dyn Array,
        nulls: Option<&NullBuffer>,
        decide: impl Fn(T::Native) -> Option<bool>,
    ) -> Result<Verdict> {
        let values = primitive::<T>(array)?.values();
        let is_value = |row| nulls.is_none_or(|nulls| nulls.is_valid(row));
        Ok(Verdict::from_rows(values.len(), |row| decide(*values.get(row).filter(|_| is_value(row))?)))
    }
    match array.data_type() {
        ArrowType::Int8 => rows::<Int8Type>(array, nulls, |v| decide(Number::Int(v.into()))),
        ArrowType::Int16 => rows::<Int16Type>(array, nulls, |v| decide(Number::Int(v.into()))),
        ArrowType::Int32 => rows::<Int32Type>(array, nulls, |v| decide(Number::Int(v.into()))),
        ArrowType::Int64 => rows::<Int64Type>(array, nulls, |v| decide(Number::Int(v.into()))),
        ArrowType::Float32 => rows::<Float32Type>(array, nulls, |v| decide(Number::Float(v.into()))),
        _ => rows::<Float64Type>(array, nulls, |v| decide(Number::Float(v))),
    }
}

/// A numeric column in the widest type of its kind.
enum Wide<'a> {
    Ints(Cow<'a, [i64]>),
    Floats(Cow<'a, [f64]>),
}

impl<'a> Wide<'a> {
    fn new(array: &'a dyn Array) -> Result<Self> {
        fn widened<T: ArrowPrimitiveType, W: From<T::Native> + Clone>(
            array: &dyn Array,
        ) -> Result<Cow<'_, [W]>> {
            Ok(Cow::Owned(primitive::<T>(array)?.values().iter().map(|&v| v.into()).collect()))
        }
        Ok(match array.data_type() {
            ArrowType::Int8 => Self::Ints(widened::<Int8Type, _>(array)?),
            ArrowType::Int16 => Self::Ints(widened::<Int16Type, _>(array)?),
            ArrowType::Int32 => Self::Ints(widened::<Int32Type, _>(array)?),
            ArrowType::Int64 => Self::Ints(Cow::Borrowed(primitive::<Int64Type>(array)?.values())),
            ArrowType::Float32 => Self::Floats(widened::<Float32Type, _>(array)?),
            _ => Self::Floats(Cow::Borrowed(primitive::<Float64Type>(array)?.values())),
        })
    }

    fn number(&self, row: usize) -> Option<Number> {
        match self {
            Self::Ints(values) => values.get(row).map(|&v| Number::Int(v.into())),
            Self::Floats(values) => values.get(row).map(|&v| Number::Float(v)),
        }
    }
}

fn pair(left: &dyn Array, op: CompareOp, right: &dyn Array) -> Result<Verdict> {
    if !left.data_type().is_numeric()
        || left.data_type() == right.data_type() && left.data_type().is_integer()
    {
        return pair_same(left, op, right);
    }
    // Arrow orders -0.0 before 0 and does not compare integers with floats exactly.
    let (left_values, right_values) = (Wide::new(left)?, Wide::new(right)?);
    let holds = |row| match (left_values.number(row), right_values.number(row)) {
        (Some(left), Some(right)) => op.holds(left.compare(right)),
        _ => false,
    };
    let nulls = NullBuffer::union(left.nulls(), right.nulls());
    Ok(Verdict::new(BooleanBuffer::collect_bool(left.len(), holds), nulls.as_ref()))
}

fn pair_same(left: &dyn Array, op: CompareOp, right: &dyn Array) -> Result<Verdict> {
    let kernel = match op {
        CompareOp::Equal => cmp::eq,
        CompareOp::NotEqual => cmp::neq,
        CompareOp::Less => cmp::lt,
        CompareOp::LessEqual => cmp::lt_eq,
        CompareOp::Greater => cmp::gt,
        CompareOp::GreaterEqual => cmp::gt_eq,
    };
    let result = kernel(&left, &right).map_err(|e| EngineError::arrow(&e))?;
    Ok(Verdict::new(result.values().clone(), result.nulls()))
}
