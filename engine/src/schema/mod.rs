//! Fields, types and the definition of a collection. A [`Schema`] that exists is valid: [`Schema::new`] is the only
//! door and checks every rule and limit. Collections, batches, filters and the server's answers all read it.

mod adapt;
mod data_type;
mod field;
mod function;
mod names;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow_array::{ArrayRef, BooleanArray, Int32Array, Int64Array};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

pub(crate) use adapt::{adapt, added_bytes, check_added};
pub use data_type::DataType;
pub use field::Field;
pub use function::Function;
pub use names::{check_alias_name, check_collection_name, check_database_name, check_partition_name};

use crate::error::{EngineError, Result};
use crate::limits;
use crate::text::Analyzer;

/// Name of the hidden column that holds keys not declared in the schema.
pub const DYNAMIC_FIELD: &str = "$meta";
/// Name of the hidden column that holds the number of the row's partition.
pub(crate) const PARTITION_COLUMN: &str = "$partition";
/// Name of the hidden column that holds when the row was stored, in milliseconds since 1970.
pub(crate) const STORED_COLUMN: &str = "$stored";
/// Id of the first declared field (as in Milvus).
pub const FIRST_FIELD_ID: i64 = 100;
/// Under this key a column of an Arrow file has the number of its field.
const ID_KEY: &str = "elanus.field";

/// A valid set of fields: exactly one primary key, at least one vector field. Cheap to share as `Arc<Schema>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schema {
    fields: Vec<Field>,
    dynamic: bool,
    #[serde(default)]
    description: String,
    #[serde(default)]
    functions: Vec<Function>,
    /// The number of the next field; 0 in files that were stored before fields could be added.
    #[serde(default)]
    next_id: i64,
    /// Whether rows say which partition they are in.
    #[serde(default)]
    partitioned: bool,
    /// Whether rows say when they were stored.
    #[serde(default)]
    timed: bool,
    /// When rows were stored that do not say it, in milliseconds since 1970: at the latest when they began to. Absent in
    /// files from before it was noted: such rows never expire.
    #[serde(default = "never")]
    timed_from: i64,
    #[serde(skip)]
    layout: Layout,
}

/// The Arrow schema, and what cuts the texts of a field into words: made when they are first asked for. They follow from
/// the fields: they take no part in comparisons, and a copy, which may be about to change, makes its own.
#[derive(Debug, Default)]
struct Layout {
    arrow: OnceLock<arrow_schema::SchemaRef>,
    /// By the number of the field.
    analyzers: RwLock<HashMap<i64, Arc<Analyzer>>>,
}

