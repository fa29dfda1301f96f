//! How long one search takes while nothing else happens, and while rows are inserted at full rate and sealed, deleted
//! and compacted.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use elanus_engine::row::Keys;
use elanus_engine::{Collection, EngineOptions};

use crate::{Result, data};

const DIM: usize = 128;
const SEARCHES: usize = 1000;
const BATCH: i64 = 1000;

pub(crate) fn measure(dir: &Path, rows: usize) -> Result<()> {
    let pool = data::floats(5, DIM * 50_000);
    let options = EngineOptions { seal_bytes: 16 << 20, ..EngineOptions::default() };
    let (engine, collection) = data::open(dir, DIM, options)?;
    data::fill(&collection, rows, &pool)?;
    searches(&collection, SEARCHES / 10)?;
    let idle = searches(&collection, SEARCHES)?;
    let stop = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    let before = collection.stats().compaction.finished;
    let (busy, seconds) = std::thread::scope(|scope| -> Result<(Vec<f64>, f64)> {
        // New rows come and old ones go, so that the collection stays as large as it was.
        let writer = scope.spawn(|| -> Result<()> {
            let mut key = rows as i64;
            while !stop.load(Ordering::Relaxed) {
                collection.insert(data::batch(&collection.schema(), key..key + BATCH, &pool)?)?;
                let old = key - rows as i64;
                collection.delete_keys(Keys::Int((old..old + BATCH).collect()))?;
                key += BATCH;
                written.fetch_add(BATCH as u64, Ordering::Relaxed);
            }
            Ok(())
        });
        let started = Instant::now();
        let busy = searches(&collection, SEARCHES);
        let seconds = started.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap_or_else(|_| Err("the writer panicked".into()))?;
        Ok((busy?, seconds))
    })?;
    let compactions = collection.stats().compaction.finished - before;
    let rate = written.load(Ordering::Relaxed) as f64 / seconds;
    let (idle99, busy99) = (data::quantile(&idle, 0.99), data::quantile(&busy, 0.99));
    println!(
        "search over {rows} x {DIM}, idle: median {:.2} ms, p99 {idle99:.2} ms",
        data::quantile(&idle, 0.5)
    );
    println!(
        "while {rate:.0} rows/s come and as many go ({compactions} compactions): median {:.2} ms, p99 {busy99:.2} ms ({:.1} x)",
        data::quantile(&busy, 0.5),
        busy99 / idle99
    );
    engine.close();
    Ok(())
}

/// Milliseconds of each of so many searches, sorted.
fn searches(collection: &Collection, count: usize) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(count);
    for seed in 0..count {
        let request = data::search(collection, DIM, seed as u64 + 100)?;
        let started = Instant::now();
        collection.search(&request)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}
