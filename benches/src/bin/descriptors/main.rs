//! Which descriptor finds best: every input with every pooling, on a folder in the PASCAL VOC layout, in process and with
//! exact search. Each photo is decoded once, runs through the network once for each input, and is pooled in every way.
//!
//! `cargo run --release -p elanus-benches --bin descriptors -- --voc <VOCdevkit/VOC2012>`
#![allow(clippy::print_stdout, reason = "a benchmark's product is what it prints")]

use std::process::ExitCode;

use clap::Parser;
use elanus_benches::Result;
use elanus_benches::embedding::{Embedded, Row, Source};
use elanus_benches::retrieval::{Means, exact};
use elanus_embed::{Descriptor, Pooling};

#[derive(Parser, Debug)]
#[command(about = "Retrieval with every input and every pooling on a folder in the PASCAL VOC layout")]
struct Options {
    #[command(flatten)]
    source: Source,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("descriptors: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let Embedded { summary, rows, classes } = options.source.embed(Descriptor::all())?;
    println!("{summary}");
    print(&rows, &classes);
    Ok(())
}

fn print(rows: &[Row], classes: &[u64]) {
    println!("| input | pooling | P@1 | P@10 | mAP@100 | mAP | images/s |");
    println!("|---|---|---|---|---|---|---|");
    for Row { descriptor: Descriptor { recipe, pooling, .. }, vectors, network } in rows {
        let Means { p1, p10, map100, map, .. } = Means::over(exact(vectors, classes).iter());
        let speed = vectors.len() as f64 / network.as_secs_f64();
        // One run of the network serves all poolings of an input.
        let speed = if *pooling == Pooling::ALL[0] { format!("{speed:.1}") } else { String::new() };
        println!("| {recipe} | {pooling} | {p1:.4} | {p10:.4} | {map100:.4} | {map:.4} | {speed} |");
    }
}
