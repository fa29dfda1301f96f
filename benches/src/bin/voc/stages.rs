//! How many photos a second each stage of an import does: those that the server's metrics tell, over the import itself,
//! and each stage alone, one photo after the other, in this process after the server has ended.

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use elanus_benches::Result;
use elanus_benches::metrics::Metrics;
use elanus_embed::{
    DecodeLimits, Descriptor, DeviceChoice, Input, THUMBNAIL_SIDE, decode, preprocess, thumbnail,
};
use serde::Serialize;

/// Time that the server spent in the network.
pub(crate) const NETWORK_SECONDS: &str = "elanus_embed_seconds_sum";
/// Photos in one run of the network.
const BATCHES: [usize; 2] = [1, 8];
/// What the server's metrics tell of an import: stage, its metric of seconds, its metric of photos. A stage that gets
/// metrics later gets a line here.
const SERVER: [(&str, &str, &str); 2] = [
    (
        "decoding, thumbnail and resizing, each on one of several threads",
        "elanus_decode_seconds_sum",
        "elanus_decode_seconds_count",
    ),
    ("network, in the batches of the import", NETWORK_SECONDS, "elanus_images_embedded_total"),
];

/// Where a stage was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// In the server, during the import.
    Server,
    /// In the benchmark's own process, alone.
    Alone,
}

/// One stage.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) place: Place,
    pub(crate) photos: u64,
    /// Time of one photo.
    pub(crate) ms: f64,
    /// As many as go through it while nothing else happens.
    pub(crate) photos_per_s: f64,
}

impl Stage {
    fn new(name: String, place: Place, photos: u64, seconds: f64) -> Self {
        let one = seconds / photos.max(1) as f64;
        Self { name, place, photos, ms: one * 1e3, photos_per_s: if one > 0.0 { 1.0 / one } else { 0.0 } }
    }
}

/// What the server counted during an import.
pub(crate) fn of_server(before: &Metrics, after: &Metrics) -> Vec<Stage> {
    let stage = |(name, seconds, photos): (&str, &str, &str)| {
        let photos = after.since(before, photos) as u64;
        Stage::new(name.to_owned(), Place::Server, photos, after.since(before, seconds))
    };
    SERVER.into_iter().map(stage).filter(|stage| stage.photos > 0).collect()
}

/// Each stage alone, over these files; `calls` runs of the network of each size, medians.
///
/// # Errors
/// When a file can't be read or decoded, or the network can't be had.
pub(crate) fn alone(
    files: &[PathBuf],
    device: DeviceChoice,
    descriptor: Descriptor,
    calls: usize,
) -> Result<Vec<Stage>> {
    let limits = DecodeLimits::default();
    let (bytes, reading) = timed(files, |file| Ok(std::fs::read(file)?))?;
    let (photos, decoding) = timed(&bytes, |bytes| Ok(decode(bytes, &limits)?))?;
    let (_, thumbnails) = timed(&photos, |photo| Ok(thumbnail(photo, THUMBNAIL_SIDE)?))?;
    let (inputs, resizing) = timed(&photos, |photo| Ok(preprocess(photo, descriptor.recipe)))?;
    let stage = |name: &str, seconds| Stage::new(name.to_owned(), Place::Alone, files.len() as u64, seconds);
    let mut stages = vec![
        stage("reading the file", reading),
        stage("decoding, one thread", decoding),
        stage("thumbnail, one thread", thumbnails),
        stage("resizing, one thread", resizing),
    ];
    let embedder = elanus_embed::open(device)?;
    for batch in BATCHES {
        let images: Vec<Input> = inputs.iter().cycle().take(batch).cloned().collect();
        // Not counted: memory comes from the system, kernels are compiled.
        embedder.embed(&images, descriptor.pooling)?;
        let mut times = Vec::with_capacity(calls);
        for _ in 0..calls {
            let began = Instant::now();
            black_box(embedder.embed(&images, descriptor.pooling)?);
            times.push(began.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        stages.push(Stage::new(
            format!("network, all threads, batch {batch}"),
            Place::Alone,
            batch as u64,
            median,
        ));
    }
    Ok(stages)
}

/// Does something with each, and says how many seconds that took.
fn timed<T, U>(all: &[T], work: impl Fn(&T) -> Result<U>) -> Result<(Vec<U>, f64)> {
    let began = Instant::now();
    let done = all.iter().map(work).collect::<Result<Vec<U>>>()?;
    Ok((black_box(done), began.elapsed().as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_of_the_server_are_what_grew_during_the_import() {
        let before = Metrics::parse("elanus_embed_seconds_sum 1\nelanus_images_embedded_total 1\n");
        let after = Metrics::parse(
            "elanus_embed_seconds_sum{device=\"cpu\"} 3\nelanus_images_embedded_total 9\nelanus_decode_seconds_count 0\n",
        );
        let stages = of_server(&before, &after);
        assert_eq!(stages.len(), 1, "a stage without photos is left out");
        assert_eq!((stages[0].photos, stages[0].ms, stages[0].photos_per_s), (8, 250.0, 4.0));
    }
}
