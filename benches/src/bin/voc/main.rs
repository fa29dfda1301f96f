//! Retrieval and throughput on a folder in the PASCAL VOC layout, through the real server over HTTP: import the photos,
//! then search with each of them and compare labels. The server is this very program, started again as a process of
//! its own with the command line `elanus` has.
//!
//! `cargo run --release -p elanus-benches --bin voc -- --voc <VOCdevkit/VOC2012>`
#![allow(clippy::print_stdout, reason = "a benchmark's product is what it prints")]

mod labels;
mod retrieval;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use elanus_benches::Result;
use labels::Labels;
use retrieval::Retrieval;
use server::Server;

/// What the reference features reach on voc-mini with the same protocol (keras preprocessing): pooling, P@1, P@10,
/// mAP@100, mAP.
const REFERENCE: [(&str, [f64; 4]); 2] =
    [("max", [0.8212, 0.7352, 0.4300, 0.5130]), ("avg", [0.8188, 0.7446, 0.4385, 0.5172])];
/// Photos in voc-mini.
const VOC_MINI: usize = 850;
/// Most hits that one search may give.
const WINDOW: usize = 16_384;

#[derive(Parser, Debug)]
#[command(about = "Retrieval and throughput on a folder in the PASCAL VOC layout")]
struct Options {
    /// Folder that holds JPEGImages, Annotations and ImageSets.
    #[arg(long)]
    voc: PathBuf,
    /// Device that embeds: auto, cpu or cuda.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Pooling of the last layer: max or avg.
    #[arg(long, default_value = "max")]
    pooling: String,
    /// Most photos to search with, evenly spread over the set.
    #[arg(long, default_value_t = 2000)]
    queries: usize,
    /// Write the figures as JSON to this file.
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == "serve") {
        return elanus_server::run(std::env::args_os());
    }
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("voc: {message}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Debug, serde::Serialize)]
struct Figures {
    photos: u64,
    failed: u64,
    ready_s: f64,
    import_s: f64,
    photos_per_s: f64,
    search_ms_median: f64,
    pooling: String,
    device: String,
    retrieval: Retrieval,
}

fn run(options: &Options) -> Result<()> {
    let labels = Labels::read(&options.voc)?;
    let started = Instant::now();
    let server = Server::start(&options.voc.join("JPEGImages"), &options.device, &options.pooling)?;
    let ready_s = started.elapsed().as_secs_f64();
    let job = server.wait_for_import()?;
    let import_s = started.elapsed().as_secs_f64();
    let photos = server.photos()?;
    let (retrieval, search_ms_median) = retrieve(&server, &labels, &photos, options.queries)?;
    let figures = Figures {
        photos: photos.len() as u64,
        failed: job.failed,
        ready_s,
        import_s,
        photos_per_s: photos.len() as f64 / (import_s - ready_s),
        search_ms_median,
        pooling: options.pooling.clone(),
        device: server.device()?,
        retrieval,
    };
    print(&figures);
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&figures).map_err(|e| e.to_string())?;
        std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

/// Searches with photos of the set, each by its stored id, leaving itself out.
fn retrieve(
    server: &Server,
    labels: &Labels,
    photos: &[server::Photo],
    most: usize,
) -> Result<(Retrieval, f64)> {
    let step = photos.len().div_ceil(most.max(1)).max(1);
    let mut retrieval = Retrieval::default();
    let mut times = Vec::new();
    for query in photos.iter().step_by(step) {
        let begun = Instant::now();
        let hits = server.similar(&query.id, photos.len().min(WINDOW))?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        let others = hits.iter().filter(|hit| **hit != query.name);
        let relevant: Vec<bool> = others.map(|hit| labels.relevant(&query.name, hit)).collect();
        let total =
            photos.iter().filter(|p| p.name != query.name && labels.relevant(&query.name, &p.name)).count();
        retrieval.add(&relevant, total);
    }
    times.sort_by(f64::total_cmp);
    Ok((retrieval.mean(), times.get(times.len() / 2).copied().unwrap_or(0.0)))
}

fn print(figures: &Figures) {
    let r = &figures.retrieval;
    if figures.photos as usize == VOC_MINI {
        println!("VOC-layout stand-in (voc-mini), not PASCAL VOC");
    }
    println!("{} photos, {} refused, device: {}", figures.photos, figures.failed, figures.device);
    println!("page ready after {:.2} s", figures.ready_s);
    println!("import {:.1} s, {:.2} photos/s", figures.import_s - figures.ready_s, figures.photos_per_s);
    println!("search by stored photo, whole ranking: median {:.2} ms", figures.search_ms_median);
    println!();
    println!("| retrieval, {} queries | P@1 | P@10 | mAP@100 | mAP |", r.queries);
    println!("|---|---|---|---|---|");
    println!(
        "| this server, {} pooling | {:.4} | {:.4} | {:.4} | {:.4} |",
        figures.pooling, r.p1, r.p10, r.map100, r.map
    );
    let reference = REFERENCE.iter().find(|(pooling, _)| *pooling == figures.pooling);
    if let (VOC_MINI, Some((_, [p1, p10, map100, map]))) = (figures.photos as usize, reference) {
        println!("| reference features | {p1:.4} | {p10:.4} | {map100:.4} | {map:.4} |");
        println!(
            "| difference | {:+.4} | {:+.4} | {:+.4} | {:+.4} |",
            r.p1 - p1,
            r.p10 - p10,
            r.map100 - map100,
            r.map - map
        );
    }
}
