//! What the disk does by itself: the peer of every ingest.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::Result;

const PIECE: usize = 2 << 20;
const PIECES: usize = 512;
/// Bytes that differ from each other, as those of an ingest: one piece over and over would come from the processor's
/// cache.
const SOURCE: usize = 256 << 20;

/// MB/s of one long write, synced at its end.
pub(crate) fn sequential(dir: &Path) -> Result<f64> {
    write(dir, false)
}

/// MB/s of the same in pieces of 2 MiB, each synced.
pub(crate) fn synced(dir: &Path) -> Result<f64> {
    write(dir, true)
}

fn write(dir: &Path, each: bool) -> Result<f64> {
    let path = dir.join("raw");
    let source: Vec<u8> = (0..SOURCE).map(|i| (i * 31 % 251) as u8).collect();
    let mut file = File::create(&path)?;
    let started = Instant::now();
    for piece in source.chunks_exact(PIECE).cycle().take(PIECES) {
        file.write_all(piece)?;
        if each {
            file.sync_data()?;
        }
    }
    file.sync_data()?;
    let seconds = started.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok((PIECE * PIECES) as f64 / 1e6 / seconds)
}
