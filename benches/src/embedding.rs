//! Photos of a folder as vectors, in process: each is decoded once, goes through the network once for each input, and is
//! pooled in every way that is asked for.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use elanus_embed::{
    DecodeLimits, Descriptor, DeviceChoice, Embedder, Input, Photo, Recipe, decode, preprocess,
};

use crate::Result;
use crate::folder::Folder;

/// Photos that are decoded, and go through the network, together.
const TOGETHER: usize = 16;

/// What a descriptor made of the photos.
#[derive(Debug, Clone)]
pub struct Row {
    /// How.
    pub descriptor: Descriptor,
    /// One for each photo, in their order.
    pub vectors: Vec<Vec<f32>>,
    /// How long the network took, which is shared by all descriptors of one input.
    pub network: Duration,
}

/// Which photos are embedded, and where: options of a benchmark.
#[derive(Args, Debug)]
pub struct Source {
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

/// The photos of a source.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// How many, and what embedded them.
    pub summary: String,
    /// Their vectors by each descriptor.
    pub rows: Vec<Row>,
    /// For each photo the classes in it, a bit each.
    pub classes: Vec<u64>,
}

impl Source {
    /// Embeds the labelled photos with each descriptor; tells the terminal how far it is.
    ///
    /// # Errors
    /// For a folder of another layout, a photo that can't be read or decoded, with its path; the embedder's.
    pub fn embed(&self, descriptors: impl IntoIterator<Item = Descriptor>) -> Result<Embedded> {
        let folder = Folder::read(&self.voc)?;
        let (ids, files) = folder.labelled(self.photos);
        let classes = folder.labels.bits(&ids)?;
        let embedder = elanus_embed::open(self.device)?;
        let report = embedder.device();
        let summary = format!("{} photos, device: {}, {}", ids.len(), report.device, report.detail);
        let rows = embed(&files, descriptors, embedder.as_ref())?;
        Ok(Embedded { summary, rows, classes })
    }
}

/// Embeds photos with each descriptor; tells the terminal how far it is.
fn embed(
    files: &[PathBuf],
    descriptors: impl IntoIterator<Item = Descriptor>,
    embedder: &dyn Embedder,
) -> Result<Vec<Row>> {
    let row = |descriptor| Row { descriptor, vectors: Vec::new(), network: Duration::ZERO };
    let mut rows: Vec<Row> = descriptors.into_iter().map(row).collect();
    for (part, together) in files.chunks(TOGETHER).enumerate() {
        let photos = together.iter().map(|file| read(file)).collect::<Result<Vec<Photo>>>()?;
        for recipe in Recipe::ALL {
            let of_recipe: Vec<&mut Row> =
                rows.iter_mut().filter(|row| row.descriptor.recipe == recipe).collect();
            if !of_recipe.is_empty() {
                let inputs: Vec<Input> = photos.iter().map(|photo| preprocess(photo, recipe)).collect();
                pool(embedder, &inputs, of_recipe)?;
            }
        }
        eprint!("\r{} of {} photos", part * TOGETHER + together.len(), files.len());
    }
    eprintln!();
    Ok(rows)
}

fn read(path: &Path) -> Result<Photo> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(decode(&bytes, &DecodeLimits::default()).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// Runs the network once and pools in every way.
fn pool(embedder: &dyn Embedder, inputs: &[Input], rows: Vec<&mut Row>) -> Result<()> {
    let started = Instant::now();
    let maps = embedder.feature_maps(inputs)?;
    let took = started.elapsed();
    for row in rows {
        row.network += took;
        for map in &maps {
            row.vectors.push(map.pool(row.descriptor.pooling)?);
        }
    }
    Ok(())
}
