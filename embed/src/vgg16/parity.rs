//! The network against the reference features of real photos, both poolings from one forward pass each. Skipped
//! where the shared data is absent; `tests/parity.rs` covers drawings of our own everywhere.

#[path = "../../tests/shared_data/mod.rs"]
mod shared_data;

use std::path::{Path, PathBuf};

use burn_flex::{Flex, FlexDevice};
use serde_json::Value;

use super::backend::Vgg16;
use super::{CpuVgg16, DIMENSION, Pooling, pool};
use crate::decode::{DecodeLimits, decode};
use crate::device::Spent;
use crate::kernel;
use crate::preprocess::{Input, preprocess};

/// Computes both vectors of each file and gives their cosines with the entry's `max` and `avg`.
fn cosines(network: &CpuVgg16, files: &[(PathBuf, &Value)]) -> Vec<(PathBuf, [f64; 2])> {
    // An odd number at a time: some batches differ in size from the others.
    let parts = files.chunks(3).flat_map(|part| {
        let inputs: Vec<Input> = part.iter().map(|(file, _)| input(file)).collect();
        let maps = network.feature_maps(&inputs, &mut Spent::default());
        let vectors = |pooling| pool::pool_and_normalise(&maps, part.len(), DIMENSION, pooling).unwrap();
        let (max, avg) = (vectors(Pooling::Max), vectors(Pooling::Avg));
        part.iter()
            .zip(max.iter().zip(avg))
            .map(|((file, golden), (max, avg))| {
                (file.clone(), [cosine(max, &golden["max"]), cosine(&avg, &golden["avg"])])
            })
            .collect::<Vec<_>>()
    });
    parts.collect()
}

fn input(file: &Path) -> Input {
    preprocess(&decode(&std::fs::read(file).unwrap(), &DecodeLimits::default()).unwrap())
}

/// Both have length 1.
fn cosine(vector: &[f32], golden: &Value) -> f64 {
    let golden = golden.as_array().unwrap();
    assert_eq!(golden.len(), vector.len());
    golden.iter().zip(vector).map(|(golden, &value)| golden.as_f64().unwrap() * f64::from(value)).sum()
}

#[test]
fn real_photos_equal_the_reference() {
    let Some(folder) = shared_data::find("real_photos_equal_the_reference", "data") else { return };
    let network = CpuVgg16::load(kernel::active()).unwrap();
    let text = std::fs::read_to_string(folder.join("golden/vgg16.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let path = |entry: &Value, below: &str| folder.join(below).join(entry["file"].as_str().unwrap());

    let exact = golden["exact"].as_array().unwrap();
    let exact: Vec<_> = exact.iter().map(|entry| (path(entry, "golden"), &entry["f16_weights"])).collect();
    assert_eq!(exact.len(), 4);
    for (file, found) in cosines(&network, &exact) {
        assert!(found.iter().all(|&cosine| cosine >= 0.9999), "{} {found:?}", file.display());
    }

    let photos = golden["images"].as_array().unwrap();
    let photos: Vec<_> =
        photos.iter().map(|entry| (path(entry, "voc-mini"), &entry["features"]["keras"])).collect();
    assert_eq!(photos.len(), 32);
    let mut worst = 1.0f64;
    for (file, found) in cosines(&network, &photos) {
        assert!(found.iter().all(|&cosine| cosine >= 0.999), "{} {found:?}", file.display());
        worst = found.into_iter().fold(worst, f64::min);
    }
    eprintln!("worst cosine of {} JPEG files: {worst:.6}", photos.len());
}

#[test]
fn every_kernel_agrees_with_burn() {
    let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "data", "landscape.png"].iter().collect();
    let input = [input(&file)];
    let expected = Vgg16::<Flex>::load(FlexDevice).unwrap().feature_maps(&input).unwrap();
    let size = expected.iter().map(|value| value * value).sum::<f32>().sqrt();
    for kernel in kernel::available() {
        let found = CpuVgg16::load(kernel).unwrap().feature_maps(&input, &mut Spent::default());
        assert_eq!(found.len(), expected.len());
        let distance = found.iter().zip(&expected).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
        eprintln!("{}: the last layer differs by {:.1e} of its size", kernel.name(), distance / size);
        assert!(distance < 1e-5 * size, "{kernel:?}: {}", distance / size);
    }
}
