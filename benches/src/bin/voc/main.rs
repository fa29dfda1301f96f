//! How fast and how well photos are found on a folder in the PASCAL VOC layout, through the real server over HTTP: import,
//! indexes, retrieval by the labels, searches by class and by photo, disk and memory.
//!
//! ```sh
//! cargo run --release -p elanus-benches --bin voc -- --voc <VOCdevkit/VOC2012>
//! ```
//!
//! ```text
//!   folder ─► server: import ─► photos with vectors, read out ─┬─► questions: the exact answers, found here
//!                                                              └─► collection under each setting ─► measure, filtered
//!             server: search by_photo       stages, usage, steady: where time, disk and memory go
//!   report ─► table (standard output), voc.json, page (voc.html)
//! ```
#![allow(clippy::print_stdout, reason = "a benchmark's product is what it prints")]

mod by_photo;
mod collection;
mod filtered;
mod machine;
mod measure;
mod options;
mod page;
mod photos;
mod questions;
mod report;
mod retrieval;
mod run;
mod server;
mod setting;
mod stages;
mod steady;
mod table;
mod usage;

use std::process::ExitCode;

use clap::Parser;
use elanus_benches::Result;
use options::Options;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == "serve") {
        return elanus_server::run(std::env::args_os());
    }
    match run_and_write(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("voc: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run_and_write(options: &Options) -> Result<()> {
    let broken = |e: std::io::Error| format!("{}: {e}", options.out.display());
    // Not after an hour of measuring.
    std::fs::create_dir_all(&options.out).map_err(broken)?;
    let (report, strips) = run::run(options)?;
    let (json, html) = (options.out.join("voc.json"), options.out.join("voc.html"));
    std::fs::write(&json, serde_json::to_string_pretty(&report)?).map_err(broken)?;
    std::fs::write(&html, page::text(&report, &strips)?).map_err(broken)?;
    println!("{}", table::text(&report));
    println!("{} and {}", json.display(), html.display());
    Ok(())
}
