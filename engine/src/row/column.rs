//! One column of a batch under construction: each value is checked against the field and appended in its place.

use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Float32Builder, Float64Builder, Int8Builder,
    Int16Builder, Int32Builder, Int64Builder, NullBufferBuilder, StringBuilder,
};
use arrow_array::{ArrayRef, BooleanArray, ListArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};

use super::value::Value;
use super::{moment, sparse};
use crate::error::{EngineError, Result};
use crate::limits;
use crate::schema::{DataType, Field};

/// A column of one type.
#[derive(Debug)]
pub(super) enum Column {
    Bool(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Text(StringBuilder),
    List(ListColumn),
    Bits(FixedSizeBinaryBuilder),
    Sparse(BinaryBuilder),
    Dense(DenseColumn),
}

/// Arrays: all elements, and where each row's end.
#[derive(Debug)]
pub(super) struct ListColumn {
    elements: Box<Column>,
    ends: Vec<i32>,
    nulls: NullBufferBuilder,
}

/// Dense vectors: a row-major matrix, and which rows have one where that is optional.
#[derive(Debug, Default)]
pub(super) struct DenseColumn {
    pub(super) matrix: Vec<f32>,
    pub(super) present: Vec<bool>,
}

/// A finished column.
pub(super) enum Finished {
    Column(ArrayRef),
    Matrix { values: Vec<f32>, present: BooleanArray },
}

impl Column {
    pub(super) fn new(field: &Field) -> Self {
        match field.data_type {
            DataType::Bool => Self::Bool(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 | DataType::Timestamptz => Self::Int64(Int64Builder::new()),
            DataType::Float => Self::Float(Float32Builder::new()),
            DataType::Double => Self::Double(Float64Builder::new()),
            DataType::VarChar | DataType::Json => Self::Text(StringBuilder::new()),
            DataType::Array => Self::List(ListColumn {
                elements: Box::new(Self::new(&field.element())),
                ends: vec![0],
                nulls: NullBufferBuilder::new(0),
            }),
            DataType::BinaryVector => {
                Self::Bits(FixedSizeBinaryBuilder::new((field.dim.unwrap_or(0) / 8) as i32))
            }
            DataType::SparseFloatVector => Self::Sparse(BinaryBuilder::new()),
            DataType::FloatVector
            | DataType::Float16Vector
            | DataType::BFloat16Vector
            | DataType::Int8Vector => Self::Dense(DenseColumn::default()),
        }
    }

    /// Appends one value after checking it; returns its size in bytes.
    pub(super) fn append(&mut self, field: &Field, row: usize, value: Value<'_>) -> Result<usize> {
        match self {
            Self::Bool(b) => match value {
                Value::Bool(v) => {
                    b.append_value(v);
                    Ok(1)
                }
                _ => Err(wrong_kind(field, row, value)),
            },
            // The casts cannot cut: `integer` has checked the field's own range.
            Self::Int8(b) => integer(field, row, value).map(|v| b.append_value(v as i8)).map(|()| 1),
            Self::Int16(b) => integer(field, row, value).map(|v| b.append_value(v as i16)).map(|()| 2),
            Self::Int32(b) => integer(field, row, value).map(|v| b.append_value(v as i32)).map(|()| 4),
            Self::Int64(b) => integer(field, row, value).map(|v| b.append_value(v)).map(|()| 8),
            Self::Float(b) => float32(field, row, value).map(|v| b.append_value(v)).map(|()| 4),
            Self::Double(b) => float64(field, row, value).map(|v| b.append_value(v)).map(|()| 8),
            Self::Text(b) => text(field, row, value).map(|v| {
                b.append_value(v);
                v.len() + 4
            }),
            Self::List(list) => list.append(field, row, value),
            Self::Bits(b) => {
                let bytes = bits(field, row, value)?;
                b.append_value(bytes).map_err(|e| EngineError::arrow(&e))?;
                Ok(bytes.len())
            }
            Self::Sparse(b) => {
                let Value::Bytes(bytes) = value else { return Err(wrong_kind(field, row, value)) };
                sparse::check(bytes).map_err(|reason| invalid(field, row, reason))?;
                b.append_value(bytes);
                Ok(bytes.len() + 4)
            }
            Self::Dense(_) => Err(wrong_kind(field, row, value)),
        }
    }

    pub(super) fn append_null(&mut self, field: &Field) {
        match self {
            Self::Bool(b) => b.append_null(),
            Self::Int8(b) => b.append_null(),
            Self::Int16(b) => b.append_null(),
            Self::Int32(b) => b.append_null(),
            Self::Int64(b) => b.append_null(),
            Self::Float(b) => b.append_null(),
            Self::Double(b) => b.append_null(),
            Self::Text(b) => b.append_null(),
            Self::List(list) => {
                list.ends.push(list.ends.last().copied().unwrap_or(0));
                list.nulls.append_null();
            }
            Self::Bits(b) => b.append_null(),
            Self::Sparse(b) => b.append_null(),
            Self::Dense(dense) => {
                dense.matrix.extend(std::iter::repeat_n(0.0, field.dim.unwrap_or(0)));
                dense.present.push(false);
            }
        }
    }

    pub(super) fn finish(self, field: &Field) -> Result<Finished> {
        Ok(Finished::Column(match self {
            Self::Bool(mut b) => Arc::new(b.finish()),
            Self::Int8(mut b) => Arc::new(b.finish()),
            Self::Int16(mut b) => Arc::new(b.finish()),
            Self::Int32(mut b) => Arc::new(b.finish()),
            Self::Int64(mut b) => Arc::new(b.finish()),
            Self::Float(mut b) => Arc::new(b.finish()),
            Self::Double(mut b) => Arc::new(b.finish()),
            Self::Text(mut b) => Arc::new(b.finish()),
            Self::List(list) => Arc::new(list.finish(field)?),
            Self::Bits(mut b) => Arc::new(b.finish()),
            Self::Sparse(mut b) => Arc::new(b.finish()),
            Self::Dense(DenseColumn { matrix, present }) => {
                return Ok(Finished::Matrix { values: matrix, present: BooleanArray::from(present) });
            }
        }))
    }
}

impl ListColumn {
    fn append(&mut self, field: &Field, row: usize, value: Value<'_>) -> Result<usize> {
        let Value::List(items) = value else { return Err(wrong_kind(field, row, value)) };
        let most = field.max_capacity.unwrap_or(limits::MAX_ARRAY_ELEMENTS);
        if items.len() > most {
            let reason = format!(
                "the length ({}) of {row}th array exceeds max capacity ({most}): array length exceeds max capacity",
                items.len()
            );
            return Err(invalid(field, row, reason));
        }
        let element = field.element();
        let mut bytes = 4;
        for item in items {
            bytes += self.elements.append(&element, row, *item)?;
        }
        self.ends.push(self.ends.last().copied().unwrap_or(0) + items.len() as i32);
        self.nulls.append_non_null();
        Ok(bytes)
    }

