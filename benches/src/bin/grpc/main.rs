//! What Milvus's gRPC service costs here: inserts in bytes of vectors for each second of the server's processor time, and
//! the round trip of a search that has next to nothing to search. Messages are made before, and sent as they are, so that
//! as little as may be of the client is measured.
//!
//! ```sh
//! cargo run --release -p elanus-benches --bin grpc
//! ```
#![allow(clippy::print_stdout, reason = "a benchmark's product is what it prints")]

mod client;
mod insert;
mod round_trip;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use elanus_benches::Result;
use elanus_benches::program::Program;

#[derive(Parser, Debug)]
#[command(about = "What the gRPC service costs")]
struct Options {
    /// Another build of the program to measure; without it, this one.
    #[arg(long)]
    program: Option<PathBuf>,
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == "serve") {
        return elanus_server::run(std::env::args_os());
    }
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("grpc: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let program = options.program.clone().map_or_else(std::env::current_exe, Ok)?;
    let server = Program::start(&program, folder.path(), &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // In this order: what inserts leave to be done in the background would be measured with the round trips.
    runtime.block_on(async {
        round_trip::measure(&server).await?;
        insert::measure(&server).await
    })
}
