//! Networks by a weights file against torchvision: the same weights are made here and by
//! `embed/models/torchvision_golden.py`, which wrote down what torchvision's networks give with them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Cursor;

use elanus_embed::{
    Descriptor, DeviceChoice, Embedder, Input, ModelKey, Network, Pooling, Recipe, Sha256, WeightsError,
    check_model, open_model,
};
use serde_json::{Map, Value, json};
use sha2::Digest as _;

type Tensors = Vec<(String, Vec<usize>)>;

/// Numbers from -0.5 to 0.5: SplitMix64 from the FNV-1a hash of the name.
fn uniform(name: &str) -> impl Iterator<Item = f32> + use<> {
    let seed = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (1u64..).map(move |at| {
        let mut z = at.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 40) as f32 / (1 << 24) as f32 - 0.5
    })
}

/// The values of a tensor, see `values` of the script.
fn values(name: &str, shape: &[usize]) -> Box<dyn Iterator<Item = f32>> {
    let numbers = uniform(name).take(shape.iter().product());
    if shape.len() > 1 {
        let fan_in: usize = shape[1..].iter().product();
        let scale = (24.0 / fan_in as f64).sqrt() as f32;
        Box::new(numbers.map(move |u| u * scale))
    } else if name.ends_with("running_var") {
        Box::new(numbers.map(|u| u + 1.0))
    } else if name.ends_with("weight") {
        let scale = if name.contains("bn3") { 0.25 } else { 1.0 };
        Box::new(numbers.map(move |u| (u + 1.0) * scale))
    } else {
        Box::new(numbers.map(|u| u * 0.2))
    }
}

/// The weights as a safetensors file.
fn file(tensors: &Tensors) -> Vec<u8> {
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in tensors {
        let start = end;
        end += 4 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({"dtype": "F32", "shape": shape, "data_offsets": [start, end]}));
    }
    let header = Value::Object(header).to_string();
    let mut file = Vec::with_capacity(8 + header.len() + end);
    file.extend((header.len() as u64).to_le_bytes());
    file.extend(header.bytes());
    for (name, shape) in tensors {
        file.extend(values(name, shape).flat_map(f32::to_le_bytes));
    }
    file
}

/// Names and shapes of a VGG by torchvision's lists: the channels of each convolution, `0` for a pool.
fn vgg(layers: &[usize], dense: bool) -> Tensors {
    let (mut tensors, mut inputs, mut at) = (Tensors::new(), 3, 0);
    for &outputs in layers {
        if outputs > 0 {
            tensors.push((format!("features.{at}.weight"), vec![outputs, inputs, 3, 3]));
            tensors.push((format!("features.{at}.bias"), vec![outputs]));
            (inputs, at) = (outputs, at + 1);
        }
        at += 1;
    }
    for (layer, inputs) in [(0, 512 * 7 * 7), (3, 4096)].into_iter().take(if dense { 2 } else { 0 }) {
        tensors.push((format!("classifier.{layer}.weight"), vec![4096, inputs]));
        tensors.push((format!("classifier.{layer}.bias"), vec![4096]));
    }
    tensors
}

fn resnet50() -> Tensors {
    let mut tensors = Tensors::new();
    let mut add = |conv: String, norm: String, shape: [usize; 4]| {
        tensors.push((format!("{conv}.weight"), shape.to_vec()));
        for what in ["weight", "bias", "running_mean", "running_var"] {
            tensors.push((format!("{norm}.{what}"), vec![shape[0]]));
        }
    };
    add("conv1".into(), "bn1".into(), [64, 3, 7, 7]);
    let mut inputs = 64;
    for (stage, (blocks, inner)) in [(3, 64), (4, 128), (6, 256), (3, 512)].into_iter().enumerate() {
        for block in 0..blocks {
            let name = format!("layer{}.{block}", stage + 1);
            for (number, shape) in [[inner, inputs, 1, 1], [inner, inner, 3, 3], [4 * inner, inner, 1, 1]]
                .into_iter()
                .enumerate()
            {
                add(format!("{name}.conv{}", number + 1), format!("{name}.bn{}", number + 1), shape);
            }
            if block == 0 {
                let shape = [4 * inner, inputs, 1, 1];
                add(format!("{name}.downsample.0"), format!("{name}.downsample.1"), shape);
            }
            inputs = 4 * inner;
        }
    }
    tensors
}

/// The picture that the script draws.
fn picture() -> Input {
    let byte = |at: usize| {
        let (y, x, c) = (at / 3 / 224, at / 3 % 224, at % 3);
        ((x * (c + 1) * 3 + y * (5 - c) + x * y / (16 + c)) % 256) as u8
    };
    Input::from_rgb(Recipe::Torchvision, (0..224 * 224 * 3).map(byte).collect()).unwrap()
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

const VGG16: [usize; 18] = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0];
const VGG19: [usize; 21] =
    [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0];

#[test]
fn vgg16_and_its_fully_connected_layers_equal_torchvision() {
    let file = file(&vgg(&VGG16, true));
    compare(Network::Vgg16, &file, &[Pooling::Max, Pooling::Avg]);
    compare(Network::Vgg16Fc6, &file, &[Pooling::None]);
    compare(Network::Vgg16Fc7, &file, &[Pooling::None]);
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
    let model = check_model(Network::Vgg16, Cursor::new(&file)).unwrap();
    assert_eq!(model.sha256, Sha256::new(sha2::Sha256::digest(&file).into()));
    let other = ModelKey { sha256: Sha256::new([1; 32]), ..model };
    let error = open_model(DeviceChoice::Cpu, other, Cursor::new(&file)).map(drop).unwrap_err();
    assert!(error.to_string().contains("damaged or another one"), "{error}");
    let standard = Descriptor::new(model, None, None).unwrap();
    assert_eq!(elanus_embed::ModelIdentity::of(standard).descriptor(), Some(standard));
}
