//! What storage costs: ingest beside what the disk can do, opening a large collection, changes by key, and how searches
//! feel while everything else goes on.
//!
//! ```sh
//! cargo run --release -p elanus-benches --bin storage -- --dir <folder on the disk to measure>
//! cargo run --release -p elanus-benches --bin storage -- --dir <folder> --only ingest
//! ```
#![allow(clippy::print_stdout, reason = "a benchmark's product is what it prints")]

mod data;
mod disk;
mod ingest;
mod keys;
mod latency;
mod open;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Inserts in process, every batch synced, beside the disk.
    Ingest,
    /// Start of a process until its first search.
    Open,
    /// Deletes and upserts by key.
    Keys,
    /// Searches while rows are inserted, sealed and compacted.
    Latency,
}

#[derive(Parser, Debug)]
#[command(about = "What storage costs")]
struct Options {
    /// Folder on the disk to measure; what is made there is removed again.
    #[arg(long)]
    dir: PathBuf,
    /// One part only.
    #[arg(long)]
    only: Option<Part>,
    /// Rows, as a share of the full size.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Rows in memory become files at so many MiB.
    #[arg(long, default_value_t = 64)]
    seal_mib: usize,
    /// Used by the program itself: opens this data directory, searches once, prints what that took.
    #[arg(long, hide = true)]
    open_child: bool,
}

/// Errors are for the person at the terminal.
type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    let options = Options::parse();
    let done = if options.open_child { open::child(&options.dir) } else { run(&options) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("storage: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let rows = |full: usize| ((full as f64 * options.scale) as usize).max(10_000);
    let wanted = |part| options.only.is_none_or(|only| only == part);
    let measure = |part, measure: &dyn Fn(&Path) -> Result<()>| -> Result<()> {
        if !wanted(part) {
            return Ok(());
        }
        let folder = tempfile::Builder::new().prefix("elanus-bench-").tempdir_in(&options.dir)?;
        measure(folder.path())
    };
    measure(Part::Ingest, &|dir| ingest::measure(dir, rows(1_000_000), options.seal_mib << 20))?;
    measure(Part::Open, &|dir| open::measure(dir, rows(1_000_000)))?;
    measure(Part::Keys, &|dir| keys::measure(dir, rows(1_000_000)))?;
    measure(Part::Latency, &|dir| latency::measure(dir, rows(400_000)))
}
