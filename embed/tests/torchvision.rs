//! Networks by a weights file against torchvision: the same weights are made here and by
//! `embed/models/torchvision_golden.py`, which wrote down what torchvision's networks give with them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod drawn_weights;

use std::io::Cursor;

use drawn_weights::{VGG16, VGG19, file, resnet50, vgg};
use elanus_embed::{
    Architecture, Descriptor, DeviceChoice, Embedder, Input, ModelKey, Network, Pooling, Recipe, Sha256,
    WeightsError, check_model, networks_of, open_model,
};
use serde_json::Value;
use sha2::Digest as _;

fn picture() -> Input {
    Input::from_rgb(Recipe::Torchvision, drawn_weights::picture()).unwrap()
}

fn open(network: Network, file: &[u8]) -> std::sync::Arc<dyn Embedder> {
    let sha256 = Sha256::new(sha2::Sha256::digest(file).into());
    open_model(DeviceChoice::Cpu, ModelKey { network, sha256 }, Cursor::new(file)).unwrap()
}

/// Compares the vectors of a network with torchvision's: a cosine of 0.9999 is asked for, and far more is found.
fn compare(network: Network, file: &[u8], poolings: &[Pooling]) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/torchvision.json");
    let goldens: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let embedder = open(network, file);
    // Twice the same: what the first run left in the buffers must not matter.
    let maps = embedder.feature_maps(&vec![picture(); 2]).unwrap();
    assert!(maps[0] == maps[1]);
    assert!(embedder.feature_maps(&[picture()]).unwrap()[0] == maps[0], "the batch does not matter");
    for pooling in poolings {
        let golden = goldens[network.name()][pooling.to_string()].as_array().unwrap();
        let found = maps[0].pool(*pooling).unwrap();
        assert_eq!((found.len(), golden.len()), (network.dimension(), network.dimension()));
        let golden = golden.iter().map(|value| value.as_f64().unwrap());
        let pairs: Vec<(f64, f64)> = found.iter().map(|&value| f64::from(value)).zip(golden).collect();
        let cosine: f64 = pairs.iter().map(|(a, b)| a * b).sum();
        let distance = pairs.iter().map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        eprintln!("{network}, {pooling}: cosine {cosine:.9}, distance {distance:.1e}");
        assert!(cosine >= 0.9999 && distance < 1e-3, "{network} {pooling}: {cosine} {distance}");
    }
}

#[test]
fn vgg16_and_its_fully_connected_layers_equal_torchvision() {
    let file = file(&vgg(&VGG16, true));
    compare(Network::Vgg16, &file, &[Pooling::Max, Pooling::Avg]);
    compare(Network::Vgg16Fc6, &file, &[Pooling::None]);
    compare(Network::Vgg16Fc7, &file, &[Pooling::None]);
    let all = [Network::Vgg16, Network::Vgg16Fc6, Network::Vgg16Fc7];
    assert_eq!(networks_of(Architecture::Vgg16, Cursor::new(&file)).unwrap(), all);
    let large = Input::from_rgb(Recipe::Keras320, vec![90; 320 * 320 * 3]).unwrap();
    let refused = open(Network::Vgg16Fc6, &file).feature_maps(&[large]).unwrap_err();
    assert!(refused.to_string().contains("a fully connected layer takes pictures of 224x224"), "{refused}");
}

#[test]
fn vgg19_equals_torchvision() {
    compare(Network::Vgg19, &file(&vgg(&VGG19, false)), &[Pooling::Max, Pooling::Avg]);
}

#[test]
fn resnet50_equals_torchvision() {
    let file = file(&resnet50());
    compare(Network::Resnet50, &file, &[Pooling::Avg, Pooling::Max]);
    let embedder = open(Network::Resnet50, &file);
    let large = Input::from_rgb(Recipe::Keras320, vec![90; 320 * 320 * 3]).unwrap();
    let maps = embedder.feature_maps(&[picture(), large.clone(), large]).unwrap();
    assert_eq!(maps[1].values().len(), 2048 * 10 * 10);
    assert!(maps[1] == maps[2] && maps[0] == embedder.feature_maps(&[picture()]).unwrap()[0]);
}

#[test]
fn files_of_other_networks_are_refused_by_what_they_lack() {
    let file = file(&vgg(&VGG16, false));
    let refused = |network| check_model(network, Cursor::new(&file)).unwrap_err();
    let missing = |tensor: &str| WeightsError::Missing { tensor: tensor.to_string() };
    assert_eq!(refused(Network::Vgg16Fc7), missing("classifier.0.weight"));
    assert_eq!(refused(Network::Resnet50), missing("conv1.weight"));
    assert_eq!(refused(Network::Vgg19), missing("features.16.weight"));
    assert_eq!(networks_of(Architecture::Vgg16, Cursor::new(&file)).unwrap(), [Network::Vgg16]);
    let model = check_model(Network::Vgg16, Cursor::new(&file)).unwrap();
    assert_eq!(model.sha256, Sha256::new(sha2::Sha256::digest(&file).into()));
    let other = ModelKey { sha256: Sha256::new([1; 32]), ..model };
    let error = open_model(DeviceChoice::Cpu, other, Cursor::new(&file)).map(drop).unwrap_err();
    assert!(error.to_string().contains("damaged or another one"), "{error}");
    let standard = Descriptor::new(model, None, None).unwrap();
    assert_eq!(elanus_embed::ModelIdentity::of(standard).descriptor(), Some(standard));
}
