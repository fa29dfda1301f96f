//! Fields, types and the definition of a collection. A [`Schema`] that exists is valid: [`Schema::new`] is the only
//! door and checks every rule and limit. Collections, batches, filters and the server's answers all read it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{EngineError, Result};
use crate::limits;

/// Name of the hidden column that holds keys not declared in the schema.
pub const DYNAMIC_FIELD: &str = "$meta";
/// Id of the first declared field (as in Milvus).
pub const FIRST_FIELD_ID: i64 = 100;

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
    /// `dim` 32-bit floats
    FloatVector,
}

impl DataType {
    /// All types, in Milvus's order.
    pub const ALL: [Self; 10] = [
        Self::Bool,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Float,
        Self::Double,
        Self::VarChar,
        Self::Json,
        Self::FloatVector,
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
            Self::FloatVector => "FloatVector",
        }
    }

    /// Whether values are vectors, which live outside the scalar columns.
    pub fn is_vector(self) -> bool {
        matches!(self, Self::FloatVector)
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

    /// The Arrow type of a scalar column: JSON is stored as its text. `None` for vectors.
    pub fn arrow(self) -> Option<arrow_schema::DataType> {
        use arrow_schema::DataType as A;
        Some(match self {
            Self::Bool => A::Boolean,
            Self::Int8 => A::Int8,
            Self::Int16 => A::Int16,
            Self::Int32 => A::Int32,
            Self::Int64 => A::Int64,
            Self::Float => A::Float32,
            Self::Double => A::Float64,
            Self::VarChar | Self::Json => A::Utf8,
            Self::FloatVector => return None,
        })
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DataType {
    type Err = EngineError;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name).ok_or_else(|| {
            EngineError::InvalidParameter(format!(
                "invalid parameter, data type {name} is invalid(case sensitive).{}",
                if [
                    "Array",
                    "BinaryVector",
                    "Float16Vector",
                    "BFloat16Vector",
                    "SparseFloatVector",
                    "Int8Vector"
                ]
                .contains(&name)
                {
                    " This version of Elanus does not store it"
                } else {
                    ""
                }
            ))
        })
    }
}

/// One declared field. Build with [`Field::new`] and the setters; [`Schema::new`] checks it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Stable number, from [`FIRST_FIELD_ID`] in order of declaration; assigned by [`Schema::new`].
    #[serde(default)]
    pub id: i64,
    /// Name, unique in the schema.
    pub name: String,
    /// Type of the values.
    pub data_type: DataType,
    /// Whether this is the primary key.
    #[serde(default)]
    pub primary: bool,
    /// Whether the engine gives out the keys (primary key only).
    #[serde(default)]
    pub auto_id: bool,
    /// Whether a row may leave it empty.
    #[serde(default)]
    pub nullable: bool,
    /// Value of rows that do not give one.
    #[serde(default)]
    pub default: Option<serde_json::Value>,
    /// Dimension of a vector field.
    #[serde(default)]
    pub dim: Option<usize>,
    /// Longest text of a VarChar, in bytes.
    #[serde(default)]
    pub max_length: Option<usize>,
    /// Free text.
    #[serde(default)]
    pub description: String,
}

impl Field {
    /// A plain, not nullable field.
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self {
            id: 0,
            name: name.into(),
            data_type,
            primary: false,
            auto_id: false,
            nullable: false,
            default: None,
            dim: None,
            max_length: None,
            description: String::new(),
        }
    }

    /// Makes it the primary key.
    #[must_use]
    pub fn primary(mut self, auto_id: bool) -> Self {
        self.primary = true;
        self.auto_id = auto_id;
        self
    }

    /// Sets the dimension of a vector field.
    #[must_use]
    pub fn dim(mut self, dim: usize) -> Self {
        self.dim = Some(dim);
        self
    }

    /// Sets the longest text in bytes.
    #[must_use]
    pub fn max_length(mut self, bytes: usize) -> Self {
        self.max_length = Some(bytes);
        self
    }

    /// Allows null.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }
}

/// A valid set of fields: exactly one primary key, at least one vector field. Cheap to share as `Arc<Schema>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    fields: Vec<Field>,
    dynamic: bool,
    #[serde(default)]
    description: String,
}

impl Schema {
    /// Checks every rule and numbers the fields. `dynamic`: rows may carry keys that no field declares.
    ///
    /// # Errors
    /// `InvalidFieldName`, `InvalidParameter` or `MissingParameter`, in Milvus's words where it has them.
    pub fn new(mut fields: Vec<Field>, dynamic: bool, description: impl Into<String>) -> Result<Self> {
        check_counts(&fields)?;
        for (i, field) in fields.iter_mut().enumerate() {
            field.id = FIRST_FIELD_ID + i as i64;
            check_field(field)?;
        }
        check_unique(&fields)?;
        check_primary(&fields)?;
        Ok(Self { fields, dynamic, description: description.into() })
    }

