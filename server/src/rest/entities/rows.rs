//! Rows of an insert or upsert: from the raw JSON array straight into a [`BatchBuilder`], value by value, no tree in
//! between: the body has been read once, and is only walked here. A wrong row refuses the whole request; nothing of it is stored.

mod typed;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use axum::http::StatusCode;
use elanus_engine::EngineError;
use elanus_engine::row::moment::Zone;
use elanus_engine::row::{Batch, BatchBuilder, Key, KeySource, Value};
use elanus_engine::schema::{DYNAMIC_FIELD, DataType, Schema};
use serde_json::value::RawValue;

use super::operations;
use super::scalar::{self, Scalar};
use super::vector;
use crate::body::bad_json;
use crate::error::{ApiError, code};
use crate::service::json;
use crate::service::partial::{ROWS_AT_ONCE, Source, Stored};
use crate::service::stored_json;

/// What a request does with its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Write {
    /// Adds them; the collection may give out the keys.
    Insert,
    /// Adds them with the keys that they carry, also where the collection gives them out.
    InsertWithKeys,
    /// Replaces by key: every row carries one, and no two rows the same.
    Upsert,
}

/// Reads the array of rows. With a source of stored rows, fields that are left out stay as they are, and rows stay in their
/// partitions.
///
/// # Errors
/// 1801 when it is no array of objects, 1804 when a row does not fit the schema, 1100 for keys that must not be there.
pub(super) fn read(
    schema: &Arc<Schema>,
    write: Write,
    zone: &Zone,
    data: &RawValue,
    source: Option<&Source<'_>>,
) -> Result<Batch, ApiError> {
    let mut reader = Reader::new(schema, write, zone, source);
    let mut rows = json::elements(data.get()).ok_or_else(|| bad_json("expected data as an array of rows"))?;
    match source {
        None => rows.try_for_each(|row| reader.row(row))?,
        Some(source) => loop {
            let some: Vec<&str> = rows.by_ref().take(ROWS_AT_ONCE).collect();
            if some.is_empty() {
                break;
            }
            reader.stored = Some(operations::stored(source, schema, &some)?);
            some.into_iter().enumerate().try_for_each(|(position, row)| reader.changed_row(position, row))?;
        },
    }
    if reader.builder.rows() == 0 {
        return Err(refused_rows("no rows are given: invalid parameter"));
    }
    let batch = reader.builder.finish()?;
    Ok(if source.is_some() { batch.in_partitions(reader.partitions)? } else { batch })
}

/// 1804 in Milvus's words.
fn refused_rows(reason: impl fmt::Display) -> ApiError {
    let message = format!("fail to deal the insert data, error: {reason}");
    ApiError::new(code::BAD_ROWS, StatusCode::BAD_REQUEST, message)
}

/// State from row to row.
pub(crate) struct Reader<'s> {
    builder: BatchBuilder,
    /// Rows of the same source in earlier batches: rows are counted over all of them.
    before: usize,
    /// Whether `$meta` may hold the undeclared keys, as it does in files.
    takes_meta: bool,
    positions: HashMap<String, usize>,
    write: Write,
    zone: Zone,
    /// Where stored rows are read that the rows change.
    source: Option<&'s Source<'s>>,
    /// Some of them.
    stored: Option<Stored>,
    /// The stored row that the row under construction changes.
    base: Option<usize>,
    /// Numbers of the partitions that changed rows are in.
    partitions: Vec<i32>,
    /// Keys of the fields that the row under construction has carried, with null too.
    seen: Vec<bool>,
    /// Undeclared keys of the row under construction.
    undeclared: HashSet<String>,
    /// Primary keys of all rows of an upsert.
    keys: HashSet<Key>,
}

