//! The public way from a file to a vector, against the reference vectors of the drawings in `tests/data`, which
//! `tests/golden.py` at the top of the repository computes with an implementation of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use elanus_embed::{DecodeLimits, DeviceChoice, Input, Pooling, Recipe, decode, open, preprocess};
use serde_json::Value;

/// Each file with its reference vectors: `max` and `avg` of the standard input and, for some files, all poolings of every
/// input under `inputs`.
fn goldens() -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(data("golden.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let golden = |entry: &Value| (entry["file"].as_str().unwrap().to_string(), entry.clone());
    json["images"].as_array().unwrap().iter().map(golden).collect()
}

fn vector(golden: &Value) -> Vec<f32> {
    golden.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

fn data(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", file].iter().collect()
}

fn input(file: &str, recipe: Recipe) -> Input {
    let bytes = std::fs::read(data(file)).unwrap();
    preprocess(&decode(&bytes, &DecodeLimits::default()).unwrap(), recipe)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Lossless files leave no room for a difference but f32 rounding; JPEG decoders differ by a level or two.
fn least(file: &str) -> f64 {
    if file.ends_with("png") { 0.99999 } else { 0.999 }
}

#[test]
fn vectors_equal_the_reference() {
    let goldens = goldens();
    assert!(goldens.len() >= 5);
    let inputs: Vec<Input> = goldens.iter().map(|(file, _)| input(file, Recipe::Keras)).collect();
    let embedder = open(DeviceChoice::Cpu).unwrap();
    for (pooling, other) in [(Pooling::Max, "avg"), (Pooling::Avg, "max")] {
        // One odd call: more than one batch, and the last one smaller.
        let vectors = embedder.embed(&inputs, pooling).unwrap();
        for ((file, golden), found) in goldens.iter().zip(&vectors) {
            assert_eq!(found.len(), elanus_embed::Network::Carried.dimension());
            let length = found.iter().map(|value| value * value).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 1e-5, "{file}: length {length}");
            let cosine = cosine(found, &vector(&golden[pooling.to_string()]));
            assert!(cosine >= least(file), "{file} {pooling}: cosine {cosine}");
            let other = self::cosine(found, &vector(&golden[other]));
            assert!(cosine > other, "{file}: the poolings are mixed up");
        }
    }
}

#[test]
fn every_descriptor_equals_the_reference() {
    let embedder = open(DeviceChoice::Cpu).unwrap();
    let mut compared = 0;
    for (file, golden) in goldens().iter().filter(|(_, golden)| golden["inputs"].is_object()) {
        let inputs = Recipe::ALL.map(|recipe| input(file, recipe));
        let maps = embedder.feature_maps(&inputs).unwrap();
        for (recipe, map) in Recipe::ALL.into_iter().zip(&maps) {
            let references: Vec<(Pooling, Vec<f32>)> = Pooling::ALL
                .map(|pooling| (pooling, vector(&golden["inputs"][recipe.to_string()][pooling.to_string()])))
                .into();
            for pooling in Pooling::ALL {
                let found = map.pool(pooling).unwrap();
                for (other, reference) in &references {
                    let cosine = cosine(&found, reference);
                    // Different poolings of one photo are alike, but never that much.
                    assert_eq!(
                        cosine >= least(file),
                        *other == pooling,
                        "{file} {recipe} {pooling} {other}: {cosine}"
                    );
                }
                compared += 1;
            }
        }
    }
    assert!(compared >= 24, "{compared}");
}

#[test]
fn resizing_equals_pillow_to_one_level() {
    for (recipe, files) in [
        (Recipe::Keras, &["landscape.png", "small.png"][..]),
        (Recipe::Torchvision, &["landscape.png", "small.png"]),
        (Recipe::Keras320, &["small.png"]),
    ] {
        for file in files {
            let ours = input(file, recipe);
            // Already of the right size, so this is Pillow's result untouched.
            let pillow = input_as_is(&format!("resized/{recipe}/{file}"), recipe);
            let differences: Vec<u8> =
                ours.rgb().iter().zip(pillow.rgb()).map(|(a, b)| a.abs_diff(*b)).collect();
            let different = differences.iter().filter(|&&difference| difference > 0).count();
            eprintln!("{file}, {recipe}: {different} of {} values differ", differences.len());
            assert!(differences.iter().all(|&difference| difference <= 1), "{file} {recipe}");
            assert!(different < differences.len() / 50, "{file} {recipe}: {different} values differ");
        }
    }
}

fn input_as_is(file: &str, recipe: Recipe) -> Input {
    let photo = decode(&std::fs::read(data(file)).unwrap(), &DecodeLimits::default()).unwrap();
    Input::from_rgb(recipe, photo.rgb().to_vec()).unwrap()
}