    /// Fields in order of declaration; the hidden dynamic column is not among them.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Whether rows may carry undeclared keys.
    pub fn dynamic(&self) -> bool {
        self.dynamic
    }

    /// Free text.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The primary key field.
    pub fn primary(&self) -> &Field {
        // `new` refuses a schema without one, and serde only reads back what `new` made.
        self.fields.iter().find(|f| f.primary).unwrap_or(&self.fields[0])
    }

    /// Position and definition of a declared field.
    pub fn field(&self, name: &str) -> Option<(usize, &Field)> {
        self.fields.iter().enumerate().find(|(_, f)| f.name == name)
    }

    /// Vector fields in order of declaration.
    pub fn vector_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|f| f.data_type.is_vector())
    }

    /// Scalar fields in order of declaration: the columns of [`Schema::arrow`], before the dynamic one.
    pub fn scalar_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|f| !f.data_type.is_vector())
    }

    /// Arrow schema of the scalar columns: every scalar field by its name, then, if rows may carry undeclared keys,
    /// [`DYNAMIC_FIELD`] as nullable text holding one JSON object a row.
    pub fn arrow(&self) -> arrow_schema::SchemaRef {
        let mut columns: Vec<arrow_schema::Field> = self
            .scalar_fields()
            .filter_map(|f| f.data_type.arrow().map(|t| arrow_schema::Field::new(&f.name, t, f.nullable)))
            .collect();
        if self.dynamic {
            columns.push(arrow_schema::Field::new(DYNAMIC_FIELD, arrow_schema::DataType::Utf8, true));
        }
        Arc::new(arrow_schema::Schema::new(columns))
    }
}

/// Checks a collection name by Milvus's rule: 1 to 255 bytes, a letter or `_` first, then letters, digits, `_`.
///
/// # Errors
/// `InvalidParameter` in Milvus's words.
pub fn check_collection_name(name: &str) -> Result<()> {
    name_fault(name, "collection").map_or(Ok(()), |fault| {
        Err(EngineError::InvalidParameter(format!("Invalid collection name: {name}. {fault}")))
    })
}

fn name_fault(name: &str, what: &str) -> Option<String> {
    let mut chars = name.chars();
    match chars.next() {
        None => return Some(format!("the {what} name should not be empty")),
        Some(c) if !(c == '_' || c.is_ascii_alphabetic()) => {
            return Some(format!("the first character of a {what} name must be an underscore or letter"));
        }
        Some(_) => {}
    }
    if name.len() > limits::MAX_NAME_BYTES {
        return Some(format!("the length of a {what} name must be less than 255 characters"));
    }
    chars
        .any(|c| !(c == '_' || c.is_ascii_alphanumeric()))
        .then(|| format!("{what} name can only contain numbers, letters and underscores"))
}

/// Words of the filter language, which no field may be called (Milvus's list).
const KEYWORDS: [&str; 21] = [
    "$meta",
    "like",
    "exists",
    "and",
    "or",
    "not",
    "in",
    "json_contains",
    "json_contains_all",
    "json_contains_any",
    "array_contains",
    "array_contains_all",
    "array_contains_any",
    "array_length",
    "true",
    "false",
    "text_match",
    "phrase_match",
    "random_sample",
    "null",
    "is",
];

fn check_counts(fields: &[Field]) -> Result<()> {
    if fields.len() > limits::MAX_FIELDS {
        return Err(EngineError::invalid(format!(
            "maximum field's number should be limited to {}",
            limits::MAX_FIELDS
        )));
    }
    let vectors = fields.iter().filter(|f| f.data_type.is_vector()).count();
    if vectors == 0 {
        return Err(EngineError::invalid("schema does not contain vector field"));
    }
    if vectors > limits::MAX_VECTOR_FIELDS {
        return Err(EngineError::invalid(format!(
            "maximum vector field's number should be limited to {}",
            limits::MAX_VECTOR_FIELDS
        )));
    }
    Ok(())
}

fn check_field(field: &Field) -> Result<()> {
    let name = &field.name;
    let fault = name_fault(name, "field").or_else(|| {
        KEYWORDS
            .contains(&name.to_ascii_lowercase().as_str())
            .then(|| format!("{name} is keyword in milvus."))
    });
    if let Some(fault) = fault {
        let reason = format!("Invalid field name: {name}. {fault}");
        return Err(EngineError::InvalidFieldName { name: name.clone(), reason });
    }
    match field.data_type {
        DataType::FloatVector => check_vector(field)?,
        DataType::VarChar => check_varchar(field)?,
        _ => {}
    }
    if field.default.is_some() && (field.data_type.is_vector() || field.data_type == DataType::Json) {
        return Err(EngineError::invalid(format!(
            "type not support default_value, type:{}, name:{name}",
            field.data_type
        )));
    }
    if field.auto_id && !field.primary {
        return Err(EngineError::invalid(format!("only primary field can be set autoID, field: {name}")));
    }
    Ok(())
}

