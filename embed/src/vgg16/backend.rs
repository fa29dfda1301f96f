//! VGG16 on any burn backend: what runs on GPUs, and what the tests hold our own convolutions against.

use burn_tensor::activation::relu;
use burn_tensor::backend::Backend;
use burn_tensor::module::{conv2d, max_pool2d};
use burn_tensor::ops::ConvOptions;
use burn_tensor::{Tensor, TensorData};

use super::BLOCKS;
use super::weights::{ConvWeights, WEIGHTS, WeightsFile};
#[cfg(feature = "cuda")]
use super::{DIMENSION, Pooling, pool};
use crate::error::EmbedError;
use crate::preprocess::{Input, SIDE};

/// A 3x3 convolution with padding 1 and its ReLU.
struct Conv<B: Backend> {
    kernel: Tensor<B, 4>,
    bias: Tensor<B, 1>,
}

impl<B: Backend> Conv<B> {
    fn new(weights: ConvWeights, device: &B::Device) -> Self {
        let shape = [weights.outputs, weights.inputs, 3, 3];
        let kernel = Tensor::from_data(TensorData::new(weights.kernel, shape), device);
        let bias = Tensor::from_data(TensorData::new(weights.bias, [weights.outputs]), device);
        Self { kernel, bias }
    }

    /// `[n, inputs, h, w]` to `[n, outputs, h, w]`.
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        relu(conv2d(x, self.kernel.clone(), Some(self.bias.clone()), options))
    }
}

/// The network with its weights on one device.
pub(crate) struct Vgg16<B: Backend> {
    blocks: Vec<Vec<Conv<B>>>,
    device: B::Device,
}

impl<B: Backend> Vgg16<B> {
    /// Copies the carried weights to `device`, widened to f32.
    pub(crate) fn load(device: B::Device) -> Result<Self, EmbedError> {
        let file = WeightsFile::parse(WEIGHTS)?;
        let block = |layers: &&[usize]| {
            layers.iter().map(|&index| Ok(Conv::new(file.conv(index)?, &device))).collect()
        };
        let blocks = BLOCKS.iter().map(block).collect::<Result<_, EmbedError>>()?;
        Ok(Self { blocks, device })
    }

    /// One L2-normalised vector of [`DIMENSION`] values per input, in order. `inputs` must not be empty.
    #[cfg(feature = "cuda")]
    pub(crate) fn forward(&self, inputs: &[Input], pooling: Pooling) -> Result<Vec<Vec<f32>>, EmbedError> {
        pool::pool_and_normalise(&self.feature_maps(inputs)?, inputs.len(), DIMENSION, pooling)
    }

    /// The last pool's output on the host: `[n, 512, 7, 7]`, row-major.
    pub(super) fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<f32>, EmbedError> {
        let mut planes = Vec::with_capacity(inputs.len() * 3 * SIDE * SIDE);
        for input in inputs {
            input.write_planes(&mut planes);
        }
        let data = TensorData::new(planes, [inputs.len(), 3, SIDE, SIDE]);
        let mut x = Tensor::<B, 4>::from_data(data, &self.device);
        for block in &self.blocks {
            for conv in block {
                x = conv.forward(x);
            }
            x = max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false);
        }
        let failed = |reason: String| EmbedError::Compute { reason };
        let data = x.try_into_data().map_err(|error| failed(error.to_string()))?;
        data.into_vec::<f32>().map_err(|error| failed(format!("{error:?}")))
    }
}
