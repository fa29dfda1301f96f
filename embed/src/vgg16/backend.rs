//! VGG16 on any burn backend: what runs on GPUs, and what the tests hold our own convolutions against.

use burn_tensor::activation::relu;
use burn_tensor::backend::Backend;
use burn_tensor::module::{conv2d, max_pool2d};
use burn_tensor::ops::ConvOptions;
use burn_tensor::{Tensor, TensorData};

use super::weights::{ConvWeights, WEIGHTS, WeightsFile};
use super::{BLOCKS, DIMENSION, FeatureMap};
use crate::error::EmbedError;
use crate::preprocess::Input;

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

    /// What the last pool leaves of each input, in order. All inputs are of one size.
    pub(crate) fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        let Some(side) = inputs.first().map(Input::side) else { return Ok(Vec::new()) };
        let mut planes = Vec::with_capacity(inputs.len() * 3 * side * side);
        for input in inputs {
            input.write_planes(&mut planes);
        }
        let data = TensorData::new(planes, [inputs.len(), 3, side, side]);
        let mut x = Tensor::<B, 4>::from_data(data, &self.device);
        for block in &self.blocks {
            for conv in block {
                x = conv.forward(x);
            }
            x = max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false);
        }
        let failed = |reason: String| EmbedError::Compute { reason };
        let data = x.try_into_data().map_err(|error| failed(error.to_string()))?;
        // Half precision ends here.
        let values = data.convert::<f32>().into_vec::<f32>().map_err(|error| failed(format!("{error:?}")))?;
        let each = (values.len() / inputs.len()).max(1);
        values.chunks(each).map(|map| FeatureMap::new(map.to_vec(), DIMENSION)).collect()
    }
}
