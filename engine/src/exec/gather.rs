//! Collecting the columns of an answer from the segments that hold its rows, in the order of the answer.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, new_empty_array};
use arrow_select::interleave::interleave;

use super::RowAddress;
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::limits::MAX_ANSWER_BYTES;
use crate::row::{ColumnData, DynamicKeys, OutputColumn, Projection, Rows};
use crate::schema::{DYNAMIC_FIELD, Field, PARTITION_COLUMN, Schema};

/// Columns of `rows`, in that order.
///
/// # Errors
/// `SchemaChanged` when a field is gone since the projection was made; `InvalidParameter` for an answer too large.
pub(crate) fn gather(snapshot: &Snapshot, projection: &Projection, rows: &[RowAddress]) -> Result<Rows> {
    let mut columns = Vec::with_capacity(projection.fields.len());
    let schema = snapshot.schema();
    check_size(snapshot, projection, rows)?;
    for &id in &projection.fields {
        let field = schema.fields().iter().find(|field| field.id == id).ok_or(EngineError::SchemaChanged)?;
        let data = if field.data_type.is_dense() {
            gather_vectors(snapshot, field, rows)?
        } else {
            ColumnData::Scalar(gather_scalars(snapshot, &field.name, rows)?)
        };
        columns.push(OutputColumn {
            name: field.name.clone(),
            data_type: field.data_type,
            element_type: field.element_type,
            primary: field.primary,
            data,
        });
    }
    let dynamic = match &projection.dynamic {
        DynamicKeys::None => None,
        _ => Some(gather_scalars(snapshot, DYNAMIC_FIELD, rows)?),
    };
    let partitions = match schema.hidden_column(PARTITION_COLUMN).filter(|_| projection.partitions) {
        Some(column) => {
            let numbers = gather_column(snapshot, column, rows)?;
            numbers.as_primitive_opt::<Int32Type>().map(|numbers| numbers.values().to_vec())
        }
        None => None,
    };
    let dynamic_keys = projection.dynamic.clone();
    Ok(Rows { columns, dynamic, dynamic_keys, partitions, len: rows.len() })
}

/// Refuses an answer that would take too much memory, before anything is copied.
fn check_size(snapshot: &Snapshot, projection: &Projection, rows: &[RowAddress]) -> Result<()> {
    let schema = snapshot.schema();
    let mut bytes = 0usize;
    let mut add = |more: usize| {
        bytes = bytes.saturating_add(more);
        if bytes <= MAX_ANSWER_BYTES {
            return Ok(());
        }
        Err(EngineError::AnswerTooLarge { limit: MAX_ANSWER_BYTES })
    };
    let names = schema.fields().iter().filter(|field| projection.fields.contains(&field.id));
    for field in names.clone().filter(|field| field.data_type.is_dense()) {
        add(rows.len().saturating_mul(field.dim.unwrap_or(0) * size_of::<f32>()))?;
    }
    let columns = names.filter(|field| !field.data_type.is_dense()).map(|field| field.name.as_str());
    let dynamic = (projection.dynamic != DynamicKeys::None).then_some(DYNAMIC_FIELD);
    for name in columns.chain(dynamic) {
        let Ok(column) = schema.arrow().index_of(name) else { continue };
        for part in rows.chunks(1024) {
            let sizes = part.iter().filter_map(|address| {
                let view = snapshot.views().get(address.view as usize)?;
                Some(value_bytes(view.segment.scalars().columns().get(column)?, address.row as usize))
            });
            add(sizes.sum())?;
        }
    }
    Ok(())
}

/// Bytes of one value, about.
fn value_bytes(column: &ArrayRef, row: usize) -> usize {
    use arrow_schema::DataType as A;
    match column.data_type() {
        A::Utf8 => column.as_string::<i32>().value_length(row) as usize + 4,
        A::Binary => column.as_binary::<i32>().value_length(row) as usize + 4,
        A::FixedSizeBinary(width) => usize::try_from(*width).unwrap_or(0),
        A::List(_) => {
            let list = column.as_list::<i32>();
            let ends = list.value_offsets();
            elements_bytes(list.values(), ends[row] as usize, ends[row + 1] as usize) + 4
        }
        _ => 8,
    }
}

/// Bytes of some neighbouring elements of arrays. (What Arrow says of mapped buffers is the length of their file.)
fn elements_bytes(elements: &ArrayRef, start: usize, end: usize) -> usize {
    match elements.as_string_opt::<i32>() {
        Some(texts) => {
            let ends = texts.value_offsets();
            (ends[end] - ends[start]) as usize + (end - start) * 4
        }
        None => (end - start) * elements.data_type().primitive_width().unwrap_or(1),
    }
}

