//! Building a batch from rows of any order of keys, checked value by value against the schema. A failed row fails the
//! batch: nothing of it reaches a collection. The finished batch is columns, ready for the log and for a segment.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray};

use super::column::{Column, Finished, append_default, invalid};
use super::packed;
use super::value::{OutputValue, Value};
use crate::error::{EngineError, Result};
use crate::limits;
use crate::schema::{DYNAMIC_FIELD, DataType, Field, Schema};
use crate::text::term::term_counts;

/// Where the primary keys of a batch come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeySource {
    /// Every row carries its key.
    Given,
    /// The collection numbers the rows when it stores them (autoID).
    Generated,
}

/// Rows that fit a schema, as columns. Made by [`BatchBuilder`].
#[derive(Debug)]
pub struct Batch {
    schema: Arc<Schema>,
    /// Columns in schema order; the key's slot is empty when keys are generated. The dynamic column is last.
    scalars: Vec<Option<ArrayRef>>,
    /// Matrices of the dense vectors in schema order.
    vectors: Vec<Vec<f32>>,
    /// Which rows have a value, for each dense vector that may be null.
    present: Vec<BooleanArray>,
    rows: usize,
    bytes: usize,
    partitions: Partitions,
}

/// Numbers of the partitions that rows go to.
#[derive(Debug)]
enum Partitions {
    One(i32),
    /// One for each row.
    Each(Vec<i32>),
}

/// Complete columns of some rows: what the log records and segments are made of.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// All columns, by [`Schema::arrow`].
    pub scalars: RecordBatch,
    /// One row-major matrix for each dense vector field, in schema order.
    pub vectors: Vec<Vec<f32>>,
}

impl Batch {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of all values.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The schema it was built for.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Whether the keys are still to be numbered.
    pub fn needs_keys(&self) -> bool {
        self.scalars.iter().any(Option::is_none)
    }

    /// The same rows for another partition than the first.
    #[must_use]
    pub(crate) fn in_partition(self, partition: i32) -> Self {
        Self { partitions: Partitions::One(partition), ..self }
    }

    /// The same with a partition for each row, by [`Rows::partition`](super::Rows::partition): rows that are changed stay
    /// where they are.
    ///
    /// # Errors
    /// `InvalidParameter` unless there are as many partitions as rows.
    pub fn in_partitions(self, partitions: Vec<i32>) -> Result<Self> {
        match partitions.len() == self.rows {
            true => Ok(Self { partitions: Partitions::Each(partitions), ..self }),
            false => Err(EngineError::invalid(format!(
                "{} partitions are given for {} rows",
                partitions.len(),
                self.rows
            ))),
        }
    }

    /// Numbers of the partitions that rows go to, each once.
    pub(crate) fn partitions(&self) -> BTreeSet<i32> {
        match &self.partitions {
            Partitions::One(partition) => BTreeSet::from([*partition]),
            Partitions::Each(partitions) => partitions.iter().copied().collect(),
        }
    }

    /// The batch under the schema that the collection has by now, if that only has gained hidden columns since.
    pub(crate) fn under(self, schema: &Arc<Schema>) -> Result<Self> {
        if self.schema.fields() == schema.fields() && self.schema.dynamic() == schema.dynamic() {
            return Ok(Self { schema: Arc::clone(schema), ..self });
        }
        Err(EngineError::SchemaChanged)
    }

    /// The column of a field, if rows have given it.
    pub fn column(&self, name: &str) -> Option<&ArrayRef> {
        self.scalars.get(self.schema.column_of(name)?)?.as_ref()
    }

