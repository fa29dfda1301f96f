//! The network against the reference features of real photos, both poolings from one forward pass each, and against
//! burn's convolutions at every size of input. The photos are skipped where the shared data is absent; `tests/parity.rs`
//! covers drawings of our own everywhere.

#[path = "../../tests/shared_data/mod.rs"]
mod shared_data;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use burn_flex::{Flex, FlexDevice};
use half::{bf16, f16};
use serde_json::Value;

use super::carried::WEIGHTS;
use super::{CpuVgg, Layers};
use crate::decode::{DecodeLimits, decode};
use crate::device::backend::BackendNetwork;
use crate::device::{CpuNetwork as _, Precision, Spent};
use crate::kernel::{self, Kernel};
use crate::network::Network;
use crate::pool::Pooling;
use crate::preprocess::{Input, Normalisation, Recipe, preprocess};
use crate::weights::WeightsFile;

fn carried() -> WeightsFile<Cursor<&'static [u8]>> {
    WeightsFile::open(Cursor::new(WEIGHTS)).unwrap()
}

fn layers() -> Layers {
    Layers::of(Network::Carried).unwrap()
}

fn on_cpu(kernel: &'static Kernel) -> CpuVgg {
    CpuVgg::load(kernel, &mut carried(), layers(), Normalisation::Caffe).unwrap()
}

fn on_burn(precision: Precision) -> BackendNetwork<Flex> {
    BackendNetwork::load(Network::Carried, &mut carried(), FlexDevice, precision).unwrap()
}

/// Computes both vectors of each file and gives their cosines with the entry's `max` and `avg`.
fn cosines(network: &CpuVgg, recipe: Recipe, files: &[(PathBuf, &Value)]) -> Vec<(PathBuf, [f64; 2])> {
    // An odd number at a time: some batches differ in size from the others.
    let parts = files.chunks(3).flat_map(|part| {
        let inputs: Vec<Input> = part.iter().map(|(file, _)| input(file, recipe)).collect();
        let maps = network.feature_maps(&inputs, &mut Spent::default()).unwrap();
        let found = part.iter().zip(maps).map(|((file, golden), map)| {
            let cosine = |pooling: Pooling| cosine(&map.pool(pooling).unwrap(), &golden[pooling.to_string()]);
            (file.clone(), [Pooling::Max, Pooling::Avg].map(cosine))
        });
        found.collect::<Vec<_>>()
    });
    parts.collect()
}

fn input(file: &Path, recipe: Recipe) -> Input {
    preprocess(&decode(&std::fs::read(file).unwrap(), &DecodeLimits::default()).unwrap(), recipe)
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
    let network = on_cpu(kernel::active());
    let text = std::fs::read_to_string(folder.join("golden/vgg16.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let path = |entry: &Value, below: &str| folder.join(below).join(entry["file"].as_str().unwrap());

    let exact = golden["exact"].as_array().unwrap();
    let exact: Vec<_> = exact.iter().map(|entry| (path(entry, "golden"), &entry["f16_weights"])).collect();
    assert_eq!(exact.len(), 4);
    for (file, found) in cosines(&network, Recipe::Keras, &exact) {
        assert!(found.iter().all(|&cosine| cosine >= 0.9999), "{} {found:?}", file.display());
    }

    for recipe in [Recipe::Keras, Recipe::Torchvision] {
        let features = |entry: &'_ Value| entry["features"][recipe.to_string()].clone();
        let entries = golden["images"].as_array().unwrap();
        let expected: Vec<Value> = entries.iter().map(features).collect();
        let photos: Vec<_> = entries.iter().map(|entry| path(entry, "voc-mini")).zip(&expected).collect();
        assert_eq!(photos.len(), 32);
        let mut worst = 1.0f64;
        for (file, found) in cosines(&network, recipe, &photos) {
            assert!(found.iter().all(|&cosine| cosine >= 0.999), "{} {found:?}", file.display());
            worst = found.into_iter().fold(worst, f64::min);
        }
        eprintln!("{recipe}: worst cosine of {} JPEG files: {worst:.6}", photos.len());
    }
}

#[test]
fn every_kernel_agrees_with_burn() {
    let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "data", "landscape.png"].iter().collect();
    let burn = on_burn(Precision::F32);
    let networks = kernel::available().into_iter().map(|kernel| (kernel, on_cpu(kernel)));
    let networks: Vec<_> = networks.collect();
    for recipe in [Recipe::Keras, Recipe::Keras320] {
        let input = [input(&file, recipe)];
        let expected = burn.feature_maps(&input, 1, &mut Spent::default()).unwrap().remove(0);
        let size = length(expected.values().iter().copied());
        for (kernel, network) in &networks {
            let found = network.feature_maps(&input, &mut Spent::default()).unwrap().remove(0);
            assert_eq!(found.values().len(), expected.values().len());
            let distance = length(found.values().iter().zip(expected.values()).map(|(a, b)| a - b));
            eprintln!(
                "{}, {recipe}: the last layer differs by {:.1e} of its size",
                kernel.name(),
                distance / size
            );
            assert!(distance < 1e-5 * size, "{kernel:?} {recipe}: {}", distance / size);
        }
    }
}

/// What GPUs may be asked for, with burn's arithmetic for the processor: layers are stored in half precision.
#[test]
fn half_precision_is_close_enough() {
    let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "data", "landscape.png"].iter().collect();
    let input = [input(&file, Recipe::Keras)];
    let expected = on_cpu(kernel::active()).feature_maps(&input, &mut Spent::default()).unwrap().remove(0);
    for precision in [Precision::F16, Precision::Bf16] {
        // The places of a batch that stay empty do not matter.
        let maps = on_burn(precision).feature_maps(&input, 2, &mut Spent::default()).unwrap();
        assert_eq!(maps.len(), 1);
        let halved = |value: f32| match precision {
            Precision::F16 => f16::from_f32(value).to_f32(),
            _ => bf16::from_f32(value).to_f32(),
        };
        assert!(maps[0].values().iter().all(|value| halved(*value) == *value), "it is not {precision}");
        for pooling in Pooling::ALL {
            let vectors = [&maps[0], &expected].map(|map| map.pool(pooling).unwrap());
            let cosine: f32 = vectors[0].iter().zip(&vectors[1]).map(|(a, b)| a * b).sum();
            eprintln!("{precision}, {pooling}: cosine {cosine:.6}");
            assert!(cosine >= 0.999, "{precision} {pooling}: {cosine}");
        }
    }
}

fn length(values: impl Iterator<Item = f32>) -> f32 {
    values.map(|value| value * value).sum::<f32>().sqrt()
}
