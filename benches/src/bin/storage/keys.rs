//! Deletes and upserts of 100,000 keys in a collection of 1,000,000 rows of 128 floats.

use std::path::Path;
use std::time::Instant;

use elanus_engine::EngineOptions;
use elanus_engine::row::Keys;

use crate::{Result, data};

const DIM: usize = 128;
const CHANGED: i64 = 100_000;
const BATCH: usize = 10_000;

pub(crate) fn measure(dir: &Path, rows: usize) -> Result<()> {
    let pool = data::floats(4, DIM * 50_000);
    let (engine, collection) = data::open(dir, DIM, EngineOptions::default())?;
    data::fill(&collection, rows, &pool)?;
    // Spread over all segments, in no order.
    let stride = 7_919;
    let keys: Vec<i64> = (0..CHANGED).map(|i| i * stride % rows as i64).collect();
    let batches: Result<Vec<_>> = keys
        .chunks(BATCH)
        .map(|part| data::batch(&collection.schema(), part.iter().copied(), &pool))
        .collect();
    let started = Instant::now();
    for batch in batches? {
        collection.upsert(batch)?;
    }
    let upserts = keys.len() as f64 / started.elapsed().as_secs_f64();
    let started = Instant::now();
    for part in keys.chunks(BATCH) {
        collection.delete_keys(Keys::Int(part.to_vec()))?;
    }
    let deletes = keys.len() as f64 / started.elapsed().as_secs_f64();
    println!(
        "keys: {} of {rows} rows x {DIM}: {upserts:.0} upserts/s, {deletes:.0} deletes/s, batches of {BATCH}",
        keys.len()
    );
    engine.close();
    Ok(())
}