    fn finish(mut self, field: &Field) -> Result<ListArray> {
        let Finished::Column(elements) = self.elements.finish(&field.element())? else {
            return Err(EngineError::Internal("an array of vectors".into()));
        };
        let item = arrow_schema::Field::new("item", elements.data_type().clone(), false);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        ListArray::try_new(Arc::new(item), offsets, elements, self.nulls.finish())
            .map_err(|e| EngineError::arrow(&e))
    }
}

/// A column of `rows` times the default of a field.
pub(crate) fn constant_column(field: &Field, default: &serde_json::Value, rows: usize) -> Result<ArrayRef> {
    let mut column = Column::new(field);
    for row in 0..rows {
        append_default(&mut column, field, row, default)?;
    }
    match column.finish(field)? {
        Finished::Column(array) => Ok(array),
        Finished::Matrix { .. } => Err(EngineError::Internal("a vector with a default".into())),
    }
}

/// Whether a field can have this default.
///
/// # Errors
/// `InvalidRow` with the reason.
pub(crate) fn check_default(field: &Field, default: &serde_json::Value) -> Result<()> {
    append_default(&mut Column::new(field), field, 0, default).map(drop)
}

/// Appends the default of a field.
pub(super) fn append_default(
    column: &mut Column,
    field: &Field,
    row: usize,
    default: &serde_json::Value,
) -> Result<usize> {
    let text;
    let value = match default {
        serde_json::Value::Bool(b) => Value::Bool(*b),
        serde_json::Value::String(s) if field.data_type == DataType::Timestamptz => {
            let moment = moment::parse(s, &moment::Zone::utc());
            let refuse = || invalid(field, row, format!("got invalid timestamptz string '{s}'"));
            Value::Int(moment.ok_or_else(refuse)?)
        }
        serde_json::Value::String(s) => Value::Text(s),
        serde_json::Value::Number(n) => {
            n.as_i64().map_or(Value::Float(n.as_f64().unwrap_or(f64::NAN)), Value::Int)
        }
        other => {
            text = other.to_string();
            Value::Text(&text)
        }
    };
    column.append(field, row, value)
}

/// A row that does not fit.
pub(super) fn invalid(field: &Field, row: usize, reason: String) -> EngineError {
    EngineError::InvalidRow { field: field.name.clone(), row, reason }
}

fn wrong_kind(field: &Field, row: usize, value: Value<'_>) -> EngineError {
    invalid(field, row, format!("expected {}, got {}", field.data_type, value.kind()))
}

fn bits<'a>(field: &Field, row: usize, value: Value<'a>) -> Result<&'a [u8]> {
    let Value::Bytes(bytes) = value else { return Err(wrong_kind(field, row, value)) };
    let dim = field.dim.unwrap_or(0);
    if bytes.len() * 8 == dim {
        return Ok(bytes);
    }
    let reason = format!(
        "[]byte size {} doesn't equal to vector dimension {dim} of {}",
        bytes.len() * 8,
        field.data_type
    );
    Err(invalid(field, row, reason))
}

