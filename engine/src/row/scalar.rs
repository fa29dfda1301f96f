//! One value of a scalar field or of a member in JSON, as it is ordered, grouped and indexed. It borrows from the column or
//! the text where it lies: a request over all rows copies none of them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, BooleanArray, PrimitiveArray, StringArray};
use arrow_schema::DataType as A;

/// A value, or none. The two zeros are one value.
#[derive(Debug, Clone)]
pub(crate) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
}

impl Scalar<'_> {
    /// Bytes that a copy of it takes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        if let Self::Text(text) = self { text.len() } else { 0 }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Text(_) => 4,
        }
    }
}

/// Null comes first. Values of one field are of one kind; kinds have an order all the same.
impl Ord for Scalar<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            // Adding 0 makes one zero of both.
            (Self::Float(a), Self::Float(b)) => (a + 0.0).total_cmp(&(b + 0.0)),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            _ => self.kind().cmp(&other.kind()),
        }
    }
}

impl PartialOrd for Scalar<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scalar<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scalar<'_> {}

impl Hash for Scalar<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.kind().hash(state);
        match self {
            Self::Null => {}
            Self::Bool(value) => value.hash(state),
            Self::Int(value) => value.hash(state),
            Self::Float(value) => (value + 0.0).to_bits().hash(state),
            Self::Text(text) => text.hash(state),
        }
    }
}

/// A column of such values. Text of a JSON field is text here.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ScalarColumn<'a> {
    Bool(&'a BooleanArray),
    Int8(&'a PrimitiveArray<Int8Type>),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float(&'a PrimitiveArray<Float32Type>),
    Double(&'a PrimitiveArray<Float64Type>),
    Text(&'a StringArray),
}

impl<'a> ScalarColumn<'a> {
    /// None for a column of arrays or vectors.
    pub(crate) fn of(array: &'a dyn Array) -> Option<Self> {
        match array.data_type() {
            A::Boolean => array.as_boolean_opt().map(Self::Bool),
            A::Int8 => array.as_primitive_opt().map(Self::Int8),
            A::Int16 => array.as_primitive_opt().map(Self::Int16),
            A::Int32 => array.as_primitive_opt().map(Self::Int32),
            A::Int64 => array.as_primitive_opt().map(Self::Int64),
            A::Float32 => array.as_primitive_opt().map(Self::Float),
            A::Float64 => array.as_primitive_opt().map(Self::Double),
            A::Utf8 => array.as_string_opt().map(Self::Text),
            _ => None,
        }
    }

    /// The value of a row, which must be one of the column's.
    pub(crate) fn get(self, row: usize) -> Scalar<'a> {
        match self {
            Self::Bool(column) if column.is_valid(row) => Scalar::Bool(column.value(row)),
            Self::Int8(column) if column.is_valid(row) => Scalar::Int(column.value(row).into()),
            Self::Int16(column) if column.is_valid(row) => Scalar::Int(column.value(row).into()),
            Self::Int32(column) if column.is_valid(row) => Scalar::Int(column.value(row).into()),
            Self::Int64(column) if column.is_valid(row) => Scalar::Int(column.value(row)),
            Self::Float(column) if column.is_valid(row) => Scalar::Float(column.value(row).into()),
            Self::Double(column) if column.is_valid(row) => Scalar::Float(column.value(row)),
            Self::Text(column) if column.is_valid(row) => Scalar::Text(Cow::Borrowed(column.value(row))),
            _ => Scalar::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use arrow_array::{Float32Array, Int64Array, ListArray};

    use super::*;

    #[test]
    fn values_come_out_of_columns_and_have_an_order() {
        let ints = Int64Array::from(vec![Some(3), None, Some(-1)]);
        let column = ScalarColumn::of(&ints).unwrap();
        let mut values: Vec<Scalar<'_>> = (0..3).map(|row| column.get(row)).collect();
        values.sort();
        assert_eq!(values, [Scalar::Null, Scalar::Int(-1), Scalar::Int(3)]);
        let zeros = Float32Array::from(vec![0.0, -0.0]);
        let column = ScalarColumn::of(&zeros).unwrap();
        assert_eq!(HashSet::from([column.get(0), column.get(1)]).len(), 1);
        let texts = StringArray::from(vec![Some("b"), Some("a")]);
        let column = ScalarColumn::of(&texts).unwrap();
        assert!(column.get(0) > column.get(1) && column.get(0).heap_bytes() == 1);
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1)])]);
        assert!(ScalarColumn::of(&lists).is_none());
    }
}
