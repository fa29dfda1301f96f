//! The VGG networks (Simonyan and Zisserman, 2014): five blocks of 3x3 convolutions with ReLU, each followed by a 2x2 max
//! pool, and perhaps the first fully connected layers. They differ by lists. What is left of a photo is a
//! [`FeatureMap`](crate::FeatureMap), which is pooled into a vector. They are there twice: for the processor on our own
//! convolutions, and for GPUs on any burn backend. What must stay true of both: inputs of any side that is a multiple of 32
//! (224 before a fully connected layer), vectors equal to Keras's and torchvision's to a cosine of 0.9999. The devices own
//! a network each; nothing else calls it.

#[cfg(any(test, feature = "cuda"))]
mod backend;
pub(crate) mod carried;
mod cpu;
#[cfg(test)]
mod parity;

use std::io::{Read, Seek};

#[cfg(any(test, feature = "cuda"))]
pub(crate) use backend::Vgg;
pub(crate) use cpu::CpuVgg;

use crate::error::{EmbedError, WeightsError};
use crate::network::Network;
use crate::weights::WeightsFile;

/// Channels of the blocks.
const CHANNELS: [usize; 5] = [64, 128, 256, 512, 512];
/// Values of a fully connected layer.
const DENSE: usize = 4096;
/// Positions of the maps that the first of them takes.
const DENSE_AREA: usize = 7 * 7;

/// Layers per block, numbered as in weights files (torchvision counts the ReLUs and pools between them).
const D: [&[usize]; 5] = [&[0, 2], &[5, 7], &[10, 12, 14], &[17, 19, 21], &[24, 26, 28]];
const E: [&[usize]; 5] = [&[0, 2], &[5, 7], &[10, 12, 14, 16], &[19, 21, 23, 25], &[28, 30, 32, 34]];

/// Which layers a network has.
#[derive(Clone, Copy)]
pub(crate) struct Layers {
    convs: [&'static [usize]; 5],
    /// Fully connected ones, as numbered in weights files.
    dense: &'static [usize],
}

impl Layers {
    /// Those of a VGG; `None` for another network.
    pub(crate) fn of(network: Network) -> Option<Self> {
        let (convs, dense): (_, &[usize]) = match network {
            Network::Carried | Network::Vgg16 => (D, &[]),
            Network::Vgg16Fc6 => (D, &[0]),
            Network::Vgg16Fc7 => (D, &[0, 3]),
            Network::Vgg19 => (E, &[]),
            Network::Resnet50 => return None,
        };
        Some(Self { convs, dense })
    }

    /// Whether a file has its fully connected layers, by their names.
    pub(crate) fn are_in<R: Read + Seek>(self, file: &WeightsFile<R>) -> bool {
        self.dense.iter().all(|layer| file.has(&dense_weight(*layer)))
    }

    /// Refuses pictures of a side that it does not take.
    fn check(self, side: usize) -> Result<(), EmbedError> {
        if self.dense.is_empty() || (side / 32).pow(2) == DENSE_AREA {
            return Ok(());
        }
        Err(EmbedError::Compute { reason: "a fully connected layer takes pictures of 224x224".to_string() })
    }
}

/// One 3x3 convolution as stored, widened to f32.
struct Conv {
    /// `[outputs, inputs, 3, 3]`, row-major.
    kernel: Vec<f32>,
    /// One value per output.
    bias: Vec<f32>,
    outputs: usize,
    inputs: usize,
    /// Whether a pool follows.
    pool: bool,
}

/// Hands each convolution of a weights file to `take`, in order.
fn convs<R: Read + Seek>(
    file: &mut WeightsFile<R>,
    layers: Layers,
    mut take: impl FnMut(Conv),
) -> Result<(), WeightsError> {
    let mut inputs = 3;
    for (block, outputs) in layers.convs.into_iter().zip(CHANNELS) {
        for layer in block {
            let kernel = file.tensor(&format!("features.{layer}.weight"), &[outputs, inputs, 3, 3])?;
            let bias = file.tensor(&format!("features.{layer}.bias"), &[outputs])?;
            take(Conv { kernel, bias, outputs, inputs, pool: block.last() == Some(layer) });
            inputs = outputs;
        }
    }
    Ok(())
}

/// One fully connected layer as stored, widened to f32.
struct Dense {
    /// `[outputs, inputs]`, row-major.
    weights: Vec<f32>,
    /// One value per output.
    bias: Vec<f32>,
    /// Positions of the map that the inputs are of: 1 behind another such layer.
    area: usize,
}

/// Hands each fully connected layer of a weights file to `take`, in order.
fn denses<R: Read + Seek>(
    file: &mut WeightsFile<R>,
    layers: Layers,
    mut take: impl FnMut(Dense),
) -> Result<(), WeightsError> {
    let (mut inputs, mut area) = (CHANNELS[4] * DENSE_AREA, DENSE_AREA);
    for layer in layers.dense {
        let weights = file.tensor(&dense_weight(*layer), &[DENSE, inputs])?;
        let bias = file.tensor(&format!("classifier.{layer}.bias"), &[DENSE])?;
        take(Dense { weights, bias, area });
        (inputs, area) = (DENSE, 1);
    }
    Ok(())
}

fn dense_weight(layer: usize) -> String {
    format!("classifier.{layer}.weight")
}