fn integer(field: &Field, row: usize, value: Value<'_>) -> Result<i64> {
    let Value::Int(v) = value else {
        return Err(wrong_kind(field, row, value));
    };
    match field.data_type.integer_range() {
        Some((low, high)) if !(low..=high).contains(&v) => {
            let reason = format!("the value {v} is out of range [{low}, {high}] of {}", field.data_type);
            Err(invalid(field, row, reason))
        }
        _ => Ok(v),
    }
}

fn float64(field: &Field, row: usize, value: Value<'_>) -> Result<f64> {
    let v = match value {
        Value::Float(v) => v,
        Value::Int(v) => v as f64,
        _ => return Err(wrong_kind(field, row, value)),
    };
    if v.is_finite() { Ok(v) } else { Err(invalid(field, row, "value is not a number or infinity".into())) }
}

fn float32(field: &Field, row: usize, value: Value<'_>) -> Result<f32> {
    let v = float64(field, row, value)? as f32;
    if v.is_finite() { Ok(v) } else { Err(invalid(field, row, "the value is out of range of Float".into())) }
}

fn text<'a>(field: &Field, row: usize, value: Value<'a>) -> Result<&'a str> {
    let Value::Text(v) = value else {
        return Err(wrong_kind(field, row, value));
    };
    let (max, what) = match field.max_length {
        Some(max) => (max, "varchar"),
        None => (limits::MAX_JSON_BYTES, "JSON"),
    };
    if v.len() > max {
        let reason = format!(
            "length of {what} field {} exceeds max length, length: {}, max length: {max}",
            field.name,
            v.len()
        );
        return Err(invalid(field, row, reason));
    }
    Ok(v)
}