    /// Completes the columns; generated keys count up from `first_id`. `now` is in milliseconds since 1970.
    pub(crate) fn into_chunk(self, first_id: i64, now: i64) -> Result<Chunk> {
        let generated = |field: &Field| -> ArrayRef {
            let ids = first_id..first_id.saturating_add(self.rows as i64);
            match field.data_type {
                DataType::VarChar => Arc::new(StringArray::from_iter_values(ids.map(|i| i.to_string()))),
                _ => Arc::new(Int64Array::from_iter_values(ids)),
            }
        };
        let key = self.schema.primary();
        let mut columns: Vec<ArrayRef> =
            self.scalars.iter().map(|c| c.clone().unwrap_or_else(|| generated(key))).collect();
        if self.schema.partitioned() {
            let partitions = match self.partitions {
                Partitions::One(partition) => vec![partition; self.rows],
                Partitions::Each(partitions) => partitions,
            };
            columns.push(Arc::new(Int32Array::from(partitions)));
        }
        if self.schema.timed() {
            columns.push(Arc::new(Int64Array::from(vec![now; self.rows])));
        }
        columns.extend(self.present.into_iter().map(|present| Arc::new(present) as ArrayRef));
        let scalars =
            RecordBatch::try_new(self.schema.arrow(), columns).map_err(|e| EngineError::arrow(&e))?;
        Ok(Chunk { scalars, vectors: self.vectors })
    }
}

/// Collects rows into a [`Batch`]: for each row any number of `set*` calls, then [`BatchBuilder::end_row`].
#[derive(Debug)]
pub struct BatchBuilder {
    schema: Arc<Schema>,
    keys: KeySource,
    columns: Vec<Column>,
    /// Which fields the row under construction has set.
    set: Vec<bool>,
    dynamic: StringBuilder,
    /// JSON members of the row under construction, without the braces.
    members: String,
    rows: usize,
    bytes: usize,
}

