//! The copy of a collection, with shorter vectors.

use elanus_embed::Reduction;
use elanus_engine::EngineError;
use elanus_engine::collection::{Collection, Definition};
use elanus_engine::row::{BatchBuilder, KeySource, Rows};

use super::{ImageCollection, JOB_PROPERTY, MODEL_PROPERTY, ReduceJob, ReduceRequest, draft_name, vector};
use crate::images::fields;

/// Rows, and bytes of values, that are stored at a time.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 8 << 20;

/// The same collection with shorter vectors, under the name that it has while it is put together.
///
/// # Errors
/// `InvalidParameter` for a dimension that the field can't have.
pub(super) fn definition(
    source: &ImageCollection,
    reduction: &Reduction,
    request: &ReduceRequest,
    job: &ReduceJob<'_>,
) -> Result<Definition, EngineError> {
    let mut definition = Definition::clone(&source.rows.definition());
    definition.name = draft_name(&job.mark);
    definition.schema = definition.schema.with_dimension(source.layout.vector_name(), request.dimension)?;
    definition.properties.insert(MODEL_PROPERTY.to_owned(), reduction.identity().to_string());
    definition.properties.insert(JOB_PROPERTY.to_owned(), job.mark.clone());
    Ok(definition)
}

/// Copies all rows as they are at one moment, reduced. Where rows live for a time only, it begins anew for the copies.
///
/// # Errors
/// `Cancelled` when the job was stopped; engine and storage errors.
pub(super) fn copy(
    source: &ImageCollection,
    reduction: &Reduction,
    target: &Collection,
    job: &ReduceJob<'_>,
) -> Result<(), EngineError> {
    let projection = fields::whole(&source.rows.schema())?;
    source.rows.scan(&projection, &mut |rows| {
        let mut first = 0;
        while first < rows.len {
            if job.is_stopped() {
                return Err(EngineError::Cancelled);
            }
            let count = copy_part(source, reduction, target, &rows, first)?;
            (job.copied)(count as u64);
            first += count;
        }
        Ok(())
    })
}

/// Copies rows from `first` on until a batch is full; returns how many.
fn copy_part(
    source: &ImageCollection,
    reduction: &Reduction,
    target: &Collection,
    rows: &Rows,
    first: usize,
) -> Result<usize, EngineError> {
    let name = source.layout.vector_name();
    let mut batch = BatchBuilder::new(&target.schema(), KeySource::Given);
    let mut partitions = Vec::new();
    for row in first..rows.len {
        fields::copy_declared(&mut batch, rows, row, &|field| field.name != name)?;
        for (key, value) in &fields::dynamic(rows, row) {
            batch.set_dynamic(key, &value.to_string())?;
        }
        let value = rows.column(name).map(|column| column.value(row));
        if let (Some((field, _)), Some(vector)) =
            (target.schema().field(name), value.as_ref().and_then(vector))
        {
            let key = rows.key(row).map(|key| key.to_key().to_string()).unwrap_or_default();
            let refused = |error| EngineError::InvalidParameter(format!("the photo {key}: {error}"));
            let reduced = reduction.apply(vector).map_err(refused)?;
            batch.set_vector(field, |matrix| {
                matrix.extend(reduced);
                Ok(())
            })?;
        }
        batch.end_row()?;
        partitions.push(rows.partition(row));
        if batch.rows() >= BATCH_ROWS || batch.bytes() >= BATCH_BYTES {
            break;
        }
    }
    let count = partitions.len();
    target.insert(batch.finish()?.in_partitions(partitions)?)?;
    Ok(count)
}