impl<'s> Reader<'s> {
    fn new(schema: &Arc<Schema>, write: Write, zone: &Zone, source: Option<&'s Source<'s>>) -> Self {
        let generated = write == Write::Insert && schema.primary().auto_id;
        let keys = if generated { KeySource::Generated } else { KeySource::Given };
        let positions = schema.fields().iter().enumerate().map(|(i, f)| (f.name.clone(), i)).collect();
        Self {
            builder: BatchBuilder::new(schema, keys),
            before: 0,
            takes_meta: false,
            positions,
            write,
            zone: zone.clone(),
            source,
            stored: None,
            base: None,
            partitions: Vec::new(),
            seen: vec![false; schema.fields().len()],
            undeclared: HashSet::new(),
            keys: HashSet::new(),
        }
    }

    /// Reads one row that changes a stored one, if there is one with its key; by its position among those that were read.
    fn changed_row(&mut self, position: usize, row: &str) -> Result<(), ApiError> {
        self.base = self.stored.as_ref().and_then(|stored| stored.base(position));
        let place = self.stored.as_ref().zip(self.base);
        self.partitions.push(place.map_or(0, |(stored, base)| stored.partition(base)));
        self.row(row)
    }

    /// Reads one row, the text of a valid JSON value.
    ///
    /// # Errors
    /// As [`read`].
    pub(crate) fn row(&mut self, row: &str) -> Result<(), ApiError> {
        let members = json::members(row).ok_or_else(|| bad_json("expected a row as an object"))?;
        for (key, value) in members {
            let key = key.ok_or_else(|| bad_json("a key of a row is no text"))?;
            match self.positions.get(key.as_ref()).copied() {
                Some(position) if self.is_dense(position) => self.vector(position, value)?,
                Some(position) => self.scalar(position, value)?,
                None => self.undeclared(&key, value)?,
            }
        }
        self.end_row()
    }

    fn is_dense(&self, position: usize) -> bool {
        self.builder.schema().fields().get(position).is_some_and(|f| f.data_type.is_dense())
    }

    fn refuse(&self, field: &str, reason: String) -> ApiError {
        self.told()(EngineError::InvalidRow { field: field.to_owned(), row: self.builder.rows(), reason })
    }

    /// Notes that the row carries this field; twice is a fault.
    fn carry(&mut self, position: usize) -> Result<(), ApiError> {
        match self.seen.get_mut(position) {
            Some(seen) if !*seen => {
                *seen = true;
                Ok(())
            }
            _ => Err(self.refuse(&self.field_name(position), "the key appears twice in the row".into())),
        }
    }

    fn field_name(&self, position: usize) -> String {
        self.builder.schema().fields().get(position).map(|f| f.name.clone()).unwrap_or_default()
    }

    /// Reads a vector into the builder's matrix.
    fn vector(&mut self, position: usize, json: &str) -> Result<(), ApiError> {
        self.carry(position)?;
        let (field, row) = (self.field_name(position), self.builder.rows());
        let data_type =
            self.builder.schema().fields().get(position).map_or(DataType::FloatVector, |f| f.data_type);
        if json == "null" {
            return Ok(());
        }
        let fill = |matrix: &mut Vec<f32>| {
            vector::append_dense(data_type, matrix, json).map_err(|reason| EngineError::InvalidRow {
                field,
                row,
                reason,
            })
        };
        self.builder.set_vector(position, fill).map_err(self.told())
    }

    /// Sets a scalar field of the row under construction.
    fn scalar(&mut self, position: usize, json: &str) -> Result<(), ApiError> {
        self.carry(position)?;
        let schema = Arc::clone(self.builder.schema());
        let Some(field) = schema.fields().get(position) else { return Ok(()) };
        let scalar =
            scalar::read(field, &self.zone, json).map_err(|reason| self.refuse(&field.name, reason))?;
        if scalar == Scalar::Null {
            // The same as absent, also for a key that the collection gives out.
            return Ok(());
        }
        if field.primary {
            self.key(&field.name, field.auto_id, &scalar)?;
        }
        let mut items = Vec::new();
        let value = scalar.value(&mut items);
        if let (Some(stored), Some(base), Value::List(given)) = (&self.stored, self.base, value)
            && let Some(operation) = self.source.and_then(|source| source.operation(&field.name))
            && let Some(combined) = stored.combine(base, &field.name, operation, given)
        {
            return self.builder.set(position, Value::List(&combined)).map_err(self.told());
        }
        self.builder.set(position, value).map_err(self.told())
    }

