//! The types of fields: Milvus's names, and how values of each are stored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{EngineError, Result};

/// Type of a field; names and spelling are Milvus's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DataType {
    /// true or false
    Bool,
    /// 8-bit signed integer
    Int8,
    /// 16-bit signed integer
    Int16,
    /// 32-bit signed integer
    Int32,
    /// 64-bit signed integer
    Int64,
    /// 32-bit float
    Float,
    /// 64-bit float
    Double,
    /// UTF-8 text of at most `max_length` bytes
    VarChar,
    /// any JSON value
    #[serde(rename = "JSON")]
    Json,
    /// at most `max_capacity` values of one scalar type
    Array,
    /// a moment: microseconds since 1970 in UTC
    Timestamptz,
    /// `dim` 32-bit floats
    FloatVector,
    /// `dim` bits
    BinaryVector,
    /// `dim` floats of 16 bits (IEEE 754 binary16)
    Float16Vector,
    /// `dim` floats of 16 bits (the upper half of a 32-bit float)
    BFloat16Vector,
    /// any number of (index, 32-bit float) pairs
    SparseFloatVector,
    /// `dim` 8-bit signed integers
    Int8Vector,
}

impl DataType {
    /// All types, in Milvus's order.
    pub const ALL: [Self; 17] = [
        Self::Bool,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Float,
        Self::Double,
        Self::VarChar,
        Self::Json,
        Self::Array,
        Self::Timestamptz,
        Self::FloatVector,
        Self::BinaryVector,
        Self::Float16Vector,
        Self::BFloat16Vector,
        Self::SparseFloatVector,
        Self::Int8Vector,
    ];

    /// Milvus's name, case sensitive.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "Bool",
            Self::Int8 => "Int8",
            Self::Int16 => "Int16",
            Self::Int32 => "Int32",
            Self::Int64 => "Int64",
            Self::Float => "Float",
            Self::Double => "Double",
            Self::VarChar => "VarChar",
            Self::Json => "JSON",
            Self::Array => "Array",
            Self::Timestamptz => "Timestamptz",
            Self::FloatVector => "FloatVector",
            Self::BinaryVector => "BinaryVector",
            Self::Float16Vector => "Float16Vector",
            Self::BFloat16Vector => "BFloat16Vector",
            Self::SparseFloatVector => "SparseFloatVector",
            Self::Int8Vector => "Int8Vector",
        }
    }

    /// Whether values are vectors of any kind.
    pub fn is_vector(self) -> bool {
        self.is_dense() || matches!(self, Self::BinaryVector | Self::SparseFloatVector)
    }

    /// Whether values are vectors of `dim` numbers: kept in a matrix of 32-bit floats, outside of the columns.
    pub fn is_dense(self) -> bool {
        matches!(self, Self::FloatVector | Self::Float16Vector | Self::BFloat16Vector | Self::Int8Vector)
    }

    /// Whether values are integers of some width.
    pub fn is_integer(self) -> bool {
        matches!(self, Self::Int8 | Self::Int16 | Self::Int32 | Self::Int64)
    }

    /// Whether values are integers or floats.
    pub fn is_numeric(self) -> bool {
        self.is_integer() || matches!(self, Self::Float | Self::Double)
    }

    /// Smallest and largest value of an integer type; `None` for the others.
    pub fn integer_range(self) -> Option<(i64, i64)> {
        match self {
            Self::Int8 => Some((i8::MIN.into(), i8::MAX.into())),
            Self::Int16 => Some((i16::MIN.into(), i16::MAX.into())),
            Self::Int32 => Some((i32::MIN.into(), i32::MAX.into())),
            Self::Int64 => Some((i64::MIN, i64::MAX)),
            _ => None,
        }
    }

    /// The Arrow type of a column of single values: JSON is its text, a moment is its number. `None` for what needs a
    /// size or an element type, see [`super::Field::arrow`].
    pub(super) fn plain_arrow(self) -> Option<arrow_schema::DataType> {
        use arrow_schema::DataType as A;
        Some(match self {
            Self::Bool => A::Boolean,
            Self::Int8 => A::Int8,
            Self::Int16 => A::Int16,
            Self::Int32 => A::Int32,
            Self::Int64 | Self::Timestamptz => A::Int64,
            Self::Float => A::Float32,
            Self::Double => A::Float64,
            Self::VarChar | Self::Json => A::Utf8,
            Self::SparseFloatVector => A::Binary,
            _ => return None,
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Types of Milvus that are not stored here.
const OTHERS: [&str; 5] = ["Geometry", "Text", "ArrayOfVector", "ArrayOfStruct", "Struct"];

impl FromStr for DataType {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name).ok_or_else(|| {
            let more = if OTHERS.contains(&name) { " This version of Elanus does not store it" } else { "" };
            EngineError::InvalidParameter(format!(
                "invalid parameter, data type {name} is invalid(case sensitive).{more}"
            ))
        })
    }
}