impl Clone for Layout {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Layout {
    fn eq(&self, _: &Self) -> bool {
        true
    }
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
            field.check()?;
        }
        check_unique(&fields)?;
        check_primary(&fields)?;
        check_partition_key(&fields)?;
        let next_id = FIRST_FIELD_ID + fields.len() as i64;
        Ok(Self {
            fields,
            dynamic,
            description: description.into(),
            functions: Vec::new(),
            next_id,
            partitioned: false,
            timed: false,
            timed_from: never(),
            layout: Layout::default(),
        })
    }

    /// The same with functions, which fill some of its fields.
    ///
    /// # Errors
    /// `InvalidParameter` when one does not fit the fields.
    pub fn with_functions(mut self, functions: Vec<Function>) -> Result<Self> {
        for function in functions {
            if self.functions.iter().any(|other| other.name == function.name) {
                return Err(EngineError::invalid(format!("duplicate function name: {}", function.name)));
            }
            function.bind(&mut self.fields)?;
            self.layout = Layout::default();
            self.functions.push(function);
        }
        Ok(self)
    }

    /// The same with one more field at the end. Rows that are there have its default, or null.
    ///
    /// # Errors
    /// `InvalidParameter` for a field that is not nullable, a key, a dense vector, or against the rules.
    pub fn with_field(&self, mut field: Field) -> Result<Self> {
        let mut next = self.clone();
        if field.primary || field.partition_key || field.auto_id {
            return Err(EngineError::invalid(format!(
                "not support to add a key field, field name = {}",
                field.name
            )));
        }
        if !field.nullable {
            return Err(EngineError::invalid(format!(
                "added field must be nullable, please check it, field name = {}",
                field.name
            )));
        }
        if field.data_type.is_dense() {
            return Err(EngineError::invalid(format!(
                "adding a dense vector to a collection is not supported in this version of Elanus, field name = {}",
                field.name
            )));
        }
        field.id = self.next_id.max(FIRST_FIELD_ID + self.fields.len() as i64);
        field.check()?;
        next.next_id = field.id + 1;
        next.fields.push(field);
        check_counts(&next.fields)?;
        check_unique(&next.fields)?;
        Ok(next)
    }

    /// The same without a field.
    ///
    /// # Errors
    /// `FieldNotFound`; `InvalidParameter` for the key, the partition key, the last vector, a dense vector, and what a
    /// function reads or fills.
    pub fn without_field(&self, name: &str) -> Result<Self> {
        let (position, field) =
            self.field(name).ok_or_else(|| EngineError::FieldNotFound { name: name.to_owned() })?;
        let refuse = |why: &str| Err(EngineError::invalid(format!("cannot drop {why}: {name}")));
        if field.primary {
            return refuse("primary key field");
        }
        if field.partition_key {
            return refuse("partition key field");
        }
        if field.data_type.is_vector() && self.vector_fields().count() == 1 {
            return refuse("the last vector field");
        }
        if field.data_type.is_dense() {
            return refuse("a dense vector field in this version of Elanus");
        }
        if self.functions.iter().any(|f| f.input == name || f.output == name) {
            return refuse("a field that a function uses");
        }
        let mut next = self.clone();
        next.next_id = self.next_id.max(FIRST_FIELD_ID + self.fields.len() as i64);
        next.fields.remove(position);
        Ok(next)
    }

    /// The same with a changed field. Only its description, sizes and further parameters may differ.
    pub(crate) fn with_changed(&self, field: Field) -> Result<Self> {
        field.check()?;
        let mut next = self.clone();
        if let Some(place) = next.fields.iter_mut().find(|f| f.id == field.id) {
            *place = field;
        }
        Ok(next)
    }

    /// The same for vectors of another length: rows that are there do not fit it.
    ///
    /// # Errors
    /// `FieldNotFound`; `InvalidParameter` for a dimension that the field can't have.
    pub fn with_dimension(&self, name: &str, dimension: usize) -> Result<Self> {
        let found = self.field(name).ok_or_else(|| EngineError::FieldNotFound { name: name.to_owned() })?;
        self.with_changed(Field { dim: Some(dimension), ..found.1.clone() })
    }

    /// The same with rows that say which partition they are in.
    pub(crate) fn with_partitions(&self) -> Self {
        Self { partitioned: true, ..self.clone() }
    }

    /// The same with rows that say when they were stored; those that are there count as stored `now`, in milliseconds since
    /// 1970.
    pub(crate) fn with_times(&self, now: i64) -> Self {
        Self { timed: true, timed_from: now, ..self.clone() }
    }

    /// The same with another description.
    #[must_use]
    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Computed fields.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// Whether rows say which partition they are in.
    pub(crate) fn partitioned(&self) -> bool {
        self.partitioned
    }

    /// Whether rows say when they were stored.
    pub(crate) fn timed(&self) -> bool {
        self.timed
    }

    /// The field whose value decides the partition.
    pub fn partition_key(&self) -> Option<&Field> {
        self.fields.iter().find(|f| f.partition_key)
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

    /// Vector fields whose values lie in matrices, in order of declaration.
    pub fn dense_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|f| f.data_type.is_dense())
    }

    /// Fields with a column, in order of declaration: the first columns of [`Schema::arrow`].
    pub fn column_fields(&self) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(|f| !f.data_type.is_dense())
    }

    /// Position of a field's column in [`Schema::arrow`].
    pub(crate) fn column_of(&self, name: &str) -> Option<usize> {
        self.column_fields().position(|f| f.name == name)
    }

    /// Position of a hidden column in [`Schema::arrow`].
    pub(crate) fn hidden_column(&self, name: &str) -> Option<usize> {
        self.arrow().index_of(name).ok()
    }

    /// Position of the column that says which rows have a value in a dense vector field that may be null.
    pub(crate) fn presence_column(&self, field: &Field) -> Option<usize> {
        (field.data_type.is_dense() && field.nullable).then(|| self.arrow().index_of(&field.name).ok())?
    }

    /// Number of a column as it is written into files.
    fn id_of(&self, column: &str) -> Option<String> {
        match self.fields.iter().find(|f| f.name == column) {
            Some(field) => Some(field.id.to_string()),
            None => column.starts_with('$').then(|| column.to_owned()),
        }
    }

    /// Arrow schema of the columns: every field that is no dense vector by its name; then, if rows may carry undeclared
    /// keys, [`DYNAMIC_FIELD`] as nullable text holding one JSON object a row; then hidden columns: the partition's number
    /// (`$partition`, Int32), when the row was stored (`$stored`, Int64, milliseconds), and for each dense vector that
    /// may be null a Boolean of its name, which says whether the row has one.
    pub fn arrow(&self) -> arrow_schema::SchemaRef {
        Arc::clone(self.layout.arrow.get_or_init(|| self.make_arrow()))
    }

    /// What cuts the texts of one of its fields into words. It is built once: its parameters may be long.
    ///
    /// # Errors
    /// As [`Field::analyzer`].
    pub fn analyzer(&self, field: &Field) -> Result<Arc<Analyzer>> {
        if let Some(known) = self.layout.analyzers.read().get(&field.id) {
            return Ok(Arc::clone(known));
        }
        let analyzer = Arc::new(field.analyzer()?);
        Ok(Arc::clone(self.layout.analyzers.write().entry(field.id).or_insert(analyzer)))
    }

    fn make_arrow(&self) -> arrow_schema::SchemaRef {
        use arrow_schema::DataType as A;
        let column = |name: &str, data_type: A, nullable: bool| {
            let id = self.id_of(name).unwrap_or_default();
            let metadata = HashMap::from([(ID_KEY.to_owned(), id)]);
            arrow_schema::Field::new(name, data_type, nullable).with_metadata(metadata)
        };
        let mut columns: Vec<arrow_schema::Field> = self
            .column_fields()
            .filter_map(|field| Some(column(&field.name, field.arrow()?, field.nullable)))
            .collect();
        if self.dynamic {
            columns.push(column(DYNAMIC_FIELD, A::Utf8, true));
        }
        if self.partitioned {
            columns.push(column(PARTITION_COLUMN, A::Int32, false));
        }
        if self.timed {
            columns.push(column(STORED_COLUMN, A::Int64, false));
        }
        let optional = self.dense_fields().filter(|f| f.nullable);
        columns.extend(optional.map(|field| column(&field.name, A::Boolean, false)));
        Arc::new(arrow_schema::Schema::new(columns))
    }
}

