//! The public way from a file to a vector, against the reference vectors of the drawings in `tests/data`, which
//! `tests/golden.py` at the top of the repository computes with an implementation of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use elanus_embed::{DecodeLimits, DeviceChoice, EmbedderOptions, Input, Pooling, decode, open, preprocess};

/// A file and its reference vectors, max and avg.
struct Golden {
    file: String,
    vectors: [Vec<f32>; 2],
}

fn goldens() -> Vec<Golden> {
    let text = std::fs::read_to_string(data("golden.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let vector = |value: &serde_json::Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
    };
    let golden = |entry: &serde_json::Value| Golden {
        file: entry["file"].as_str().unwrap().to_string(),
        vectors: [vector(&entry["max"]), vector(&entry["avg"])],
    };
    json["images"].as_array().unwrap().iter().map(golden).collect()
}

fn data(file: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", file].iter().collect()
}

fn input(file: &str) -> Input {
    let bytes = std::fs::read(data(file)).unwrap();
    preprocess(&decode(&bytes, &DecodeLimits::default()).unwrap())
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn vectors_equal_the_reference() {
    let goldens = goldens();
    assert!(goldens.len() >= 5);
    let inputs: Vec<Input> = goldens.iter().map(|golden| input(&golden.file)).collect();
    for (which, pooling) in [Pooling::Max, Pooling::Avg].into_iter().enumerate() {
        let embedder = open(&EmbedderOptions { device: DeviceChoice::Cpu, pooling }).unwrap();
        // One odd call: more than one batch, and the last one smaller.
        let vectors = embedder.embed(&inputs).unwrap();
        for (golden, vector) in goldens.iter().zip(&vectors) {
            assert_eq!(vector.len(), embedder.identity().dimension);
            let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
            assert!((length - 1.0).abs() < 1e-5, "{}: length {length}", golden.file);
            let cosine = cosine(vector, &golden.vectors[which]);
            // Lossless files leave no room for a difference but f32 rounding; JPEG decoders differ by a level or two.
            let least = if golden.file.ends_with("png") { 0.99999 } else { 0.999 };
            assert!(cosine >= least, "{} {pooling}: cosine {cosine}", golden.file);
            let other = &golden.vectors[1 - which];
            assert!(cosine > self::cosine(vector, other), "{}: the poolings are mixed up", golden.file);
        }
    }
}

#[test]
fn resizing_equals_pillow_to_one_level() {
    for file in ["landscape.png", "small.png"] {
        let ours = input(file);
        // Already 224x224, so this is Pillow's result untouched.
        let pillow = input(&format!("resized/{file}"));
        let differences: Vec<u8> = ours.rgb().iter().zip(pillow.rgb()).map(|(a, b)| a.abs_diff(*b)).collect();
        let different = differences.iter().filter(|&&difference| difference > 0).count();
        eprintln!("{file}: {different} of {} values differ", differences.len());
        assert!(differences.iter().all(|&difference| difference <= 1), "{file}");
        assert!(different < differences.len() / 50, "{file}: {different} values differ");
    }
}
