//! ResNet-50 (He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015), as torchvision has it: version
//! 1.5, whose strides are in the 3x3 convolutions. What is left of a photo is the maps before the average pool: 2048
//! channels of a 32nd of the input's side. It is there twice, as the VGG networks are: for the processor on our own
//! convolutions, and for GPUs on any burn backend. What must stay true of both: vectors equal to torchvision's to a cosine
//! of 0.9999. The devices own it; nothing else calls it.
//!
//! ```text
//!   7x7/2, pool -> 3, 4, 6 and 3 blocks of 64, 128, 256 and 512 channels, each:
//!
//!   x --> 1x1 --> 3x3, the first of a stage /2 --> 1x1 to four times the channels --> + --> ReLU --> x
//!   '---> as it is; in the first of a stage 1x1 to the new size ----------------------'
//! ```

#[cfg(any(test, feature = "cuda"))]
mod backend;
mod cpu;

use std::io::{Read, Seek};

#[cfg(any(test, feature = "cuda"))]
pub(crate) use backend::Resnet;
pub(crate) use cpu::CpuResnet;

use crate::conv::Kernel2d;
use crate::error::WeightsError;
use crate::weights::WeightsFile;

/// Blocks and inner channels of the four stages.
const STAGES: [(usize, usize); 4] = [(3, 64), (4, 128), (6, 256), (3, 512)];
/// Outer channels of a stage for each of its inner ones.
const EXPANSION: usize = 4;
/// Channels of the first layer.
const STEM: usize = 64;
/// What batch normalisation adds to a variance, in PyTorch.
const EPSILON: f64 = 1e-5;
/// The convolutions of a block as stored, see the picture above.
struct Bottleneck {
    narrow: Folded,
    middle: Folded,
    widen: Folded,
    /// In the first block of a stage: x brought to the stage's size.
    project: Option<Folded>,
}

impl Bottleneck {
    /// Reads the block of this name, as torchvision has it (`layer1.0`).
    fn read<R: Read + Seek>(
        file: &mut WeightsFile<R>,
        name: &str,
        (inputs, inner): (usize, usize),
        stride: usize,
    ) -> Result<Self, WeightsError> {
        let outer = inner * EXPANSION;
        let mut conv = |number: usize, shape: [usize; 3], stride: usize| {
            let (conv, norm) = (format!("{name}.conv{number}"), format!("{name}.bn{number}"));
            Folded::read(file, &conv, &norm, shape, stride)
        };
        let narrow = conv(1, [inner, inputs, 1], 1)?;
        let middle = conv(2, [inner, inner, 3], stride)?;
        let widen = conv(3, [outer, inner, 1], 1)?;
        let project = if inputs == outer {
            None
        } else {
            let (conv, norm) = (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
            Some(Folded::read(file, &conv, &norm, [outer, inputs, 1], stride)?)
        };
        Ok(Self { narrow, middle, widen, project })
    }
}

/// Hands each block of a weights file to `take`, in order, with the number of its stage from 0 on; gives the first layer.
fn read<R: Read + Seek>(
    file: &mut WeightsFile<R>,
    mut take: impl FnMut(usize, Bottleneck),
) -> Result<Folded, WeightsError> {
    let stem = Folded::read(file, "conv1", "bn1", [STEM, 3, 7], 2)?;
    let mut inputs = STEM;
    for (stage, (blocks, inner)) in STAGES.into_iter().enumerate() {
        for block in 0..blocks {
            // The first stage comes behind a pool and keeps its size.
            let stride = if block == 0 && stage > 0 { 2 } else { 1 };
            take(
                stage,
                Bottleneck::read(file, &format!("layer{}.{block}", stage + 1), (inputs, inner), stride)?,
            );
            inputs = inner * EXPANSION;
        }
    }
    Ok(stem)
}

/// A convolution with the batch normalisation behind it (Ioffe and Szegedy, 2015): at its trained mean and variance that
/// is a factor and a summand for each output, which are made part of the weights.
struct Folded {
    weights: Vec<f32>,
    bias: Vec<f32>,
    outputs: usize,
    inputs: usize,
    size: usize,
    stride: usize,
}

impl Folded {
    fn read<R: Read + Seek>(
        file: &mut WeightsFile<R>,
        conv: &str,
        norm: &str,
        [outputs, inputs, size]: [usize; 3],
        stride: usize,
    ) -> Result<Self, WeightsError> {
        let mut weights = file.tensor(&format!("{conv}.weight"), &[outputs, inputs, size, size])?;
        let mut of = |what: &str| file.tensor(&format!("{norm}.{what}"), &[outputs]);
        let (scale, shift) = (of("weight")?, of("bias")?);
        let (mean, variance) = (of("running_mean")?, of("running_var")?);
        let factor = |at: usize| f64::from(scale[at]) / (f64::from(variance[at]) + EPSILON).sqrt();
        for (at, kernel) in weights.chunks_exact_mut(inputs * size * size).enumerate() {
            let factor = factor(at);
            kernel.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * factor) as f32);
        }
        let bias = (0..outputs).map(|at| (f64::from(shift[at]) - f64::from(mean[at]) * factor(at)) as f32);
        let bias: Vec<f32> = bias.collect();
        // Finite values can give what is not: a negative variance, a factor beyond f32.
        if !weights.iter().chain(&bias).all(|value| value.is_finite()) {
            return Err(WeightsError::Folded { norm: norm.to_string(), conv: conv.to_string() });
        }
        Ok(Self { weights, bias, outputs, inputs, size, stride })
    }

    fn kernel2d(&self) -> Kernel2d<'_> {
        let Self { weights, bias, outputs, inputs, size, .. } = self;
        Kernel2d { weights, bias, outputs: *outputs, inputs: *inputs, size: *size }
    }
}
