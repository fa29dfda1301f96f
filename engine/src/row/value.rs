//! One value of one row: what a client gives ([`Value`]) and what it gets ([`OutputValue`]). Both borrow; neither
//! copies text or vectors.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ListArray};

use crate::schema::DataType;

/// A value as a client gives it, before it is checked against the field's type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Absent on purpose.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer; range-checked against the field. A moment is its microseconds since 1970.
    Int(i64),
    /// A float; must be finite.
    Float(f64),
    /// Text for a VarChar, or the JSON text of a JSON field.
    Text(&'a str),
    /// The elements of an array.
    List(&'a [Value<'a>]),
    /// A binary vector, bit 0 being the lowest of the first byte; or a sparse one: pairs of index (u32) and value (f32),
    /// little-endian, in ascending order of indices.
    Bytes(&'a [u8]),
}

impl Value<'_> {
    /// The kind in words, for error messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Int(_) => "integer",
            Value::Float(_) => "float",
            Value::Text(_) => "string",
            Value::List(_) => "array",
            Value::Bytes(_) => "bytes",
        }
    }
}

/// A stored value on its way out.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputValue<'a> {
    /// The row has no value here.
    Null,
    /// Bool
    Bool(bool),
    /// Int8 to Int32
    Int(i64),
    /// Int64: kept apart because clients may ask for it as a string
    Int64(i64),
    /// Float
    Float(f32),
    /// Double
    Double(f64),
    /// VarChar
    Text(&'a str),
    /// JSON text
    Json(&'a str),
    /// Array
    List(ListValue<'a>),
    /// Timestamptz: microseconds since 1970
    Moment(i64),
    /// FloatVector
    Vector(&'a [f32]),
    /// Float16Vector, BFloat16Vector, Int8Vector: the type, and the values as they are
    Packed(DataType, &'a [f32]),
    /// BinaryVector
    Bits(&'a [u8]),
    /// SparseFloatVector: as [`Value::Bytes`]
    Sparse(&'a [u8]),
}

impl<'a> OutputValue<'a> {
    /// The same as a client would give it, for single values.
    pub fn as_value(&self) -> Value<'a> {
        match *self {
            Self::Bool(v) => Value::Bool(v),
            Self::Int(v) | Self::Int64(v) | Self::Moment(v) => Value::Int(v),
            Self::Float(v) => Value::Float(v.into()),
            Self::Double(v) => Value::Float(v),
            Self::Text(v) | Self::Json(v) => Value::Text(v),
            Self::Bits(v) | Self::Sparse(v) => Value::Bytes(v),
            Self::Null | Self::List(_) | Self::Vector(_) | Self::Packed(..) => Value::Null,
        }
    }
}

/// The elements of an array in one row.
#[derive(Debug, Clone)]
pub struct ListValue<'a> {
    elements: &'a dyn Array,
    element_type: DataType,
    rows: Range<usize>,
}

impl PartialEq for ListValue<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a> ListValue<'a> {
    pub(crate) fn new(lists: &'a ListArray, element_type: DataType, row: usize) -> Self {
        let offsets = lists.value_offsets();
        let rows = offsets[row] as usize..offsets[row + 1] as usize;
        Self { elements: lists.values().as_ref(), element_type, rows }
    }

    /// Each element.
    pub fn iter(&self) -> impl Iterator<Item = OutputValue<'a>> + use<'a> {
        let (elements, element_type) = (self.elements, self.element_type);
        self.rows.clone().map(move |row| value_at(elements, element_type, None, row))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Type of the elements.
    pub fn element_type(&self) -> DataType {
        self.element_type
    }
}

/// The value of a column of this type in `row`; `Null` also beyond the end.
pub(crate) fn value_at<'a>(
    array: &'a dyn Array,
    data_type: DataType,
    element_type: Option<DataType>,
    row: usize,
) -> OutputValue<'a> {
    if row >= array.len() || array.is_null(row) {
        return OutputValue::Null;
    }
    match data_type {
        DataType::Bool => OutputValue::Bool(array.as_boolean().value(row)),
        DataType::Int8 => OutputValue::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => OutputValue::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => OutputValue::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => OutputValue::Int64(array.as_primitive::<Int64Type>().value(row)),
        DataType::Timestamptz => OutputValue::Moment(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float => OutputValue::Float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Double => OutputValue::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::VarChar => OutputValue::Text(array.as_string::<i32>().value(row)),
        DataType::Json => OutputValue::Json(array.as_string::<i32>().value(row)),
        DataType::Array => {
            let element_type = element_type.unwrap_or(DataType::Bool);
            OutputValue::List(ListValue::new(array.as_list::<i32>(), element_type, row))
        }
        DataType::BinaryVector => OutputValue::Bits(array.as_fixed_size_binary().value(row)),
        DataType::SparseFloatVector => OutputValue::Sparse(array.as_binary::<i32>().value(row)),
        // Dense vectors lie in matrices.
        DataType::FloatVector | DataType::Float16Vector | DataType::BFloat16Vector | DataType::Int8Vector => {
            OutputValue::Null
        }
    }
}
