//! Tests of the filter as a whole: the grammar and its errors by tables, the meaning against a naive interpreter.

mod language;
mod oracle;

use std::sync::Arc;

use arrow_array::RecordBatch;
use serde_json::{Map, Value};

use crate::row::{self, BatchBuilder, KeySource};
use crate::schema::{DataType, Field, Schema};

/// A row: declared fields and dynamic keys by name.
type Row = Map<String, Value>;

/// One field of every type, all nullable but the key; dynamic keys allowed.
fn schema(dynamic: bool) -> Arc<Schema> {
    let fields = vec![
        Field::new("id", DataType::Int64).primary(false),
        Field::new("flag", DataType::Bool).nullable(),
        Field::new("vec", DataType::FloatVector).dim(2),
        Field::new("tiny", DataType::Int8).nullable(),
        Field::new("small", DataType::Int16).nullable(),
        Field::new("width", DataType::Int32).nullable(),
        Field::new("age", DataType::Int64).nullable(),
        Field::new("score", DataType::Float).nullable(),
        Field::new("ratio", DataType::Double).nullable(),
        Field::new("name", DataType::VarChar).max_length(100).nullable(),
        Field::new("j", DataType::Json).nullable(),
    ];
    Arc::new(Schema::new(fields, dynamic, "").unwrap())
}

fn scalar(value: &Value) -> row::Value<'_> {
    match value {
        Value::Null => row::Value::Null,
        Value::Bool(b) => row::Value::Bool(*b),
        Value::Number(n) => {
            n.as_i64().map_or_else(|| row::Value::Float(n.as_f64().unwrap()), row::Value::Int)
        }
        Value::String(s) => row::Value::Text(s),
        other => panic!("no scalar: {other}"),
    }
}

/// The rows as the columns that filters are evaluated on.
fn columns(schema: &Arc<Schema>, rows: &[Row]) -> RecordBatch {
    let mut builder = BatchBuilder::new(schema, KeySource::Given);
    for row in rows {
        for (name, value) in row {
            match schema.field(name) {
                None => builder.set_dynamic(name, &value.to_string()).unwrap(),
                Some((index, field)) if field.data_type == DataType::Json => {
                    // Null means that the row has no JSON value at all.
                    let text = value.to_string();
                    let value = if value.is_null() { row::Value::Null } else { row::Value::Text(&text) };
                    builder.set(index, value).unwrap();
                }
                Some((index, _)) => builder.set(index, scalar(value)).unwrap(),
            }
        }
        let (vector, _) = schema.field("vec").unwrap();
        builder
            .set_vector(vector, |values| {
                values.extend([0.0, 0.0]);
                Ok(())
            })
            .unwrap();
        builder.end_row().unwrap();
    }
    builder.finish().unwrap().into_chunk(0, 0).unwrap().scalars
}
