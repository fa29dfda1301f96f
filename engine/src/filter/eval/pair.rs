//! Comparisons of two columns.

use std::borrow::Cow;

use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_ord::cmp;
use arrow_schema::DataType as ArrowType;

use super::super::ast::CompareOp;
use super::super::number::Number;
use super::super::verdict::Verdict;
use super::primitive;
use crate::error::{EngineError, Result};

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

/// The relation between two columns.
pub(super) fn compare(left: &dyn Array, op: CompareOp, right: &dyn Array) -> Result<Verdict> {
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
