//! What Milvus's REST API costs here: inserts in bytes of JSON for each second of the server's processor time, the round
//! trip of a search that has next to nothing to search, and searches of many connections at once against recall.
//! Requests are made before, and sent over plain sockets, so that as little as may be of the client is measured.
//!
//! ```sh
//! cargo run --release -p elanus-benches --bin rest                                                # inserts, round trip
//! cargo run --release -p elanus-benches --bin rest -- --data /tmp/elanus-bench --set vgg100k      # and searches
//! ```
#![allow(clippy::print_stdout, reason = "a benchmark's product is what it prints")]

mod insert;
mod round_trip;
mod search;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use elanus_benches::Result;
use elanus_benches::data::DataSet;
use elanus_benches::program::Program;

#[derive(Parser, Debug)]
#[command(about = "What the REST API costs")]
struct Options {
    /// Another build of the program to measure; without it, this one.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Folder of the data sets that benches/peers/data.py makes; without it, searches are left out.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Data set: sift100k, vgg100k, minilm100k or sift1m.
    #[arg(long, default_value = "vgg100k")]
    set: String,
    /// Connections that search at once.
    #[arg(long, value_delimiter = ',', default_value = "1,4,16")]
    clients: Vec<usize>,
    /// Efforts (`ef`) to try; the first that reaches 0.95 and the first that reaches 0.99 are measured.
    #[arg(long, value_delimiter = ',', default_value = "10,16,24,32,48,64,96,128,192,256,384,512")]
    efforts: Vec<usize>,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == "serve") {
        return elanus_server::run(std::env::args_os());
    }
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rest: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = options.program.clone().map_or_else(std::env::current_exe, Ok)?;
    let server = Program::start(&program, folder.path(), &[])?;
    insert::measure(&server)?;
    round_trip::measure(&server)?;
    if let Some(data) = &options.data {
        search::measure(&server, &DataSet::read(data, &options.set)?, options)?;
    }
    Ok(())
}
