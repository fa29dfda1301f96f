//! Building a batch from rows of any order of keys, checked value by value against the schema. A failed row fails the
//! batch: nothing of it reaches a collection. The finished batch is columns, ready for the log and for a segment.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Float32Builder, Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder,
    StringBuilder,
};
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use super::value::Value;
use crate::error::{EngineError, Result};
use crate::limits;
use crate::schema::{DYNAMIC_FIELD, DataType, Field, Schema};

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
    /// Scalar columns in schema order; the key's slot is empty when keys are generated. The dynamic column is last.
    scalars: Vec<Option<ArrayRef>>,
    vectors: Vec<Vec<f32>>,
    rows: usize,
    bytes: usize,
}

/// Complete columns of some rows: what the log records and segments are made of.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// All scalar columns, by [`Schema::arrow`].
    pub scalars: RecordBatch,
    /// One row-major matrix for each vector field, in schema order.
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

    /// Completes the columns; generated keys count up from `first_id`.
    pub(crate) fn into_chunk(self, first_id: i64) -> Result<Chunk> {
        let generated = |field: &Field| -> ArrayRef {
            let ids = first_id..first_id.saturating_add(self.rows as i64);
            match field.data_type {
                DataType::VarChar => Arc::new(StringArray::from_iter_values(ids.map(|i| i.to_string()))),
                _ => Arc::new(Int64Array::from_iter_values(ids)),
            }
        };
        let key = self.schema.primary();
        let columns = self.scalars.iter().map(|c| c.clone().unwrap_or_else(|| generated(key))).collect();
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

#[derive(Debug)]
enum Column {
    Bool(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Text(StringBuilder),
    Vector(Vec<f32>),
}

impl BatchBuilder {
    /// An empty builder for rows of `schema`.
    pub fn new(schema: &Arc<Schema>, keys: KeySource) -> Self {
        let columns = schema.fields().iter().map(|f| Column::new(f.data_type)).collect();
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
        let (Some(Column::Vector(matrix)), Some(dim)) = (self.columns.get_mut(field), definition.dim) else {
            return Err(invalid(definition, row, format!("expected {}, got a vector", definition.data_type)));
        };
        let start = matrix.len();
        fill(matrix)?;
        let added = matrix.get(start..).unwrap_or_default();
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
        self.bytes += dim * 4;
        self.check_size()
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
    pub fn finish(self) -> Batch {
        let mut scalars = Vec::new();
        let mut vectors = Vec::new();
        for (field, column) in self.schema.fields().iter().zip(self.columns) {
            match column.finish() {
                Finished::Vector(matrix) => vectors.push(matrix),
                Finished::Scalar(_) if field.primary && self.keys == KeySource::Generated => {
                    scalars.push(None)
                }
                Finished::Scalar(array) => scalars.push(Some(array)),
            }
        }
        if self.schema.dynamic() {
            let mut dynamic = self.dynamic;
            scalars.push(Some(Arc::new(dynamic.finish())));
        }
        Batch { schema: self.schema, scalars, vectors, rows: self.rows, bytes: self.bytes }
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
            let text;
            let value = match default {
                serde_json::Value::Bool(b) => Value::Bool(*b),
                serde_json::Value::String(s) => Value::Text(s),
                serde_json::Value::Number(n) => {
                    n.as_i64().map_or(Value::Float(n.as_f64().unwrap_or(f64::NAN)), Value::Int)
                }
                other => {
                    text = other.to_string();
                    Value::Text(&text)
                }
            };
            self.bytes += self.columns[index].append(field, row, value)?;
            return Ok(());
        }
        if field.nullable {
            self.columns[index].append_null();
            // A null takes as much room as a number.
            self.bytes += 8;
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

enum Finished {
    Scalar(ArrayRef),
    Vector(Vec<f32>),
}

impl Column {
    fn new(data_type: DataType) -> Self {
        match data_type {
            DataType::Bool => Self::Bool(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::Float => Self::Float(Float32Builder::new()),
            DataType::Double => Self::Double(Float64Builder::new()),
            DataType::VarChar | DataType::Json => Self::Text(StringBuilder::new()),
            DataType::FloatVector => Self::Vector(Vec::new()),
        }
    }

    /// Appends one value after checking it; returns its size in bytes.
    fn append(&mut self, field: &Field, row: usize, value: Value<'_>) -> Result<usize> {
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
            Self::Vector(_) => Err(wrong_kind(field, row, value)),
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Bool(b) => b.append_null(),
            Self::Int8(b) => b.append_null(),
            Self::Int16(b) => b.append_null(),
            Self::Int32(b) => b.append_null(),
            Self::Int64(b) => b.append_null(),
            Self::Float(b) => b.append_null(),
            Self::Double(b) => b.append_null(),
            Self::Text(b) => b.append_null(),
            Self::Vector(_) => debug_assert!(false, "vectors are not nullable"),
        }
    }

    fn finish(self) -> Finished {
        Finished::Scalar(match self {
            Self::Bool(mut b) => Arc::new(b.finish()),
            Self::Int8(mut b) => Arc::new(b.finish()),
            Self::Int16(mut b) => Arc::new(b.finish()),
            Self::Int32(mut b) => Arc::new(b.finish()),
            Self::Int64(mut b) => Arc::new(b.finish()),
            Self::Float(mut b) => Arc::new(b.finish()),
            Self::Double(mut b) => Arc::new(b.finish()),
            Self::Text(mut b) => Arc::new(b.finish()),
            Self::Vector(matrix) => return Finished::Vector(matrix),
        })
    }
}

fn invalid(field: &Field, row: usize, reason: String) -> EngineError {
    EngineError::InvalidRow { field: field.name.clone(), row, reason }
}

fn wrong_kind(field: &Field, row: usize, value: Value<'_>) -> EngineError {
    invalid(field, row, format!("expected {}, got {}", field.data_type, value.kind()))
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

#[cfg(test)]
mod tests {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
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
        let chunk = b.finish().into_chunk(7).unwrap();
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
        let chunk = b.finish().into_chunk(0).unwrap();
        assert_eq!(chunk.scalars.column(1).as_primitive::<arrow_array::types::Int32Type>().value(0), 41);
    }
}