    /// Checks a primary key against what the request may carry.
    fn key(&mut self, name: &str, auto_id: bool, key: &Scalar<'_>) -> Result<(), ApiError> {
        if self.write != Write::Upsert {
            if auto_id && self.write == Write::Insert {
                let message = format!(
                    "no need to pass pk field({name}) when autoid == true in insert: invalid parameter"
                );
                return Err(ApiError::invalid(message));
            }
            return Ok(());
        }
        let key = match key {
            Scalar::Int(v) => Key::Int(*v),
            Scalar::Text(v) => Key::Text(v.to_string()),
            // Of a wrong kind: the engine says so.
            _ => return Ok(()),
        };
        if self.keys.insert(key) {
            return Ok(());
        }
        Err(ApiError::invalid("duplicate primary keys are not allowed in the same batch: invalid parameter"))
    }

    /// Adds an undeclared key to the row under construction.
    fn undeclared(&mut self, key: &str, json: &str) -> Result<(), ApiError> {
        if self.takes_meta && key == DYNAMIC_FIELD {
            return self.meta(json);
        }
        stored_json::check_json(json).map_err(|reason| self.refuse(key, reason))?;
        // Of a stored row, null takes the key away.
        if self.base.is_none() || json != "null" {
            self.builder.set_dynamic(key, json).map_err(self.told())?;
        }
        if self.undeclared.contains(key) {
            return Err(self.refuse(key, "the key appears twice in the row".into()));
        }
        self.undeclared.insert(key.to_owned());
        Ok(())
    }

    /// Takes what the request has left out from the stored row.
    fn keep_rest(&mut self) -> Result<(), ApiError> {
        let (Some(stored), Some(base)) = (&self.stored, self.base.take()) else { return Ok(()) };
        let schema = Arc::clone(self.builder.schema());
        for (position, field) in schema.fields().iter().enumerate() {
            let left_out = !self.seen.get(position).copied().unwrap_or(true);
            if left_out && !field.primary && !field.function_output {
                stored.keep(base, &mut self.builder, position, &field.name).map_err(self.told())?;
            }
        }
        for (key, value) in stored.undeclared(base) {
            if !self.undeclared.contains(&key) {
                self.builder.set_dynamic(&key, value).map_err(self.told())?;
            }
        }
        Ok(())
    }

    /// Turns an error of the engine into what the client is told. Rows are counted from the first of all batches.
    fn told(&self) -> impl Fn(EngineError) -> ApiError + use<> {
        let before = self.before;
        move |error| match error {
            EngineError::InvalidRow { field, row, reason } => {
                refused_rows(EngineError::InvalidRow { field, row: before + row, reason })
            }
            other => other.into(),
        }
    }

    fn end_row(&mut self) -> Result<(), ApiError> {
        self.keep_rest()?;
        self.seen.fill(false);
        self.undeclared.clear();
        self.builder.end_row().map_err(self.told())
    }
}

/// Whether the first row of a request carries its key.
pub(super) fn carries_keys(schema: &Schema, data: &RawValue) -> bool {
    let first = json::elements(data.get()).and_then(|mut rows| rows.next());
    let mut members = first.and_then(json::members).into_iter().flatten();
    members.any(|(name, value)| name.as_deref() == Some(&schema.primary().name) && value != "null")
}

#[cfg(test)]
mod tests {
    use elanus_engine::schema::Field;

    use super::*;

    fn schema(auto_id: bool, dynamic: bool) -> Arc<Schema> {
        let fields = vec![
            Field::new("id", DataType::Int64).primary(auto_id),
            Field::new("v", DataType::FloatVector).dim(2),
            Field::new("name", DataType::VarChar).max_length(4).nullable(),
        ];
        Arc::new(Schema::new(fields, dynamic, "").unwrap())
    }

