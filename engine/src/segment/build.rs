//! Making one segment's columns out of the live rows of several. Used when small chunks in memory are joined and when
//! they are sealed into files.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow_select::concat::concat;
use arrow_select::take::take;

use super::SegmentView;
use crate::error::{EngineError, Result};
use crate::row::Chunk;
use crate::schema::Schema;

/// Numbers of the live rows of a view, ascending.
pub(crate) fn live_rows(view: &SegmentView) -> impl Iterator<Item = u32> + '_ {
    let mut dead = view.deleted.iter().peekable();
    (0..view.segment.rows() as u32).filter(move |&row| {
        if dead.peek() == Some(&row) {
            dead.next();
            false
        } else {
            true
        }
    })
}

/// Columns of all live rows of `views`, in order.
pub(crate) fn merge(schema: &Arc<Schema>, views: &[SegmentView]) -> Result<Chunk> {
    let rows: usize = views.iter().map(SegmentView::live).sum();
    let mut vectors: Vec<Vec<f32>> =
        schema.dense_fields().map(|f| Vec::with_capacity(rows * f.dim.unwrap_or(0))).collect();
    for view in views {
        for (index, matrix) in vectors.iter_mut().enumerate() {
            let Some(column) = view.segment.vectors(index) else { continue };
            if view.deleted.is_empty() {
                matrix.extend_from_slice(column.values());
            } else {
                live_rows(view).for_each(|row| matrix.extend_from_slice(column.row(row as usize)));
            }
        }
    }
    Ok(Chunk { scalars: merge_scalars(schema, views)?, vectors })
}

/// Scalar columns of all live rows of `views`, in order. One column is copied after the other.
pub(crate) fn merge_scalars(schema: &Arc<Schema>, views: &[SegmentView]) -> Result<RecordBatch> {
    let arrow = schema.arrow();
    let rows: Vec<Option<UInt32Array>> = views
        .iter()
        .map(|view| (!view.deleted.is_empty()).then(|| UInt32Array::from_iter_values(live_rows(view))))
        .collect();
    let mut columns = Vec::with_capacity(arrow.fields().len());
    for index in 0..arrow.fields().len() {
        let parts: Result<Vec<ArrayRef>> = views
            .iter()
            .zip(&rows)
            .map(|(view, rows)| {
                let column = view.segment.scalars().column(index);
                let live = rows.as_ref().map(|rows| take(column, rows, None)).transpose();
                live.map(|live| live.unwrap_or_else(|| Arc::clone(column)))
                    .map_err(|e| EngineError::arrow(&e))
            })
            .collect();
        let parts = parts?;
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        columns.push(concat(&parts).map_err(|e| EngineError::arrow(&e))?);
    }
    RecordBatch::try_new(arrow, columns).map_err(|e| EngineError::arrow(&e))
}