fn gather_scalars(snapshot: &Snapshot, name: &str, rows: &[RowAddress]) -> Result<ArrayRef> {
    let arrow = snapshot.schema().arrow();
    let index = arrow.index_of(name).map_err(|_| EngineError::FieldNotFound { name: name.to_owned() })?;
    gather_column(snapshot, index, rows)
}

/// Values of the column at a position in [`Schema::arrow`](crate::schema::Schema::arrow), nulls among them.
fn gather_column(snapshot: &Snapshot, index: usize, rows: &[RowAddress]) -> Result<ArrayRef> {
    let arrow = snapshot.schema().arrow();
    let field = arrow.field(index);
    if rows.is_empty() {
        return Ok(new_empty_array(field.data_type()));
    }
    let arrays: Vec<&dyn Array> =
        snapshot.views().iter().map(|v| v.segment.scalars().column(index).as_ref()).collect();
    let indices: Vec<(usize, usize)> = rows.iter().map(|r| (r.view as usize, r.row as usize)).collect();
    interleave(&arrays, &indices).map_err(|e| EngineError::arrow(&e))
}

fn gather_vectors(snapshot: &Snapshot, field: &Field, rows: &[RowAddress]) -> Result<ColumnData> {
    let internal = || EngineError::Internal(format!("no vectors of field {}", field.name));
    let place = vector_place(snapshot.schema(), &field.name)?;
    let dim = field.dim.unwrap_or(0);
    let mut values = Vec::with_capacity(rows.len() * dim);
    for address in rows {
        let view = snapshot.views().get(address.view as usize).ok_or_else(internal)?;
        let column = view.segment.vectors(place.position).ok_or_else(internal)?;
        values.extend_from_slice(column.row(address.row as usize));
    }
    let present = match place.presence {
        Some(column) => gather_column(snapshot, column, rows)?.as_boolean_opt().cloned(),
        None => None,
    };
    Ok(ColumnData::Vector { dim, values, present })
}

/// A vector field and where its values lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VectorPlace<'a> {
    pub(crate) field: &'a Field,
    /// Of a dense field: its position among those. Of another: that of its column.
    pub(crate) position: usize,
    /// The column that says which rows have a vector, if that is optional.
    pub(crate) presence: Option<usize>,
}

/// Where the vectors of a field lie.
pub(crate) fn vector_place<'a>(schema: &'a Schema, name: &str) -> Result<VectorPlace<'a>> {
    let unknown = || EngineError::FieldNotFound { name: name.to_owned() };
    let (_, field) = schema.field(name).filter(|(_, f)| f.data_type.is_vector()).ok_or_else(unknown)?;
    let position = if field.data_type.is_dense() {
        schema.dense_fields().position(|f| f.id == field.id)
    } else {
        schema.column_of(name)
    };
    let position = position.ok_or_else(unknown)?;
    Ok(VectorPlace { field, position, presence: schema.presence_column(field) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::builder::{BooleanBuilder, Int64Builder, ListBuilder, StringBuilder};
    use arrow_array::{ListArray, StringArray};
    use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};

    use super::*;

    #[test]
    fn arrays_are_as_large_as_their_elements() {
        let mut texts = ListBuilder::new(StringBuilder::new());
        texts.append_value([Some("abc"), Some("de")]);
        texts.append_value([None::<&str>; 0]);
        let texts: ArrayRef = Arc::new(texts.finish());
        assert_eq!((value_bytes(&texts, 0), value_bytes(&texts, 1)), (5 + 8 + 4, 4));
        let mut numbers = ListBuilder::new(Int64Builder::new());
        numbers.append_value([Some(1), Some(2), Some(3)]);
        let numbers: ArrayRef = Arc::new(numbers.finish());
        assert_eq!(value_bytes(&numbers, 0), 3 * 8 + 4);
        let mut truths = ListBuilder::new(BooleanBuilder::new());
        truths.append_value([Some(true), Some(false)]);
        let truths: ArrayRef = Arc::new(truths.finish());
        assert_eq!(value_bytes(&truths, 0), 2 + 4);
    }

    #[test]
    fn arrays_of_a_mapped_file_are_not_as_large_as_the_file() {
        // As in a segment: the buffers of two short values are windows onto a large file.
        let file = Buffer::from(vec![b'a'; 1 << 20]);
        let ends = OffsetBuffer::new(ScalarBuffer::from(vec![0, 1, 2]));
        let texts = StringArray::new(ends.clone(), file.slice_with_length(0, 2), None);
        let item = Arc::new(arrow_schema::Field::new("item", texts.data_type().clone(), false));
        let lists: ArrayRef = Arc::new(ListArray::new(item, ends, Arc::new(texts), None));
        assert_eq!(value_bytes(&lists, 0), 1 + 4 + 4);
        assert!(lists.as_list::<i32>().values().get_buffer_memory_size() >= 1 << 20);
    }
}
