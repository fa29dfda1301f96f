//! From the start of a process to the answer of its first search, over 1,000,000 rows of 128 floats.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use elanus_engine::EngineOptions;

use crate::{Result, data};

const DIM: usize = 128;

pub(crate) fn measure(dir: &Path, rows: usize) -> Result<()> {
    let (engine, collection) = data::open(dir, DIM, EngineOptions::default())?;
    data::fill(&collection, rows, &data::floats(2, DIM * 50_000))?;
    engine.close();
    drop((collection, engine));
    for round in 0..3 {
        let started = Instant::now();
        let output =
            Command::new(std::env::current_exe()?).args(["--open-child", "--dir"]).arg(dir).output()?;
        let whole = started.elapsed().as_secs_f64() * 1e3;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        }
        print!("open {rows} x {DIM}, round {round}: {}", String::from_utf8_lossy(&output.stdout));
        println!("  the whole process: {whole:.0} ms");
    }
    Ok(())
}

/// In the process that is measured.
pub(crate) fn child(dir: &Path) -> Result<()> {
    let started = Instant::now();
    let (engine, collection) = data::open(dir, DIM, EngineOptions::default())?;
    let opened = started.elapsed().as_secs_f64() * 1e3;
    let request = data::search(&collection, DIM, 3)?;
    collection.search(&request)?;
    let searched = started.elapsed().as_secs_f64() * 1e3;
    let touched = (collection.count() as usize * (DIM * 4 + 8)) as f64 / 1e6;
    let resident = resident()?;
    println!(
        "open after {opened:.0} ms, first search answered after {searched:.0} ms; resident {resident:.0} MB, rows searched {touched:.0} MB ({:.2} x)",
        resident / touched
    );
    engine.close();
    Ok(())
}

/// Resident memory of this process in MB.
pub(crate) fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}
