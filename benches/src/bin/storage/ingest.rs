//! Inserts in process: 512 floats a row, 1,000 rows a batch, each batch synced before it is acknowledged.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use elanus_engine::EngineOptions;

use crate::{Result, data, disk};

const DIM: usize = 512;
const BATCH: usize = 1000;

pub(crate) fn measure(dir: &Path, rows: usize) -> Result<()> {
    let (sequential, synced) = (disk::sequential(dir)?, disk::synced(dir)?);
    println!("disk: {sequential:.0} MB/s in one write, {synced:.0} MB/s synced every 2 MiB");
    let pool = data::floats(1, DIM * BATCH * 4);
    for writers in [1, 4] {
        let folder = dir.join(format!("data-{writers}"));
        let (engine, collection) = data::open(&folder, DIM, EngineOptions::default())?;
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
                    collection.insert(data::batch(collection.schema(), keys, &pool)?)?;
                }
            };
            let threads: Vec<_> = (0..writers).map(|_| scope.spawn(write)).collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|_| Err("a writer panicked".into())))
                .collect()
        });
        written?;
        let acknowledged = started.elapsed().as_secs_f64();
        collection.flush()?;
        let sealed = started.elapsed().as_secs_f64();
        let megabytes = (collection.count() as usize * DIM * 4) as f64 / 1e6;
        println!(
            "ingest {} x {DIM}, {writers} writers: {:.0} MB/s acknowledged ({:.0} % of one write, {:.0} rows/s), {:.0} MB/s until all is in segment files",
            collection.count(),
            megabytes / acknowledged,
            100.0 * megabytes / acknowledged / sequential,
            collection.count() as f64 / acknowledged,
            megabytes / sealed,
        );
        engine.close();
        drop((collection, engine));
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(())
}
