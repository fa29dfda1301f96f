//! What an upsert of some fields says of them, and which stored rows its rows change.

use std::collections::HashSet;

use elanus_engine::schema::Schema;

use super::keys;
use crate::body::{Object, bad_json};
use crate::error::ApiError;
use crate::rest::spec;
use crate::service::json;
use crate::service::partial::{Needed, Operation, Operations, Source, Stored};

/// Reads `fieldOps`.
///
/// # Errors
/// 1100 for an unknown operation.
pub(super) fn read(body: &Object<'_>) -> Result<Operations, ApiError> {
    let mut operations = Operations::default();
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
        operations.add(name, operation)?;
    }
    Ok(operations)
}

/// Reads what some rows of a request, JSON objects, leave out.
///
/// # Errors
/// 1801 for what is no row, 1806 for a key that can be none, 1100 when the stored rows hold too much.
pub(super) fn stored(source: &Source<'_>, schema: &Schema, rows: &[&str]) -> Result<Stored, ApiError> {
    let key_field = schema.primary();
    let mut keys = Vec::with_capacity(rows.len());
    let mut needed = Needed::new(schema, &source.operations);
    for row in rows {
        let members = json::members(row).ok_or_else(|| bad_json("expected a row as an object"))?;
        let mut key = None;
        let mut carried = HashSet::new();
        for (name, value) in members {
            let Some(name) = name else { continue };
            if name == key_field.name.as_str() && key.is_none() {
                key = Some(keys::read_one(key_field, value)?);
            }
            carried.insert(name);
        }
        needed.add(|field| carried.contains(field.name.as_str()));
        keys.push(key);
    }
    source.read(schema, &keys, &needed)
}