fn check_vector(field: &Field) -> Result<()> {
    let name = &field.name;
    let Some(dim) = field.dim else {
        return Err(EngineError::invalid(format!(
            "dimension is not defined in field type params of field {name}, check type param `dim` for vector field"
        )));
    };
    if !(limits::MIN_DIMENSION..=limits::MAX_DIMENSION).contains(&dim) {
        return Err(EngineError::invalid(format!(
            "invalid dimension: {dim} of field {name}. should be in range {} ~ {}",
            limits::MIN_DIMENSION,
            limits::MAX_DIMENSION
        )));
    }
    if field.nullable {
        return Err(EngineError::invalid(format!("vector field {name} can't be nullable in this version")));
    }
    Ok(())
}

fn check_varchar(field: &Field) -> Result<()> {
    let name = &field.name;
    match field.max_length {
        None => Err(EngineError::MissingParameter(format!(
            "type param(max_length) should be specified for the field({name})"
        ))),
        Some(n) if (1..=limits::MAX_VARCHAR_BYTES).contains(&n) => Ok(()),
        Some(n) => Err(EngineError::invalid(format!(
            "the maximum length specified for the field({name}) should be in (0, {}], but got {n} instead",
            limits::MAX_VARCHAR_BYTES
        ))),
    }
}

fn check_unique(fields: &[Field]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    match fields.iter().find(|f| !seen.insert(f.name.as_str())) {
        Some(twice) => Err(EngineError::invalid(format!("duplicated field name: {}", twice.name))),
        None => Ok(()),
    }
}

fn check_primary(fields: &[Field]) -> Result<()> {
    let mut keys = fields.iter().filter(|f| f.primary);
    let Some(key) = keys.next() else {
        return Err(EngineError::MissingParameter("primary key is not specified".into()));
    };
    if keys.next().is_some() {
        return Err(EngineError::invalid("there are more than one primary key"));
    }
    if !matches!(key.data_type, DataType::Int64 | DataType::VarChar) {
        return Err(EngineError::invalid("the data type of primary key should be Int64 or VarChar"));
    }
    if key.nullable {
        return Err(EngineError::invalid(format!("primary field not support null: {}", key.name)));
    }
    if key.default.is_some() {
        return Err(EngineError::invalid(format!("primary field not support default_value: {}", key.name)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Field {
        Field::new("id", DataType::Int64).primary(true)
    }

    fn vector() -> Field {
        Field::new("vector", DataType::FloatVector).dim(4)
    }

    fn refused(fields: Vec<Field>) -> String {
        Schema::new(fields, true, "").unwrap_err().to_string()
    }

    #[test]
    fn numbers_fields_from_100_and_splits_scalars_from_vectors() {
        let schema = Schema::new(vec![key(), vector(), Field::new("n", DataType::Int8)], true, "d").unwrap();
        assert_eq!(schema.fields().iter().map(|f| f.id).collect::<Vec<_>>(), [100, 101, 102]);
        let names: Vec<_> = schema.arrow().fields().iter().map(|f| f.name().clone()).collect();
        assert_eq!(names, ["id", "n", DYNAMIC_FIELD]);
        assert_eq!(schema.primary().name, "id");
    }

    #[test]
    fn refuses_what_milvus_refuses() {
        assert!(refused(vec![key()]).contains("does not contain vector field"));
        assert!(refused(vec![vector()]).contains("primary key is not specified"));
        assert!(refused(vec![key(), key(), vector()]).contains("duplicated field name"));
        assert!(refused(vec![key(), vector().dim(1)]).contains("invalid dimension: 1"));
        assert!(refused(vec![key(), vector().dim(32_769)]).contains("2 ~ 32768"));
        assert!(refused(vec![key(), vector(), Field::new("s", DataType::VarChar)]).contains("max_length"));
        assert!(refused(vec![key(), vector(), Field::new("Like", DataType::Bool)]).contains("keyword"));
        assert!(refused(vec![key(), vector(), Field::new("9a", DataType::Bool)]).contains("first character"));
        assert!(
            refused(vec![key(), vector(), Field::new("a-b", DataType::Bool)]).contains("can only contain")
        );
        assert!(
            refused(vec![Field::new("id", DataType::Float).primary(false), vector()])
                .contains("Int64 or VarChar")
        );
        let many = (0..256).map(|i| Field::new(format!("f{i}"), DataType::Bool));
        assert!(refused([key(), vector()].into_iter().chain(many).collect()).contains("256"));
    }

    #[test]
    fn collection_names_follow_the_rule() {
        for good in ["a", "_", "A9_", &"x".repeat(255)] {
            check_collection_name(good).unwrap();
        }
        for bad in ["", "9", "a b", "../x", "ü", &"x".repeat(256)] {
            check_collection_name(bad).unwrap_err();
        }
    }

    #[test]
    fn survives_json() {
        let schema = Schema::new(vec![key(), vector()], true, "text").unwrap();
        let text = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<Schema>(&text).unwrap(), schema);
    }
}
