//! One declared field and the rules it must keep by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DataType;
use super::names::check_field_name;
use crate::error::{EngineError, Result};
use crate::limits;
use crate::row::check_default;
use crate::text::Analyzer;

/// One declared field. Build with [`Field::new`] and the setters; [`super::Schema::new`] checks it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Stable number, from [`super::FIRST_FIELD_ID`] in order of declaration; never given out twice.
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
    /// Longest text of a VarChar, or of an array's elements, in bytes.
    #[serde(default)]
    pub max_length: Option<usize>,
    /// Type of an array's elements.
    #[serde(default)]
    pub element_type: Option<DataType>,
    /// Most elements of an array.
    #[serde(default)]
    pub max_capacity: Option<usize>,
    /// Whether rows are spread over partitions by this field.
    #[serde(default)]
    pub partition_key: bool,
    /// Whether the creator asked for rows to be ordered by it; echoed.
    #[serde(default)]
    pub clustering_key: bool,
    /// Whether a function fills it.
    #[serde(default)]
    pub function_output: bool,
    /// Further parameters as sent, for example those of an analyzer.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
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
            element_type: None,
            max_capacity: None,
            partition_key: false,
            clustering_key: false,
            function_output: false,
            params: BTreeMap::new(),
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

    /// Sets the type of an array's elements, and how many there may be.
    #[must_use]
    pub fn elements(mut self, element_type: DataType, max_capacity: usize) -> Self {
        self.element_type = Some(element_type);
        self.max_capacity = Some(max_capacity);
        self
    }

    /// Allows null.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// Whether text of it is cut into words: for full-text functions and `text_match`.
    pub fn has_analyzer(&self) -> bool {
        self.is_on("enable_analyzer")
    }

    /// Whether filters may look for words in it.
    pub fn has_match(&self) -> bool {
        self.is_on("enable_match")
    }

    /// What cuts text of it into words, built anew: [`super::Schema::analyzer`] keeps it.
    ///
    /// # Errors
    /// `InvalidParameter` when its parameters ask for none that there is.
    pub fn analyzer(&self) -> Result<Analyzer> {
        Analyzer::from_json(self.params.get("analyzer_params").map_or("", String::as_str))
    }

    fn is_on(&self, param: &str) -> bool {
        self.params.get(param).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The Arrow type of its column; `None` for dense vectors, which lie in matrices.
    pub fn arrow(&self) -> Option<arrow_schema::DataType> {
        use arrow_schema::DataType as A;
        match self.data_type {
            DataType::BinaryVector => Some(A::FixedSizeBinary((self.dim.unwrap_or(0) / 8) as i32)),
            DataType::Array => {
                let element = self.element_type.and_then(DataType::plain_arrow)?;
                Some(A::List(Arc::new(arrow_schema::Field::new("item", element, false))))
            }
            other => other.plain_arrow(),
        }
    }

    /// An array's elements as if they were a field by themselves.
    pub(crate) fn element(&self) -> Self {
        let mut element = Self::new(self.name.clone(), self.element_type.unwrap_or(DataType::Bool));
        element.max_length = self.max_length;
        element
    }

    pub(super) fn check(&self) -> Result<()> {
        let name = &self.name;
        check_field_name(name)?;
        match self.data_type {
            DataType::BinaryVector => self.check_binary()?,
            DataType::SparseFloatVector if self.dim.is_some() => {
                return Err(EngineError::invalid(format!(
                    "dim should not be specified for sparse vector field {name}"
                )));
            }
            DataType::VarChar => {
                self.check_text()?;
                if self.params.contains_key("multi_analyzer_params") {
                    return Err(EngineError::invalid(format!(
                        "multi_analyzer_params of field {} is not supported: a field has one analyzer",
                        self.name
                    )));
                }
                self.analyzer()?;
            }
            DataType::Array => self.check_array()?,
            data_type if data_type.is_dense() => self.check_dense()?,
            _ => {}
        }
        let no_default = matches!(self.data_type, DataType::Json | DataType::Array);
        if self.default.is_some() && (self.data_type.is_vector() || no_default) {
            return Err(EngineError::invalid(format!(
                "type not support default_value, type:{}, name:{name}",
                self.data_type
            )));
        }
        if let Some(default) = &self.default {
            check_default(self, default).map_err(|error| match error {
                EngineError::InvalidRow { reason, .. } => {
                    EngineError::invalid(format!("invalid default value of field {name}: {reason}"))
                }
                other => other,
            })?;
        }
        if self.auto_id && !self.primary {
            return Err(EngineError::invalid(format!("only primary field can be set autoID, field: {name}")));
        }
        self.check_partition_key()
    }

    fn required_dim(&self) -> Result<usize> {
        self.dim.ok_or_else(|| {
            EngineError::invalid(format!(
                "dimension is not defined in field type params of field {}, check type param `dim` for vector field",
                self.name
            ))
        })
    }

    fn check_dense(&self) -> Result<()> {
        let dim = self.required_dim()?;
        let (least, most) = (limits::MIN_DIMENSION, limits::MAX_DIMENSION);
        if (least..=most).contains(&dim) {
            return Ok(());
        }
        Err(EngineError::invalid(format!(
            "invalid dimension: {dim} of field {}. should be in range {least} ~ {most}",
            self.name
        )))
    }

    fn check_binary(&self) -> Result<()> {
        let dim = self.required_dim()?;
        let most = limits::MAX_BINARY_DIMENSION;
        if !(limits::MIN_DIMENSION..=most).contains(&dim) {
            return Err(EngineError::invalid(format!(
                "invalid dimension: {dim} of field {}. should be in range {} ~ {most}",
                self.name,
                limits::MIN_DIMENSION
            )));
        }
        if !dim.is_multiple_of(8) {
            return Err(EngineError::invalid(format!(
                "invalid dimension: {dim} of field {}. binary vector dimension should be multiple of 8. ",
                self.name
            )));
        }
        Ok(())
    }

    fn check_text(&self) -> Result<()> {
        let name = &self.name;
        match self.max_length {
            None => Err(EngineError::MissingTypeParameter { parameter: "max_length", field: name.clone() }),
            Some(n) if (1..=limits::MAX_VARCHAR_BYTES).contains(&n) => Ok(()),
            Some(n) => Err(EngineError::invalid(format!(
                "the maximum length specified for the field({name}) should be in (0, {}], but got {n} instead",
                limits::MAX_VARCHAR_BYTES
            ))),
        }
    }

    fn check_array(&self) -> Result<()> {
        let name = &self.name;
        match self.element_type {
            Some(DataType::VarChar) => self.check_text()?,
            Some(element) if element.is_numeric() || element == DataType::Bool => {}
            Some(element) => {
                return Err(EngineError::invalid(format!(
                    "element type {element} is not supported in array field {name}"
                )));
            }
            None => {
                return Err(EngineError::invalid(format!(
                    "element data type is not specified for array field {name}"
                )));
            }
        }
        match self.max_capacity {
            None => Err(EngineError::MissingTypeParameter { parameter: "max_capacity", field: name.clone() }),
            Some(n) if (1..=limits::MAX_ARRAY_ELEMENTS).contains(&n) => Ok(()),
            Some(n) => Err(EngineError::invalid(format!(
                "the maximum capacity specified for the field({name}) should be in (0, {}], but got {n} instead",
                limits::MAX_ARRAY_ELEMENTS
            ))),
        }
    }

    fn check_partition_key(&self) -> Result<()> {
        if !self.partition_key {
            return Ok(());
        }
        let name = &self.name;
        if self.primary {
            return Err(EngineError::invalid(format!(
                "the partition key field must not be primary field: {name}"
            )));
        }
        if !matches!(self.data_type, DataType::Int64 | DataType::VarChar) {
            return Err(EngineError::invalid(format!(
                "the data type of partition key should be Int64 or VarChar: {name}"
            )));
        }
        if self.nullable {
            return Err(EngineError::invalid(format!("partition key field not support nullable: {name}")));
        }
        Ok(())
    }
}
