//! Weights files with random weights that anybody can make again: `embed/models/torchvision_golden.py` draws the same.

use serde_json::{Map, Value, json};

pub(super) type Tensors = Vec<(String, Vec<usize>)>;

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
pub(super) fn file(tensors: &Tensors) -> Vec<u8> {
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
pub(super) fn vgg(layers: &[usize], dense: bool) -> Tensors {
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

pub(super) fn resnet50() -> Tensors {
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

/// The RGB pixels of the picture that the script draws, 224x224.
pub(super) fn picture() -> Vec<u8> {
    let byte = |at: usize| {
        let (y, x, c) = (at / 3 / 224, at / 3 % 224, at % 3);
        ((x * (c + 1) * 3 + y * (5 - c) + x * y / (16 + c)) % 256) as u8
    };
    (0..224 * 224 * 3).map(byte).collect()
}

/// VGG16 in torchvision's words, for [`vgg`].
pub(super) const VGG16: [usize; 18] =
    [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0];
/// VGG19.
pub(super) const VGG19: [usize; 21] =
    [64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0];
