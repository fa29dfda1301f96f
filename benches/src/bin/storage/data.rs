//! Collections and rows for the measurements.

use std::path::Path;
use std::sync::Arc;

use elanus_engine::row::{Batch, BatchBuilder, KeySource, Projection, Value};
use elanus_engine::schema::{DataType, Field, Schema};
use elanus_engine::{Collection, Definition, Engine, EngineOptions, Metric, SearchRequest};
use elanus_storage::data_dir;

use crate::Result;

/// Opens an engine and its one collection, made if it is not there.
pub(crate) fn open(dir: &Path, dim: usize, options: EngineOptions) -> Result<(Arc<Engine>, Arc<Collection>)> {
    let engine = Engine::open(data_dir::open(dir)?, options)?;
    let fields = vec![
        Field::new("id", DataType::Int64).primary(false),
        Field::new("vector", DataType::FloatVector).dim(dim),
    ];
    let definition = Definition::new("bench", Schema::new(fields, false, "")?).index("vector", Metric::L2);
    let collection = engine.create(definition)?;
    Ok((engine, collection))
}

/// Floats in -1..1 from a number: xorshift, fast enough not to be what is measured.
pub(crate) fn floats(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// A batch of rows with these keys; their vectors are taken from `pool`, row-major, over and over.
pub(crate) fn batch(schema: &Arc<Schema>, keys: impl Iterator<Item = i64>, pool: &[f32]) -> Result<Batch> {
    let dim = schema.vector_fields().next().and_then(|f| f.dim).unwrap_or(1);
    let mut builder = BatchBuilder::new(schema, KeySource::Given);
    let mut rows = pool.chunks_exact(dim).cycle();
    for key in keys {
        builder.set(0, Value::Int(key))?;
        let row = rows.next().unwrap_or_default();
        builder.set_vector(1, |matrix| {
            matrix.extend_from_slice(row);
            Ok(())
        })?;
        builder.end_row()?;
    }
    Ok(builder.finish()?)
}

/// Fills a collection with keys `0..rows` and makes all of it files.
pub(crate) fn fill(collection: &Collection, rows: usize, pool: &[f32]) -> Result<()> {
    for start in (0..rows).step_by(10_000) {
        let end = (start + 10_000).min(rows);
        collection.insert(batch(&collection.schema(), (start..end).map(|i| i as i64), pool)?)?;
    }
    Ok(collection.flush()?)
}

/// A search for the 10 nearest rows to a vector made from `seed`.
pub(crate) fn search(collection: &Collection, dim: usize, seed: u64) -> Result<SearchRequest> {
    let projection = Projection::resolve::<&str>(&collection.schema(), &[])?;
    Ok(SearchRequest::new("vector", floats(seed, dim), 10, projection))
}

/// The value below which `share` of the sorted values lie.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(f64::NAN)
}
