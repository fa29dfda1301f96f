//! Rows that were stored under an earlier schema, seen through the present one. A field is known by its number, so that
//! a field that was dropped never comes back under a new field of the same name.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};

use super::{ID_KEY, Schema};
use crate::error::{EngineError, Result};
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
    let stored = batch.schema();
    let mut by_id = HashMap::new();
    for (position, field) in stored.fields().iter().enumerate() {
        // Files of the first version name fields only; their numbers are those of the order of declaration.
        let id = field.metadata().get(ID_KEY).cloned().or_else(|| schema.id_of(field.name()));
        by_id.extend(id.map(|id| (id, position)));
    }
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

/// A column of a field that the rows were stored without.
fn absent(schema: &Schema, wanted: &arrow_schema::Field, rows: usize) -> Result<ArrayRef> {
    if let Some((_, field)) = schema.field(wanted.name())
        && !field.data_type.is_dense()
        && let Some(default) = &field.default
    {
        return constant_column(field, default, rows);
    }
    if wanted.is_nullable() {
        return Ok(new_null_array(wanted.data_type(), rows));
    }
    super::hidden_value(schema, wanted.name(), rows)
        .filter(|column| column.data_type() == wanted.data_type())
        .ok_or_else(|| EngineError::Internal(format!("column {} is missing", wanted.name())))
}