/// The number of the field that a column is of, as it is written into files.
pub(crate) fn field_id(column: &arrow_schema::Field) -> Option<&str> {
    column.metadata().get(ID_KEY).map(String::as_str)
}

fn never() -> i64 {
    i64::MAX
}

/// What rows have in a hidden column that they were stored without: the first partition, and when they are taken to have
/// been stored.
fn hidden_value(schema: &Schema, name: &str, rows: usize) -> Option<ArrayRef> {
    match name {
        PARTITION_COLUMN => Some(Arc::new(Int32Array::from(vec![0; rows]))),
        STORED_COLUMN => Some(Arc::new(Int64Array::from(vec![schema.timed_from; rows]))),
        // A dense vector was there for each row before it could be null.
        _ if !name.starts_with('$') => Some(Arc::new(BooleanArray::from(vec![true; rows]))),
        _ => None,
    }
}

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

fn check_partition_key(fields: &[Field]) -> Result<()> {
    match fields.iter().filter(|f| f.partition_key).count() {
        0 | 1 => Ok(()),
        _ => Err(EngineError::invalid("there are more than one partition key")),
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
    fn analyzers_are_built_once_and_anew_for_a_changed_field() {
        let mut text = Field::new("t", DataType::VarChar).max_length(9);
        text.params.insert("analyzer_params".into(), r#"{"tokenizer": "whitespace"}"#.into());
        let schema = Schema::new(vec![key(), vector(), text], true, "").unwrap();
        let field = &schema.fields()[2];
        let first = schema.analyzer(field).unwrap();
        assert!(Arc::ptr_eq(&first, &schema.analyzer(field).unwrap()));
        let mut changed = field.clone();
        changed.params.clear();
        let next = schema.with_changed(changed).unwrap();
        assert_eq!(next.analyzer(&next.fields()[2]).unwrap().analyze("A-b").len(), 2);
        assert_eq!(first.analyze("A-b").len(), 1);
    }

    #[test]
    fn survives_json() {
        let schema = Schema::new(vec![key(), vector()], true, "text").unwrap();
        let text = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<Schema>(&text).unwrap(), schema);
    }
}
