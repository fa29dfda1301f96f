//! Inserts in process: 512 floats a row, 1,000 rows a batch, each batch synced before it is acknowledged.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use elanus_engine::EngineOptions;

use crate::{Result, data, disk};

const DIM: usize = 512;
const BATCH: usize = 1000;

/// How often disk and engine take turns: disks are not equally fast at all times.
const ROUNDS: usize = 5;

pub(crate) fn measure(dir: &Path, rows: usize, seal_bytes: usize) -> Result<()> {
    let pool = data::floats(1, DIM * BATCH * 4);
    for writers in [1, 4] {
        let mut shares = Vec::new();
        for round in 0..ROUNDS {
            let (sequential, synced) = (disk::sequential(dir)?, disk::synced(dir)?);
            let (acknowledged, sealed) = ingest(&dir.join("data"), rows / 4, writers, seal_bytes, &pool)?;
            let share = 100.0 * acknowledged / sequential;
            println!(
                "ingest {} x {DIM}, {writers} writers, round {round}: {acknowledged:.0} MB/s acknowledged, {sealed:.0} MB/s until all is in segment files; \
                 the disk: {sequential:.0} MB/s in one write, {synced:.0} MB/s synced every 2 MiB: {share:.0} %",
                rows / 4
            );
            shares.push(share);
        }
        shares.sort_by(f64::total_cmp);
        println!("  median {:.0} % of one write of the disk", data::quantile(&shares, 0.5));
    }
    Ok(())
}

/// MB/s of vectors until the last batch is acknowledged, and until all rows are in segment files.
fn ingest(folder: &Path, rows: usize, writers: usize, seal_bytes: usize, pool: &[f32]) -> Result<(f64, f64)> {
    let (engine, collection) =
        data::open(folder, DIM, EngineOptions { seal_bytes, ..EngineOptions::default() })?;
    let next = AtomicUsize::new(0);
    let started = Instant::now();
    let written: Result<Vec<()>> = std::thread::scope(|scope| {
        let write = || -> Result<()> {
            loop {
                let start = next.fetch_add(BATCH, Ordering::Relaxed);
                if start >= rows {
                    return Ok(());
                }
                let keys = (start..start + BATCH).map(|i| i as i64);
                collection.insert(data::batch(&collection.schema(), keys, pool)?)?;
            }
        };
        let threads: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err("a writer panicked".into()))).collect()
    });
    written?;
    let acknowledged = started.elapsed().as_secs_f64();
    collection.flush()?;
    let sealed = started.elapsed().as_secs_f64();
    let megabytes = (collection.count() as usize * DIM * 4) as f64 / 1e6;
    engine.close();
    drop((collection, engine));
    std::fs::remove_dir_all(folder)?;
    Ok((megabytes / acknowledged, megabytes / sealed))
}
