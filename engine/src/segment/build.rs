//! Making one segment's columns out of the live rows of several. Used when small chunks in memory are joined and when
//! they are sealed into files.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use arrow_select::concat::concat_batches;
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
    let mut batches = Vec::with_capacity(views.len());
    let rows: usize = views.iter().map(SegmentView::live).sum();
    let mut vectors: Vec<Vec<f32>> =
        schema.vector_fields().map(|f| Vec::with_capacity(rows * f.dim.unwrap_or(0))).collect();
    for view in views {
        batches.push(live_scalars(view)?);
        for (index, matrix) in vectors.iter_mut().enumerate() {
            let Some(column) = view.segment.vectors(index) else { continue };
            if view.deleted.is_empty() {
                matrix.extend_from_slice(column.values());
            } else {
                live_rows(view).for_each(|row| matrix.extend_from_slice(column.row(row as usize)));
            }
        }
    }
    let scalars = concat_batches(&schema.arrow(), &batches).map_err(|e| EngineError::arrow(&e))?;
    Ok(Chunk { scalars, vectors })
}

fn live_scalars(view: &SegmentView) -> Result<RecordBatch> {
    let scalars = view.segment.scalars();
    if view.deleted.is_empty() {
        return Ok(scalars.clone());
    }
    let rows = UInt32Array::from_iter_values(live_rows(view));
    let columns: Result<Vec<ArrayRef>> =
        scalars.columns().iter().map(|c| take(c, &rows, None).map_err(|e| EngineError::arrow(&e))).collect();
    RecordBatch::try_new(scalars.schema(), columns?).map_err(|e| EngineError::arrow(&e))
}
