//! How fast this machine goes from files to vectors, step by step:
//! `cargo run --release -p elanus-embed --example speed -- FOLDER`.

use std::path::Path;
use std::time::{Duration, Instant};

use elanus_embed::{
    DecodeLimits, Descriptor, DeviceChoice, Embedder, Input, Pooling, decode, open, preprocess,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: speed FOLDER")?;
    let inputs = read_folder(Path::new(&folder))?;
    let started = Instant::now();
    let embedder = open(DeviceChoice::Auto)?;
    eprintln!("opened in {:.0?}: {:?}", started.elapsed(), embedder.device());
    for batch in [1, 2, 4, 8] {
        report(embedder.as_ref(), &inputs, batch)?;
    }
    Ok(())
}

/// Decodes and preprocesses every file; says what was refused and what the steps cost on one thread.
fn read_folder(folder: &Path) -> Result<Vec<Input>, Box<dyn std::error::Error>> {
    let (mut inputs, mut decoding, mut resizing) = (Vec::new(), Duration::ZERO, Duration::ZERO);
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_file() {
            continue;
        }
        let bytes = std::fs::read(&path)?;
        let started = Instant::now();
        match decode(&bytes, &DecodeLimits::default()) {
            Ok(photo) => {
                decoding += started.elapsed();
                let started = Instant::now();
                inputs.push(preprocess(&photo, Descriptor::default().recipe));
                resizing += started.elapsed();
            }
            Err(error) => eprintln!("refused {}: {error}", path.display()),
        }
    }
    let count = u32::try_from(inputs.len())?.max(1);
    eprintln!(
        "{count} photos: decoding {:.2?}, preprocessing {:.2?} each",
        decoding / count,
        resizing / count
    );
    Ok(inputs)
}

/// Runs the network for about ten images in calls of `batch`.
fn report(embedder: &dyn Embedder, inputs: &[Input], batch: usize) -> Result<(), Box<dyn std::error::Error>> {
    let images: Vec<Input> =
        inputs.iter().cycle().take(if inputs.is_empty() { 0 } else { batch }).cloned().collect();
    embedder.embed(&images, Pooling::Max)?;
    let rounds = 10usize.div_ceil(batch);
    let started = Instant::now();
    for _ in 0..rounds {
        embedder.embed(&images, Pooling::Max)?;
    }
    let rate = (rounds * images.len()) as f64 / started.elapsed().as_secs_f64();
    eprintln!("calls of {batch}: {rate:.2} images/s (split into batches of {})", embedder.preferred_batch());
    Ok(())
}