    fn insert(text: &str) -> Result<Batch, ApiError> {
        read(&schema(false, true), Write::Insert, &Zone::utc(), serde_json::from_str(text).unwrap(), None)
    }

    fn refused(text: &str) -> (i32, String) {
        let error = insert(text).unwrap_err();
        (error.code, error.message)
    }

    #[test]
    fn rows_become_a_batch() {
        let batch =
            insert(r#"[{"id":1,"v":[1,2]},{"v":[3,4.5],"name":"a","id":"2","x":{"y":[1]}}]"#).unwrap();
        assert_eq!((batch.rows(), batch.needs_keys()), (2, false));
        let auto = read(
            &schema(true, false),
            Write::Insert,
            &Zone::utc(),
            serde_json::from_str(r#"[{"v":[1,2],"id":null}]"#).unwrap(),
            None,
        );
        assert!(auto.unwrap().needs_keys());
    }

    #[test]
    fn what_is_no_array_of_objects_is_1801() {
        for text in [r#"{"id":1}"#, "3", r#""[]""#, "[1]", "[[]]", r#"[{"id":1,"v":[1,2]},null]"#] {
            assert_eq!(refused(text).0, 1801, "{text}");
        }
    }

    #[test]
    fn rows_that_do_not_fit_are_1804() {
        for (text, words) in [
            ("[]", "no rows"),
            (r#"[{"id":1}]"#, "missing vector field: v"),
            (r#"[{"v":[1,2]}]"#, "id"),
            (r#"[{"id":1,"v":[1]}]"#, "size 1 doesn't equal to vector dimension 2"),
            (r#"[{"id":1,"v":"[1,2]"}]"#, "a vector as an array of numbers"),
            (r#"[{"id":1,"v":[1,null]}]"#, "null"),
            (r#"[{"id":1,"v":[1,1e39]}]"#, "out of range"),
            (r#"[{"id":1,"v":null}]"#, "v"),
            (r#"[{"id":1.5,"v":[1,2]}]"#, "cannot use 1.5 as Int64"),
            (r#"[{"id":18446744073709551616,"v":[1,2]}]"#, "Int64"),
            (r#"[{"id":1,"v":[1,2],"name":"toolong"}]"#, "max length"),
            (r#"[{"id":1,"v":[1,2],"name":null,"name":"a"}]"#, "twice"),
            (r#"[{"id":1,"v":[1,2],"v":[1,2]}]"#, "twice"),
            (r#"[{"id":1,"v":[1,2],"x":1,"x":2}]"#, "twice"),
            (r#"[{"id":1,"v":[1,2],"$meta":{}}]"#, "$meta"),
            (r#"[{"id":1,"v":[1,2],"x":"\ud800"}]"#, "cannot store"),
        ] {
            let (code, message) = refused(text);
            assert!(code == 1804 && message.contains(words), "{text}: {code} {message}");
            assert!(message.starts_with("fail to deal the insert data, error: "), "{message}");
        }
        let closed = read(
            &schema(false, false),
            Write::Insert,
            &Zone::utc(),
            serde_json::from_str(r#"[{"id":1,"v":[1,2],"x":1}]"#).unwrap(),
            None,
        );
        assert!(closed.unwrap_err().message.contains("has pass more field without dynamic schema"));
    }

    #[test]
    fn keys_are_given_where_they_must_be_and_only_there() {
        let row = r#"[{"id":1,"v":[1,2]},{"id":"1","v":[1,2]}]"#;
        let raw = || serde_json::from_str(row).unwrap();
        insert(row).unwrap();
        let error = read(&schema(true, true), Write::Insert, &Zone::utc(), raw(), None).unwrap_err();
        assert!(error.code == 1100 && error.message.contains("autoid"), "{}", error.message);
        let error = read(&schema(true, true), Write::Upsert, &Zone::utc(), raw(), None).unwrap_err();
        assert!(error.code == 1100 && error.message.contains("duplicate primary keys"), "{}", error.message);
    }
}
