//! Collecting the columns of an answer from the segments that hold its rows, in the order of the answer.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, new_empty_array};
use arrow_select::interleave::interleave;

use super::RowAddress;
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::row::{ColumnData, DynamicKeys, OutputColumn, Projection, Rows};
use crate::schema::{DYNAMIC_FIELD, Field, Schema};

/// Columns of `rows`, in that order.
pub(crate) fn gather(
    snapshot: &Snapshot,
    schema: &Schema,
    projection: &Projection,
    rows: &[RowAddress],
) -> Result<Rows> {
    let mut columns = Vec::with_capacity(projection.fields.len());
    for &index in &projection.fields {
        let field =
            schema.fields().get(index).ok_or_else(|| EngineError::Internal(format!("field {index}")))?;
        let data = if field.data_type.is_vector() {
            gather_vectors(snapshot, schema, field, rows)?
        } else {
            ColumnData::Scalar(gather_scalars(snapshot, schema, &field.name, rows)?)
        };
        let (name, data_type, primary) = (field.name.clone(), field.data_type, field.primary);
        columns.push(OutputColumn { name, data_type, primary, data });
    }
    let dynamic = match &projection.dynamic {
        DynamicKeys::None => None,
        _ => Some(gather_scalars(snapshot, schema, DYNAMIC_FIELD, rows)?),
    };
    Ok(Rows { columns, dynamic, dynamic_keys: projection.dynamic.clone(), len: rows.len() })
}

pub(super) fn gather_scalars(
    snapshot: &Snapshot,
    schema: &Schema,
    name: &str,
    rows: &[RowAddress],
) -> Result<ArrayRef> {
    let arrow = schema.arrow();
    let (index, field) =
        arrow.column_with_name(name).ok_or_else(|| EngineError::FieldNotFound { name: name.to_owned() })?;
    if rows.is_empty() {
        return Ok(new_empty_array(field.data_type()));
    }
    let arrays: Vec<&dyn Array> =
        snapshot.views().iter().map(|v| v.segment.scalars().column(index).as_ref()).collect();
    let indices: Vec<(usize, usize)> = rows.iter().map(|r| (r.view as usize, r.row as usize)).collect();
    interleave(&arrays, &indices).map_err(|e| EngineError::arrow(&e))
}

fn gather_vectors(
    snapshot: &Snapshot,
    schema: &Schema,
    field: &Field,
    rows: &[RowAddress],
) -> Result<ColumnData> {
    let internal = || EngineError::Internal(format!("no vectors of field {}", field.name));
    let position = schema.vector_fields().position(|f| f.name == field.name).ok_or_else(internal)?;
    let dim = field.dim.unwrap_or(0);
    let mut values = Vec::with_capacity(rows.len() * dim);
    for address in rows {
        let view = snapshot.views().get(address.view as usize).ok_or_else(internal)?;
        let column = view.segment.vectors(position).ok_or_else(internal)?;
        values.extend_from_slice(column.row(address.row as usize));
    }
    Ok(ColumnData::Vector { dim, values })
}

/// The position of a vector field among the vector fields.
pub(crate) fn vector_position(schema: &Arc<Schema>, name: &str) -> Result<(usize, usize)> {
    schema
        .vector_fields()
        .enumerate()
        .find(|(_, field)| field.name == name)
        .map(|(position, field)| (position, field.dim.unwrap_or(0)))
        .ok_or_else(|| EngineError::FieldNotFound { name: name.to_owned() })
}
