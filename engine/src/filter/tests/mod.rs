//! Tests of the filter as a whole: the grammar and its errors by tables, the meaning against a naive interpreter.

mod arrays;
mod language;
mod oracle;
mod restrict;
mod templates;
mod text;
mod times;

use std::sync::Arc;

use arrow_array::RecordBatch;
use serde_json::{Map, Value, json};

use super::{Filter, FilterOptions, TemplateValue};
use crate::error::EngineError;
use crate::exec::Cancel;
use crate::row::moment::{self, Zone};
use crate::row::{self, BatchBuilder, KeySource};
use crate::schema::{DataType, Field, Schema};

/// A row: declared fields and dynamic keys by name.
type Row = Map<String, Value>;

/// One field of every type, all nullable but the key.
fn fields() -> Vec<Field> {
    let array = |name: &str, elements| Field::new(name, DataType::Array).elements(elements, 100).nullable();
    let mut words = Field::new("words", DataType::VarChar).max_length(1000).nullable();
    for param in ["enable_analyzer", "enable_match"] {
        words.params.insert(param.to_owned(), "true".to_owned());
    }
    vec![
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
        Field::new("bits", DataType::BinaryVector).dim(8).nullable(),
        Field::new("sparse", DataType::SparseFloatVector).nullable(),
        Field::new("at", DataType::Timestamptz).nullable(),
        words,
        array("tags", DataType::Int64),
        array("tinies", DataType::Int8),
        array("singles", DataType::Float),
        array("doubles", DataType::Double),
        array("names", DataType::VarChar).max_length(100),
        array("marks", DataType::Bool),
    ]
}

pub(super) fn schema(dynamic: bool) -> Arc<Schema> {
    Arc::new(Schema::new(fields(), dynamic, "").unwrap())
}

fn scalar(value: &Value, data_type: DataType) -> row::Value<'_> {
    match value {
        Value::Null => row::Value::Null,
        Value::Bool(b) => row::Value::Bool(*b),
        Value::Number(n) => {
            n.as_i64().map_or_else(|| row::Value::Float(n.as_f64().unwrap()), row::Value::Int)
        }
        Value::String(s) if data_type == DataType::Timestamptz => {
            row::Value::Int(moment::parse(s, &Zone::utc()).unwrap())
        }
        Value::String(s) => row::Value::Text(s),
        other => panic!("no scalar: {other}"),
    }
}

fn set(builder: &mut BatchBuilder, index: usize, field: &Field, value: &Value) {
    let result = match (field.data_type, value) {
        // Null means that the row has no JSON value at all.
        (DataType::Json, value) if !value.is_null() => {
            builder.set(index, row::Value::Text(&value.to_string()))
        }
        (_, Value::Array(items)) => {
            let element_type = field.element_type.unwrap();
            let items: Vec<_> = items.iter().map(|item| scalar(item, element_type)).collect();
            builder.set(index, row::Value::List(&items))
        }
        (data_type, value) => builder.set(index, scalar(value, data_type)),
    };
    result.unwrap();
}

/// The rows as the columns that filters are evaluated on.
fn columns(schema: &Arc<Schema>, rows: &[Row]) -> RecordBatch {
    let mut builder = BatchBuilder::new(schema, KeySource::Given);
    for row in rows {
        for (name, value) in row {
            match schema.field(name) {
                None => builder.set_dynamic(name, &value.to_string()).unwrap(),
                Some((index, field)) => set(&mut builder, index, field, value),
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

/// Rows from a JSON array of objects.
fn rows(values: &Value) -> Vec<Row> {
    values.as_array().unwrap().iter().map(|row| row.as_object().unwrap().clone()).collect()
}

/// Options with templates from a JSON object, and a zone.
fn options(templates: &Value, zone: &str) -> FilterOptions {
    let templates = templates.as_object().unwrap().iter();
    FilterOptions {
        templates: templates
            .map(|(name, value)| (name.clone(), TemplateValue::from_json(&value.to_string()).unwrap()))
            .collect(),
        timezone: Zone::named(zone).unwrap(),
        ..FilterOptions::default()
    }
}

/// Positions (from 1) of the rows that match.
fn matching_with(rows: &[Row], expression: &str, options: &FilterOptions) -> Vec<usize> {
    let schema = schema(true);
    let filter = Filter::compile_with(expression, &schema, options);
    let filter = filter.unwrap_or_else(|e| panic!("{expression}: {e}"));
    let bits = filter.evaluate(&columns(&schema, rows)).unwrap();
    assert_eq!(bits.len(), rows.len());
    bits.set_indices().map(|i| i + 1).collect()
}

#[track_caller]
fn check_on(rows: &[Row], cases: &[(&str, &[usize])]) {
    for (expression, expected) in cases {
        assert_eq!(&matching_with(rows, expression, &FilterOptions::default()), expected, "{expression}");
    }
}

fn refusal_with(expression: &str, dynamic: bool, options: &FilterOptions) -> String {
    match Filter::compile_with(expression, &schema(dynamic), options) {
        Err(EngineError::InvalidFilter { reason, .. }) => reason,
        Ok(_) => panic!("{expression}: compiles"),
        Err(other) => panic!("{expression}: {other}"),
    }
}

#[track_caller]
fn check_refused(cases: &[(&str, &str)]) {
    for (expression, words) in cases {
        let reason = refusal_with(expression, true, &FilterOptions::default());
        assert!(reason.contains(words), "{expression}: {reason}");
    }
}

#[test]
fn a_cancelled_filter_gives_no_answer_however_it_was_narrowed() {
    let (schema, cancel) = (schema(true), Cancel::default());
    let options = FilterOptions { cancel: Some(cancel.clone()), ..FilterOptions::default() };
    let rows = columns(&schema, &rows(&json!([{"id": 1}, {"id": 2}])));
    let filter = Filter::compile_with("id > 1", &schema, &options).unwrap();
    let other = Filter::compile("id < 9", &schema).unwrap();
    let narrowed = [filter.clone(), filter.unsampled(), filter.clone().and(other.clone()), other.and(filter)];
    assert!(narrowed.iter().all(|filter| filter.evaluate(&rows).is_ok()));
    cancel.cancel();
    for filter in narrowed {
        assert!(matches!(filter.evaluate(&rows), Err(EngineError::Cancelled)), "{}", filter.expression());
    }
}
