//! `elanus embed-bench`: how fast this machine turns photos into vectors, and where the time goes.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use elanus_embed::{
    BatchOptions, Batcher, DecodeLimits, Descriptor, DeviceChoice, DeviceOptions, EmbedError, Embedder,
    Input, ModelKey, Network, Pooling, Precision, Recipe, decode, preprocess, sniff,
};
use walkdir::WalkDir;

use super::{FAILED, USAGE, complain};

/// Most files of the folder that take part.
const MAX_FILES: usize = 1000;

/// Measures the embedding of photos on this machine: the network alone, and from files where a folder is given
#[derive(Debug, Args)]
pub(super) struct EmbedBenchArguments {
    /// Folder of photos to read, decode and embed again and again
    folder: Option<PathBuf>,
    /// Where to run: auto, cpu or cuda
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: DeviceChoice,
    /// What a GPU multiplies: f32, f16 or bf16
    #[arg(long, value_name = "PRECISION", default_value = "f32")]
    precision: Precision,
    /// Which network: vgg16-imagenet-notop, vgg16, vgg16-fc6, vgg16-fc7, vgg19 or resnet50
    #[arg(long, value_name = "NETWORK", default_value_t)]
    model: Network,
    /// The weights file of a network that is not carried inside the program
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// How photos are brought to the network's size: keras, torchvision or 320 [default: the network's]
    #[arg(long, value_name = "INPUT")]
    input: Option<Recipe>,
    /// How features become a vector: max, avg, gem, rmac or none [default: the network's]
    #[arg(long, value_name = "POOLING")]
    pooling: Option<Pooling>,
    /// Images in one call of the network, 1 to 256 [default: what the device prefers]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    batch: Option<u16>,
    /// How long each part runs, 1 to 3600
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,
}

pub(super) fn run(arguments: &EmbedBenchArguments) -> ExitCode {
    let files = match arguments.folder.as_ref().map(|folder| (folder, photos(folder))) {
        Some((folder, files)) if files.is_empty() => {
            return complain(&format!("there is no image in {}", folder.display()), USAGE);
        }
        found => found.map(|(_, files)| files),
    };
    match measure(arguments, files.as_deref()) {
        // A closed standard output is no reason for another exit code.
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => complain(&reason, FAILED),
    }
}

/// Opens the network with its weights; says which they are.
fn open(
    options: DeviceOptions,
    network: Network,
    weights: Option<&Path>,
) -> Result<(ModelKey, Arc<dyn Embedder>), String> {
    let (model, embedder) = match (network, weights) {
        (Network::Carried, None) => (ModelKey::CARRIED, elanus_embed::open(options)),
        (Network::Carried, Some(_)) => return Err(format!("{network} takes no --weights")),
        (network, None) => return Err(format!("{network} needs its --weights")),
        (network, Some(path)) => {
            let bad = |reason: String| format!("{}: {reason}", path.display());
            let mut file = File::open(path).map_err(|error| bad(error.to_string()))?;
            let sha256 = elanus_embed::file_sha256(&mut file).map_err(|error| bad(error.to_string()))?;
            let model = ModelKey { network, sha256 };
            (model, elanus_embed::open_model(options, model, file))
        }
    };
    Ok((model, embedder.map_err(|error| error.to_string())?))
}

fn measure(arguments: &EmbedBenchArguments, files: Option<&[PathBuf]>) -> Result<(), String> {
    let started = Instant::now();
    let options = DeviceOptions { device: arguments.device, precision: arguments.precision };
    let (model, embedder) = open(options, arguments.model, arguments.weights.as_deref())?;
    let opened = started.elapsed().as_secs_f64();
    let report = embedder.device();
    let in_words = |error: EmbedError| error.to_string();
    let descriptor = Descriptor::new(model, arguments.input, arguments.pooling).map_err(|e| e.to_string())?;
    let side = descriptor.recipe.side();
    let batch = arguments.batch.map_or(embedder.preferred_batch(), usize::from);
    let time = Duration::from_secs(arguments.seconds.into());
    line("device", &format!("{}: {} ({})", report.device, report.detail, report.reason));
    line("precision", &report.precision);
    line("opened", &format!("in {opened:.2} s"));
    line("vectors", &format!("{descriptor}: {side} x {side} pixels"));
    line("batch", &batch.to_string());

    // What another device did would be told under the name of this one.
    let is_same = || match embedder.device() {
        now if now.device == report.device => Ok(()),
        now => Err(now.reason.clone()),
    };
    let rate = network_alone(embedder.as_ref(), descriptor, batch, time).map_err(in_words)?;
    is_same()?;
    line("network", &format!("{rate:.2} images/s, {:.1} ms an image", 1e3 / rate));
    if let Some(arithmetic) = embedder.arithmetic(side) {
        let share = |operations: f64| {
            let speed = operations * rate;
            format!("{:.0} GFLOP/s, {:.0} %", speed / 1e9, 100.0 * speed / arithmetic.peak)
        };
        let peak = arithmetic.peak / 1e9;
        line("peak", &format!("{peak:.0} GFLOP/s in registers alone"));
        line("defined", &format!("{} of the peak", share(arithmetic.as_defined)));
        line("multiplied", &format!("{} of the peak", share(arithmetic.multiplied)));
    }
    if let Some(files) = files {
        let run = from_files(&embedder, descriptor, batch, time, files).map_err(in_words)?;
        is_same()?;
        let share = 100.0 * run.rate() / rate;
        line("from files", &format!("{:.2} images/s, {share:.0} % of the network alone", run.rate()));
        line("time", &run.shares());
        if run.refused > 0 {
            line("refused", &format!("{} of {} files", run.refused, run.refused + run.embedded));
        }
    }
    Ok(())
}

