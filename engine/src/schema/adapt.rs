//! Rows that were stored under an earlier schema, seen through the present one. A field is known by its number, so that
//! a field that was dropped never comes back under a new field of the same name.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};

use super::{Field, ID_KEY, Schema};
use crate::error::{EngineError, Result};
use crate::limits;
use crate::row::constant_column;

/// The columns of `batch` in the layout of `schema`: fields that it lacks get their default or null, others are left out.
///
/// # Errors
/// `Internal` when a column has another type than its field, or a field without default that may not be null is not there.
pub(crate) fn adapt(batch: &RecordBatch, schema: &Schema) -> Result<RecordBatch> {
    let wanted = schema.arrow();
    if batch.schema() == wanted {
        return Ok(batch.clone());
    }
    let by_id = positions(&batch.schema(), schema);
    let rows = batch.num_rows();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(wanted.fields().len());
    for field in wanted.fields() {
        let found = field.metadata().get(ID_KEY).and_then(|id| by_id.get(id));
        let column = match found {
            Some(&position) => Arc::clone(batch.column(position)),
            None => absent(schema, field, rows)?,
        };
        if column.data_type() != field.data_type() || !field.is_nullable() && column.null_count() > 0 {
            return Err(EngineError::Internal(format!("column {} does not fit the schema", field.name())));
        }
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(wanted, columns, &options).map_err(|e| EngineError::arrow(&e))
}

/// Positions of stored columns by the numbers of their fields.
fn positions(stored: &arrow_schema::Schema, schema: &Schema) -> HashMap<String, usize> {
    // Files of the first version name fields only; their numbers are those of the order of declaration.
    let id = |field: &arrow_schema::Field| {
        field.metadata().get(ID_KEY).cloned().or_else(|| schema.id_of(field.name()))
    };
    stored.fields().iter().zip(0..).filter_map(|(field, position)| Some((id(field)?, position))).collect()
}

/// Fields that so many rows were stored without, with the bytes of the columns that [`adapt`] makes for them: those lie in
/// memory for as long as the rows do.
fn added<'s>(
    stored: &arrow_schema::Schema,
    schema: &'s Schema,
    rows: u64,
) -> impl Iterator<Item = (&'s Field, u64)> {
    let by_id = positions(stored, schema);
    let new = schema.column_fields().filter(move |field| !by_id.contains_key(&field.id.to_string()));
    new.map(move |field| (field, value_bytes(field).saturating_mul(rows)))
}

/// Bytes of all of them.
pub(crate) fn added_bytes(stored: &arrow_schema::Schema, schema: &Schema, rows: u64) -> u64 {
    added(stored, schema, rows).fold(0, |sum, (_, bytes)| sum.saturating_add(bytes))
}

/// The same before they are added.
///
/// # Errors
/// `InvalidParameter` when one would take more than [`limits::MAX_DEFAULT_BYTES`].
pub(crate) fn check_added(stored: &arrow_schema::Schema, schema: &Schema, rows: u64) -> Result<u64> {
    let most = limits::MAX_DEFAULT_BYTES;
    match added(stored, schema, rows).find(|(_, bytes)| *bytes > most) {
        None => Ok(added_bytes(stored, schema, rows)),
        Some((field, bytes)) => Err(EngineError::invalid(format!(
            "field {} would take {bytes} bytes in the {rows} rows that are there, at most {most} are allowed: add it with \
             a shorter default, or without one, and upsert the values",
            field.name
        ))),
    }
}

/// Bytes of a field in a row that was stored without it.
fn value_bytes(field: &Field) -> u64 {
    use arrow_schema::DataType as A;
    match (&field.default, field.arrow()) {
        (Some(serde_json::Value::String(text)), Some(A::Utf8)) => text.len() as u64 + 4,
        (_, Some(A::FixedSizeBinary(width))) => u64::try_from(width).unwrap_or(0),
        (_, column) => column.and_then(|column| column.primitive_width()).unwrap_or(4) as u64,
    }
}

/// A column of a field that the rows were stored without.
fn absent(schema: &Schema, wanted: &arrow_schema::Field, rows: usize) -> Result<ArrayRef> {
    if let Some((_, field)) = schema.field(wanted.name())
        && !field.data_type.is_dense()
        && let Some(default) = &field.default
    {
        // Arrow counts the bytes of a column of text with 31 bits.
        if value_bytes(field).saturating_mul(rows as u64) > i32::MAX as u64 {
            return Err(EngineError::Internal(format!(
                "the default of {} is too long for {rows} rows",
                field.name
            )));
        }
        return constant_column(field, default, rows);
    }
    if wanted.is_nullable() {
        return Ok(new_null_array(wanted.data_type(), rows));
    }
    super::hidden_value(schema, wanted.name(), rows)
        .filter(|column| column.data_type() == wanted.data_type())
        .ok_or_else(|| EngineError::Internal(format!("column {} is missing", wanted.name())))
}
