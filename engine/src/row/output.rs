//! What a query or search gives back: columns gathered from any number of segments, in result order, restricted to
//! the fields asked for. The server reads them value by value (JSON) or column by column (gRPC).

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray};

use super::key::KeyRef;
use super::value::{OutputValue, value_at};
use crate::error::{EngineError, Result};
use crate::schema::{DYNAMIC_FIELD, DataType, Schema};

/// Which undeclared keys of the dynamic field to give back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DynamicKeys {
    /// None at all.
    None,
    /// Just these, where a row has them.
    Only(Vec<String>),
    /// Every one but these: fields that were declared when rows had undeclared keys of the same name already. Whoever asks
    /// for the name gets the field.
    AllBut(Vec<String>),
}

/// The fields of an answer, resolved against a schema. The primary key is always among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    /// Numbers of the fields, in order of declaration.
    pub fields: Vec<i64>,
    /// Undeclared keys.
    pub dynamic: DynamicKeys,
    /// Whether the answer says which partition each row is in.
    pub partitions: bool,
}

impl Projection {
    /// Resolves names as Milvus does: `*` is every field and every undeclared key, `$meta` every undeclared key, an
    /// unknown name is an undeclared key where the schema allows those.
    ///
    /// # Errors
    /// `FieldNotFound` for an unknown name without a dynamic field.
    pub fn resolve<S: AsRef<str>>(schema: &Schema, names: &[S]) -> Result<Self> {
        let mut wanted = vec![false; schema.fields().len()];
        let mut dynamic = DynamicKeys::None;
        let all = || DynamicKeys::AllBut(schema.fields().iter().map(|field| field.name.clone()).collect());
        for name in names.iter().map(AsRef::as_ref) {
            match schema.field(name) {
                Some((_, field)) if field.function_output => {
                    return Err(EngineError::invalid(format!(
                        "not allowed to retrieve raw data of field {name}"
                    )));
                }
                Some((index, _)) => wanted[index] = true,
                None if name == "*" => {
                    // What a function has made of other fields is for searches only.
                    let shown = schema.fields().iter().map(|field| !field.function_output);
                    wanted.iter_mut().zip(shown).for_each(|(wanted, shown)| *wanted |= shown);
                    if schema.dynamic() {
                        dynamic = all();
                    }
                }
                None if !schema.dynamic() => {
                    return Err(EngineError::FieldNotFound { name: name.to_owned() });
                }
                None if name == DYNAMIC_FIELD => dynamic = all(),
                None => match &mut dynamic {
                    DynamicKeys::AllBut(_) => {}
                    DynamicKeys::Only(keys) => keys.push(name.to_owned()),
                    DynamicKeys::None => dynamic = DynamicKeys::Only(vec![name.to_owned()]),
                },
            }
        }
        let chosen = schema.fields().iter().zip(wanted).filter(|(field, wanted)| *wanted || field.primary);
        let fields = chosen.map(|(field, _)| field.id).collect();
        Ok(Self { fields, dynamic, partitions: false })
    }
}

/// Values of one column of an answer.
#[derive(Debug, Clone)]
pub enum ColumnData {
    /// A scalar column.
    Scalar(ArrayRef),
    /// A dense vector column: rows × `dim`, row-major.
    Vector {
        /// Values a row.
        dim: usize,
        /// All rows.
        values: Vec<f32>,
        /// Which rows have a vector; none: all.
        present: Option<BooleanArray>,
    },
}

/// One column of an answer.
#[derive(Debug, Clone)]
pub struct OutputColumn {
    /// Field name.
    pub name: String,
    /// Declared type.
    pub data_type: DataType,
    /// Type of an array's elements.
    pub element_type: Option<DataType>,
    /// Whether it is the primary key.
    pub primary: bool,
    /// The values.
    pub data: ColumnData,
}

impl OutputColumn {
    /// The value in `row`; `Null` also beyond the end.
    pub fn value(&self, row: usize) -> OutputValue<'_> {
        match &self.data {
            ColumnData::Vector { dim, values, present } => {
                let values = values.get(row * dim..(row + 1) * dim);
                let has = present.as_ref().is_none_or(|present| row < present.len() && present.value(row));
                match values.filter(|_| has) {
                    None => OutputValue::Null,
                    Some(values) if self.data_type == DataType::FloatVector => OutputValue::Vector(values),
                    Some(values) => OutputValue::Packed(self.data_type, values),
                }
            }
            ColumnData::Scalar(array) => value_at(array.as_ref(), self.data_type, self.element_type, row),
        }
    }
}

/// An answer: columns of equal length, in the order of the schema, with the primary key among them.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Declared fields.
    pub columns: Vec<OutputColumn>,
    /// Text column of JSON objects, when undeclared keys were asked for.
    pub dynamic: Option<ArrayRef>,
    /// Which keys of those objects.
    pub dynamic_keys: DynamicKeys,
    /// Number of the partition of each row; none where they were not asked for, and where all are in the first.
    pub partitions: Option<Vec<i32>>,
    /// Number of rows.
    pub len: usize,
}

impl Rows {
    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&OutputColumn> {
        self.columns.iter().find(|c| c.name == name)
    }

    /// The JSON object of undeclared keys in `row`: all that the row has, also where only some were asked for.
    pub fn dynamic_json(&self, row: usize) -> Option<&str> {
        let array = self.dynamic.as_ref()?.as_string_opt::<i32>()?;
        (row < array.len() && !array.is_null(row)).then(|| array.value(row))
    }

    /// Number of the partition that `row` is in, if that was asked for.
    pub fn partition(&self, row: usize) -> i32 {
        self.partitions.as_ref().and_then(|partitions| partitions.get(row)).copied().unwrap_or_default()
    }

    /// The primary key of `row`.
    pub fn key(&self, row: usize) -> Option<KeyRef<'_>> {
        match self.columns.iter().find(|c| c.primary)?.value(row) {
            OutputValue::Int64(i) => Some(KeyRef::Int(i)),
            OutputValue::Text(s) => Some(KeyRef::Text(s)),
            _ => None,
        }
    }
}