impl BatchBuilder {
    /// An empty builder for rows of `schema`.
    pub fn new(schema: &Arc<Schema>, keys: KeySource) -> Self {
        let columns = schema.fields().iter().map(Column::new).collect();
        Self {
            schema: Arc::clone(schema),
            keys,
            columns,
            set: vec![false; schema.fields().len()],
            dynamic: StringBuilder::new(),
            members: String::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// The schema rows are checked against.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Rows finished so far: also the number of the row under construction.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of all values so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Makes room for the vectors of so many rows, which the caller has.
    pub fn reserve(&mut self, field: usize, rows: usize) {
        let dim = self.schema.fields().get(field).and_then(|definition| definition.dim);
        if let (Some(Column::Dense(dense)), Some(dim)) = (self.columns.get_mut(field), dim) {
            dense.matrix.reserve(rows.saturating_mul(dim));
        }
    }

    /// Sets a scalar of the row under construction. `field` is the position in [`Schema::fields`].
    ///
    /// # Errors
    /// `InvalidRow` when the value does not fit the field, is set twice, or is a key that the collection gives out.
    pub fn set(&mut self, field: usize, value: Value<'_>) -> Result<()> {
        let row = self.rows;
        let Some(definition) = self.schema.fields().get(field) else {
            return Err(EngineError::Internal(format!("field position {field}")));
        };
        if definition.primary && self.keys == KeySource::Generated {
            return Err(invalid(definition, row, "the key is generated (autoID): it can't be given".into()));
        }
        if definition.function_output {
            let reason = "a function fills this field: rows can't give it".to_owned();
            return Err(invalid(definition, row, reason));
        }
        if value == Value::Null {
            // Same as absent: `end_row` fills the default or null, or refuses.
            return Ok(());
        }
        self.claim(field)?;
        let definition = &self.schema.fields()[field];
        self.bytes += self.columns[field].append(definition, row, value)?;
        self.check_size()
    }

    /// Fills a vector of the row under construction: `fill` appends exactly `dim` finite values to the matrix.
    ///
    /// # Errors
    /// What `fill` returns; `InvalidRow` for a wrong count, NaN, infinity, or a field that is no vector.
    pub fn set_vector(&mut self, field: usize, fill: impl FnOnce(&mut Vec<f32>) -> Result<()>) -> Result<()> {
        self.claim(field)?;
        let row = self.rows;
        let definition = &self.schema.fields()[field];
        let (Some(Column::Dense(dense)), Some(dim)) = (self.columns.get_mut(field), definition.dim) else {
            return Err(invalid(definition, row, format!("expected {}, got a vector", definition.data_type)));
        };
        let start = dense.matrix.len();
        fill(&mut dense.matrix)?;
        dense.present.push(true);
        let added = dense.matrix.get_mut(start..).unwrap_or_default();
        if added.len() != dim {
            let reason = format!(
                "[]float32 size {} doesn't equal to vector dimension {dim} of {}",
                added.len(),
                definition.data_type
            );
            return Err(invalid(definition, row, reason));
        }
        if !added.iter().all(|v| v.is_finite()) {
            return Err(invalid(definition, row, "value is not a number or infinity".into()));
        }
        if definition.data_type != DataType::FloatVector {
            for value in added {
                let refuse = || format!("the value {value} does not fit {}", definition.data_type);
                *value = packed::fit(definition.data_type, *value)
                    .ok_or_else(|| invalid(definition, row, refuse()))?;
            }
        }
        self.bytes += dim * 4;
        self.check_size()
    }

    /// Sets a field of the row under construction to what is stored elsewhere.
    ///
    /// # Errors
    /// As [`BatchBuilder::set`] and [`BatchBuilder::set_vector`].
    pub fn set_stored(&mut self, field: usize, value: &OutputValue<'_>) -> Result<()> {
        match value {
            OutputValue::Null => self.set(field, Value::Null),
            OutputValue::Bool(v) => self.set(field, Value::Bool(*v)),
            OutputValue::Int(v) | OutputValue::Int64(v) | OutputValue::Moment(v) => {
                self.set(field, Value::Int(*v))
            }
            OutputValue::Float(v) => self.set(field, Value::Float((*v).into())),
            OutputValue::Double(v) => self.set(field, Value::Float(*v)),
            OutputValue::Text(text) | OutputValue::Json(text) => self.set(field, Value::Text(text)),
            OutputValue::List(list) => {
                let items: Vec<Value<'_>> = list.iter().map(|item| item.as_value()).collect();
                self.set(field, Value::List(&items))
            }
            OutputValue::Bits(bytes) | OutputValue::Sparse(bytes) => self.set(field, Value::Bytes(bytes)),
            OutputValue::Vector(vector) | OutputValue::Packed(_, vector) => {
                self.set_vector(field, |matrix| {
                    matrix.extend_from_slice(vector);
                    Ok(())
                })
            }
        }
    }

    /// Adds an undeclared key with its JSON text (which must be valid JSON) to the row under construction.
    ///
    /// # Errors
    /// `InvalidRow` when the schema takes no undeclared keys, or the row's keys together grow too large.
    pub fn set_dynamic(&mut self, key: &str, json: &str) -> Result<()> {
        let refuse = |reason: &str| {
            Err(EngineError::InvalidRow { field: key.to_owned(), row: self.rows, reason: reason.to_owned() })
        };
        if !self.schema.dynamic() {
            return refuse("has pass more field without dynamic schema, please check it");
        }
        if key == DYNAMIC_FIELD {
            return refuse("the name $meta is reserved for the dynamic field");
        }
        let name = serde_json::Value::from(key).to_string();
        if self.members.len() + name.len() + json.len() + 4 > limits::MAX_JSON_BYTES {
            return refuse("the dynamic keys of the row are longer than 65536 bytes together");
        }
        if !self.members.is_empty() {
            self.members.push(',');
        }
        self.members.push_str(&name);
        self.members.push(':');
        self.members.push_str(json);
        self.bytes += name.len() + json.len() + 2;
        self.check_size()
    }

    /// Completes the row: defaults and nulls where nothing was set.
    ///
    /// # Errors
    /// `InvalidRow` when a field that needs a value has none; `InvalidParameter` when the batch is full.
    pub fn end_row(&mut self) -> Result<()> {
        for index in 0..self.set.len() {
            if !std::mem::take(&mut self.set[index]) {
                self.fill_absent(index)?;
            }
        }
        if self.schema.dynamic() {
            let object = format!("{{{}}}", self.members);
            self.members.clear();
            self.dynamic.append_value(object);
        }
        self.rows += 1;
        if self.rows > limits::MAX_BATCH_ROWS {
            return Err(EngineError::invalid(format!(
                "a batch holds at most {} rows",
                limits::MAX_BATCH_ROWS
            )));
        }
        Ok(())
    }

    /// The finished batch.
    ///
    /// # Errors
    /// `InvalidParameter` when a function cannot read its input.
    pub fn finish(self) -> Result<Batch> {
        let mut scalars = Vec::new();
        let mut vectors = Vec::new();
        let mut present = Vec::new();
        for (field, column) in self.schema.fields().iter().zip(self.columns) {
            match column.finish(field)? {
                Finished::Matrix { values, present: has } => {
                    vectors.push(values);
                    present.extend(field.nullable.then_some(has));
                }
                Finished::Column(_) if field.primary && self.keys == KeySource::Generated => {
                    scalars.push(None)
                }
                Finished::Column(array) => scalars.push(Some(array)),
            }
        }
        if self.schema.dynamic() {
            let mut dynamic = self.dynamic;
            scalars.push(Some(Arc::new(dynamic.finish())));
        }
        let (schema, rows) = (self.schema, self.rows);
        let bytes = self.bytes + compute(&schema, &mut scalars)?;
        Ok(Batch { schema, scalars, vectors, present, rows, bytes, partitions: Partitions::One(0) })
    }

    fn claim(&mut self, field: usize) -> Result<()> {
        match self.set.get_mut(field) {
            Some(set) if !*set => {
                *set = true;
                Ok(())
            }
            Some(_) => Err(invalid(
                &self.schema.fields()[field],
                self.rows,
                "the key appears twice in the row".into(),
            )),
            None => Err(EngineError::Internal(format!("field position {field}"))),
        }
    }

    fn fill_absent(&mut self, index: usize) -> Result<()> {
        let row = self.rows;
        let field = &self.schema.fields()[index];
        if field.primary && self.keys == KeySource::Generated {
            return Ok(());
        }
        if let Some(default) = &field.default {
            self.bytes += append_default(&mut self.columns[index], field, row, default)?;
            return self.check_size();
        }
        if field.function_output {
            return Ok(());
        }
        if field.nullable {
            self.columns[index].append_null(field);
            // A null takes as much room as a number, and one of a dense vector as much as a vector.
            self.bytes += 8 + field.dim.filter(|_| field.data_type.is_dense()).unwrap_or(0) * 4;
            return self.check_size();
        }
        let reason = if field.data_type.is_vector() {
            format!(
                "missing vector field: {}: invalid parameter[expected={}][actual=]",
                field.name, field.data_type
            )
        } else {
            format!("the field has no value: expected {}", field.data_type)
        };
        Err(invalid(field, row, reason))
    }

    fn check_size(&self) -> Result<()> {
        if self.bytes <= limits::MAX_BATCH_BYTES {
            return Ok(());
        }
        Err(EngineError::invalid(format!(
            "a batch holds at most {} bytes of values",
            limits::MAX_BATCH_BYTES
        )))
    }
}

/// Fills the columns that functions compute; returns their size in bytes.
fn compute(schema: &Schema, columns: &mut [Option<ArrayRef>]) -> Result<usize> {
    let mut bytes = 0;
    for function in schema.functions() {
        let missing = || EngineError::Internal(format!("function {} without its fields", function.name));
        let input = schema.column_of(&function.input).ok_or_else(missing)?;
        let output = schema.column_of(&function.output).ok_or_else(missing)?;
        let (_, field) = schema.field(&function.input).ok_or_else(missing)?;
        let analyzer = schema.analyzer(field)?;
        let texts = columns.get(input).and_then(Option::as_ref).and_then(|c| c.as_string_opt::<i32>());
        let texts = texts.ok_or_else(missing)?;
        let mut terms = BinaryBuilder::new();
        for text in texts {
            let counts = term_counts(&analyzer, text.unwrap_or_default())?.into_bytes();
            bytes += counts.len() + 4;
            terms.append_value(counts);
        }
        let place = columns.get_mut(output).ok_or_else(missing)?;
        *place = Some(Arc::new(terms.finish()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::types::Int64Type;

    use super::*;

    fn schema(auto: bool) -> Arc<Schema> {
        let fields = vec![
            Field::new("id", DataType::Int64).primary(auto),
            Field::new("v", DataType::FloatVector).dim(2),
            Field::new("small", DataType::Int8).nullable(),
            Field::new("name", DataType::VarChar).max_length(3).nullable(),
        ];
        Arc::new(Schema::new(fields, true, "").unwrap())
    }

    fn vector(builder: &mut BatchBuilder, values: &[f32]) -> Result<()> {
        builder.set_vector(1, |m| {
            m.extend_from_slice(values);
            Ok(())
        })
    }

    #[test]
    fn builds_columns_with_nulls_dynamic_keys_and_generated_ids() {
        let mut b = BatchBuilder::new(&schema(true), KeySource::Generated);
        vector(&mut b, &[1.0, 2.0]).unwrap();
        b.set_dynamic("a\"b", "[1,2]").unwrap();
        b.set_dynamic("c", "null").unwrap();
        b.end_row().unwrap();
        vector(&mut b, &[3.0, 4.0]).unwrap();
        b.set(2, Value::Int(-128)).unwrap();
        b.end_row().unwrap();
        let chunk = b.finish().unwrap().into_chunk(7, 0).unwrap();
        assert_eq!(chunk.vectors, [vec![1.0, 2.0, 3.0, 4.0]]);
        assert_eq!(chunk.scalars.column(0).as_primitive::<Int64Type>().values(), &[7, 8]);
        assert!(chunk.scalars.column(1).is_null(0) && !chunk.scalars.column(1).is_null(1));
        assert_eq!(chunk.scalars.column(3).as_string::<i32>().value(0), r#"{"a\"b":[1,2],"c":null}"#);
        assert_eq!(chunk.scalars.column(3).as_string::<i32>().value(1), "{}");
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let fresh = || BatchBuilder::new(&schema(false), KeySource::Given);
        assert!(fresh().set(2, Value::Int(128)).unwrap_err().to_string().contains("[-128, 127]"));
        assert!(
            fresh().set(2, Value::Text("1")).unwrap_err().to_string().contains("expected Int8, got string")
        );
        assert!(fresh().set(3, Value::Text("éé")).unwrap_err().to_string().contains("max length: 3"));
        assert!(vector(&mut fresh(), &[1.0]).unwrap_err().to_string().contains("size 1 doesn't equal"));
        assert!(vector(&mut fresh(), &[1.0, f32::NAN]).unwrap_err().to_string().contains("not a number"));
        assert!(vector(&mut fresh(), &[1.0, f32::INFINITY]).is_err());
        assert!(fresh().set_dynamic("$meta", "1").is_err());
        assert!(fresh().set_dynamic("k", &"1".repeat(70_000)).is_err());
        let mut twice = fresh();
        twice.set(0, Value::Int(1)).unwrap();
        assert!(twice.set(0, Value::Int(1)).unwrap_err().to_string().contains("twice"));
        let mut no_vector = fresh();
        no_vector.set(0, Value::Int(1)).unwrap();
        assert!(no_vector.end_row().unwrap_err().to_string().contains("missing vector field: v"));
        let mut given = BatchBuilder::new(&schema(true), KeySource::Generated);
        assert!(given.set(0, Value::Int(1)).unwrap_err().to_string().contains("autoID"));
    }

    #[test]
    fn defaults_fill_absent_values() {
        let mut field = Field::new("n", DataType::Int32);
        field.default = Some(serde_json::json!(41));
        let fields = vec![
            Field::new("id", DataType::VarChar).max_length(9).primary(false),
            Field::new("v", DataType::FloatVector).dim(2),
            field,
        ];
        let schema = Arc::new(Schema::new(fields, false, "").unwrap());
        let mut b = BatchBuilder::new(&schema, KeySource::Given);
        b.set(0, Value::Text("a")).unwrap();
        vector(&mut b, &[0.0, 0.0]).unwrap();
        b.end_row().unwrap();
        let chunk = b.finish().unwrap().into_chunk(0, 0).unwrap();
        assert_eq!(chunk.scalars.column(1).as_primitive::<arrow_array::types::Int32Type>().value(0), 41);
    }
}