fn line(name: &str, value: &str) {
    // Nobody to tell if standard output is closed.
    let _ = writeln!(std::io::stdout(), "{name:<11} {value}");
}

/// The files below the folder that begin like images.
fn photos(folder: &Path) -> Vec<PathBuf> {
    let is_image = |path: &Path| {
        let mut head = [0; 16];
        let read = std::fs::File::open(path).and_then(|file| {
            std::io::Read::read(&mut std::io::Read::take(file, head.len() as u64), &mut head)
        });
        read.is_ok_and(|count| sniff(&head[..count]).is_some())
    };
    let files = WalkDir::new(folder).sort_by_file_name().into_iter().filter_map(Result::ok);
    let files = files.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    files.filter(|path| is_image(path)).take(MAX_FILES).collect()
}

/// Images a second that the network does with nothing else to do, by its faster half of calls: what the machine does
/// besides should not count.
fn network_alone(
    embedder: &dyn Embedder,
    Descriptor { recipe, pooling, .. }: Descriptor,
    batch: usize,
    time: Duration,
) -> Result<f64, EmbedError> {
    let bytes = recipe.side() * recipe.side() * 3;
    // No two images alike, and none of them empty.
    let pixels = |image: usize| (0..bytes).map(|at| (at * (image + 3) / 7 % 251) as u8).collect();
    let inputs: Vec<Input> = (0..batch).filter_map(|image| Input::from_rgb(recipe, pixels(image))).collect();
    // Not counted: memory comes from the system, kernels are compiled.
    embedder.embed(&inputs, pooling)?;
    let started = Instant::now();
    let mut calls = Vec::new();
    while started.elapsed() < time || calls.is_empty() {
        let before = Instant::now();
        embedder.embed(&inputs, pooling)?;
        calls.push(before.elapsed().as_secs_f64());
    }
    calls.sort_by(f64::total_cmp);
    let median = calls[calls.len() / 2];
    Ok(inputs.len() as f64 / median)
}

/// What a run from files did.
struct Run {
    wall: f64,
    /// Of all decoding threads together.
    decode: f64,
    threads: usize,
    copy: f64,
    compute: f64,
    embedded: usize,
    refused: usize,
}

impl Run {
    fn rate(&self) -> f64 {
        self.embedded as f64 / self.wall
    }

    fn shares(&self) -> String {
        let percent = |seconds: f64| 100.0 * seconds / self.wall;
        format!(
            "decode {:.1} % of {} threads; device: copy {:.1} %, compute {:.1} %, idle {:.1} %",
            percent(self.decode) / self.threads as f64,
            self.threads,
            percent(self.copy),
            percent(self.compute),
            percent((self.wall - self.copy - self.compute).max(0.0))
        )
    }
}

/// Reads, decodes and embeds files as imports do: threads that decode, one queue, one thread that feeds the network.
fn from_files(
    embedder: &Arc<dyn Embedder>,
    Descriptor { recipe, pooling, .. }: Descriptor,
    batch: usize,
    time: Duration,
    files: &[PathBuf],
) -> Result<Run, EmbedError> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 16);
    let (next, decoding) = (AtomicUsize::new(0), AtomicU64::new(0));
    let (embedded, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let batcher = Batcher::start(
        Arc::clone(embedder),
        BatchOptions { max_batch: Some(batch), ..BatchOptions::default() },
    );
    let (before, started) = (embedder.spent(), Instant::now());
    let work = || -> Result<(), EmbedError> {
        let mut underway = Vec::new();
        while started.elapsed() < time {
            let file = &files[next.fetch_add(1, Ordering::Relaxed) % files.len()];
            let begun = Instant::now();
            let photo =
                std::fs::read(file).ok().and_then(|bytes| decode(&bytes, &DecodeLimits::default()).ok());
            let input = photo.map(|photo| preprocess(&photo, recipe));
            decoding
                .fetch_add(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            match input {
                Some(input) => underway.push(batcher.submit_blocking(input, pooling)?),
                None => drop(refused.fetch_add(1, Ordering::Relaxed)),
            }
            // Vectors are collected late, so that nobody waits for one while the queue has room.
            if underway.len() > 2 * batch {
                underway.remove(0).wait()?;
                embedded.fetch_add(1, Ordering::Relaxed);
            }
        }
        for pending in underway {
            pending.wait()?;
            embedded.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or(Err(EmbedError::Stopped)))
    })?;
    let (wall, after) = (started.elapsed().as_secs_f64(), embedder.spent());
    Ok(Run {
        wall,
        decode: decoding.into_inner() as f64 / 1e6,
        threads,
        copy: (after.copy - before.copy).as_secs_f64(),
        compute: (after.compute - before.compute).as_secs_f64(),
        embedded: embedded.into_inner(),
        refused: refused.into_inner(),
    })
}
