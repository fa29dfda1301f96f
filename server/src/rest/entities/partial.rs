//! Upserts of some fields only: what the stored rows have is taken for the fields that a request leaves out.

use std::collections::HashMap;

use elanus_engine::row::{BatchBuilder, Key, Keys, OutputValue, Projection, Rows, Value};
use elanus_engine::schema::{DataType, Schema};
use elanus_engine::{Collection, EngineError};
use serde_json::value::RawValue;

use super::keys;
use crate::body::{Object, bad_json};
use crate::error::ApiError;
use crate::rest::json;
use crate::rest::spec;

/// What a request does with the value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    /// Its value takes the place of the stored one.
    Replace,
    /// Its elements are added behind the stored ones.
    Append,
    /// Its elements are taken out of the stored ones.
    Remove,
}

/// The operations of a request, by field.
#[derive(Debug, Default)]
pub(super) struct Operations(HashMap<String, Operation>);

impl Operations {
    /// Reads `fieldOps`.
    ///
    /// # Errors
    /// 1100 for an unknown operation.
    pub(super) fn read(body: &Object<'_>) -> Result<Self, ApiError> {
        let mut operations = HashMap::new();
        for raw in body.array("fieldOps")?.unwrap_or_default() {
            let item = Object::within(&spec::FIELD_OP, raw)?;
            let name = item.required_text("fieldName")?;
            let word: String = item.get_or_default("op")?;
            let operation = match word.to_ascii_uppercase().as_str() {
                "" | "REPLACE" => Operation::Replace,
                "ARRAY_APPEND" => Operation::Append,
                "ARRAY_REMOVE" => Operation::Remove,
                _ => {
                    return Err(ApiError::invalid(format!(
                        "field op can only be [REPLACE, ARRAY_APPEND, ARRAY_REMOVE]: invalid parameter[field={name}][actual={word}]"
                    )));
                }
            };
            if operations.insert(name.clone(), operation).is_some() {
                return Err(ApiError::invalid(format!("field {name} has two field ops: invalid parameter")));
            }
        }
        Ok(Self(operations))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that each is for a field that it can be done on.
    ///
    /// # Errors
    /// 1100 naming the field.
    pub(super) fn check(&self, schema: &Schema) -> Result<(), ApiError> {
        for (name, operation) in &self.0 {
            let (_, field) = schema
                .field(name)
                .ok_or_else(|| ApiError::from(EngineError::FieldNotFound { name: name.clone() }))?;
            if *operation != Operation::Replace && field.data_type != DataType::Array {
                return Err(ApiError::invalid(format!(
                    "array operations need an Array field, {name} is {}: invalid parameter",
                    field.data_type
                )));
            }
        }
        Ok(())
    }
}

/// The stored rows of the keys of a request, with all that they hold.
pub(super) struct Stored {
    rows: Rows,
    by_key: HashMap<Key, usize>,
    operations: Operations,
}

impl Stored {
    /// Reads the rows that a request is going to change.
    ///
    /// # Errors
    /// 1801 and 1806 for rows without a key that can be one.
    pub(super) fn read(
        collection: &Collection,
        schema: &Schema,
        data: &RawValue,
        operations: Operations,
    ) -> Result<Self, ApiError> {
        let field = schema.primary();
        let mut wanted = Keys::empty(field.data_type);
        let rows = json::elements(data.get()).ok_or_else(|| bad_json("expected data as an array of rows"))?;
        for row in rows {
            let mut members = json::members(row).ok_or_else(|| bad_json("expected a row as an object"))?;
            // A row without a key is refused when it is read.
            let Some((_, key)) = members.find(|(name, _)| name.as_deref() == Some(&field.name)) else {
                continue;
            };
            let raw: &RawValue = serde_json::from_str(key).map_err(bad_json)?;
            keys::read(field, raw)?.iter().for_each(|key| wanted.push(key));
        }
        let rows = collection.get(&wanted, &Projection::resolve(schema, &["*"])?)?;
        let by_key = (0..rows.len).filter_map(|row| Some((rows.key(row)?.to_key(), row))).collect();
        Ok(Self { rows, by_key, operations })
    }

    /// The stored row of a key.
    pub(super) fn find(&self, key: &Key) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// Sets a field that the request leaves out.
    pub(super) fn keep(
        &self,
        row: usize,
        builder: &mut BatchBuilder,
        position: usize,
        name: &str,
    ) -> Result<(), EngineError> {
        match self.rows.column(name) {
            Some(column) => builder.set_stored(position, &column.value(row)),
            None => Ok(()),
        }
    }

    /// The undeclared keys of a row, with their raw values.
    pub(super) fn undeclared(&self, row: usize) -> Vec<(String, &str)> {
        let members = self.rows.dynamic_json(row).and_then(json::members);
        members.into_iter().flatten().filter_map(|(key, value)| Some((key?.into_owned(), value))).collect()
    }

    /// The elements that a field gets from those that a request gives.
    pub(super) fn combine<'v>(
        &'v self,
        row: usize,
        name: &str,
        given: &[Value<'v>],
    ) -> Option<Vec<Value<'v>>> {
        let operation = *self.operations.0.get(name)?;
        let before: Vec<Value<'v>> = match self.rows.column(name)?.value(row) {
            OutputValue::List(list) => list.iter().map(|item| item.as_value()).collect(),
            _ => Vec::new(),
        };
        match operation {
            Operation::Replace => None,
            Operation::Append => Some(before.into_iter().chain(given.iter().copied()).collect()),
            Operation::Remove => Some(before.into_iter().filter(|item| !given.contains(item)).collect()),
        }
    }
}
