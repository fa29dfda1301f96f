//! Recall against speed, beside Faiss, hnswlib and usearch: the same data, the same machine, one run, contenders in
//! alternation. `benches/peers/install` and `benches/peers/data.py` make what it needs.
//!
//! ```sh
//! benches/peers/install /tmp/elanus-peers
//! /tmp/elanus-peers/bin/python benches/peers/data.py /tmp/elanus-bench sift100k
//! cargo run --release -p elanus-benches --bin ann -- --data /tmp/elanus-bench --set sift100k --peers /tmp/elanus-peers/bin/python
//! ```
#![allow(clippy::print_stdout, reason = "a benchmark's product is what it prints")]

mod contender;
mod curve;
mod elanus;
mod memory;
mod peers;
mod report;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use elanus_benches::Result;

#[derive(Parser, Debug)]
#[command(about = "Recall against speed, beside the best peers")]
struct Options {
    /// Folder of the data sets.
    #[arg(long)]
    data: PathBuf,
    /// Data set: sift100k, vgg100k, minilm100k or sift1m.
    #[arg(long, default_value = "sift100k")]
    set: String,
    /// The Python of the peers' environment; without it, Elanus alone is measured.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Parts to measure: flat, ivf, hnsw, filter.
    #[arg(long, value_delimiter = ',', default_value = "flat,ivf,hnsw,filter")]
    parts: Vec<String>,
    /// Peers' libraries for graphs.
    #[arg(long, value_delimiter = ',', default_value = "fhnsw,hnswlib,us_f32,us_f16,us_i8")]
    graphs: Vec<String>,
    /// Rounds of each measurement; medians are reported.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Threads.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// Efforts to try in place of the usual ones.
    #[arg(long, value_delimiter = ',')]
    efforts: Vec<usize>,
    /// Folder for the JSON file and the pictures.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run::run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ann: {error}");
            ExitCode::FAILURE
        }
    }
}
