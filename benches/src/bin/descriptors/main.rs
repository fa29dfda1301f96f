//! Which descriptor finds best: every input with every pooling, on a folder in the PASCAL VOC layout, in process and with
//! exact search. Each photo is decoded once, runs through the network once for each input, and is pooled in every way.
//!
//! `cargo run --release -p elanus-benches --bin descriptors -- --voc <VOCdevkit/VOC2012>`
#![allow(clippy::print_stdout, reason = "a benchmark's product is what it prints")]

mod labels;
mod retrieval;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use elanus_benches::Result;
use elanus_embed::{
    DecodeLimits, Descriptor, DeviceChoice, Embedder, Input, Photo, Pooling, Recipe, decode, preprocess,
};
use labels::Labels;
use retrieval::{Retrieval, retrieval};

/// Photos that are decoded, and go through the network, together.
const TOGETHER: usize = 16;

#[derive(Parser, Debug)]
#[command(about = "Retrieval with every input and every pooling on a folder in the PASCAL VOC layout")]
struct Options {
    /// Folder that holds JPEGImages and ImageSets.
    #[arg(long)]
    voc: PathBuf,
    /// Device that embeds: auto, cpu or cuda.
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// Most photos, the first by name: for a look at a large set.
    #[arg(long, default_value_t = usize::MAX, hide_default_value = true)]
    photos: usize,
}

/// One row of the table: what a descriptor made of the photos.
struct Row {
    descriptor: Descriptor,
    /// One for each photo, in their order.
    vectors: Vec<Vec<f32>>,
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
    let labels = Labels::read(&options.voc, options.photos)?;
    let embedder = elanus_embed::open(options.device)?;
    let report = embedder.device();
    println!("{} photos, device: {}, {}", labels.photos.len(), report.device, report.detail);
    let mut rows: Vec<Row> =
        Descriptor::all().map(|descriptor| Row { descriptor, vectors: Vec::new() }).collect();
    let mut network = [Duration::ZERO; Recipe::ALL.len()];
    for (part, names) in labels.photos.chunks(TOGETHER).enumerate() {
        let photos = names.iter().map(|name| read(&options.voc, name)).collect::<Result<Vec<Photo>>>()?;
        for (recipe, network) in Recipe::ALL.into_iter().zip(&mut network) {
            let inputs: Vec<Input> = photos.iter().map(|photo| preprocess(photo, recipe)).collect();
            let of_recipe = rows.iter_mut().filter(|row| row.descriptor.recipe == recipe);
            *network += embed(embedder.as_ref(), &inputs, of_recipe)?;
        }
        eprint!("\r{} of {} photos", part * TOGETHER + names.len(), labels.photos.len());
    }
    eprintln!();
    print(&rows, &labels, network);
    Ok(())
}

fn read(voc: &Path, name: &str) -> Result<Photo> {
    let path = voc.join("JPEGImages").join(name).with_extension("jpg");
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(decode(&bytes, &DecodeLimits::default()).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Runs the network once and pools in every way; says how long the network took.
fn embed<'a>(
    embedder: &dyn Embedder,
    inputs: &[Input],
    rows: impl Iterator<Item = &'a mut Row>,
) -> Result<Duration> {
    let started = Instant::now();
    let maps = embedder.feature_maps(inputs)?;
    let took = started.elapsed();
    for Row { descriptor, vectors } in rows {
        for map in &maps {
            vectors.push(map.pool(descriptor.pooling)?);
        }
    }
    Ok(took)
}

fn print(rows: &[Row], labels: &Labels, network: [Duration; Recipe::ALL.len()]) {
    println!("| input | pooling | P@1 | P@10 | mAP@100 | mAP | images/s |");
    println!("|---|---|---|---|---|---|---|");
    for Row { descriptor: Descriptor { recipe, pooling, .. }, vectors } in rows {
        let Retrieval { p1, p10, map100, map, .. } = retrieval(vectors, &labels.classes);
        let speed = Recipe::ALL
            .iter()
            .position(|other| other == recipe)
            .map_or(0.0, |at| vectors.len() as f64 / network[at].as_secs_f64());
        // One run of the network serves all poolings of an input.
        let speed = if *pooling == Pooling::ALL[0] { format!("{speed:.1}") } else { String::new() };
        println!("| {recipe} | {pooling} | {p1:.4} | {p10:.4} | {map100:.4} | {map:.4} | {speed} |");
    }
}
