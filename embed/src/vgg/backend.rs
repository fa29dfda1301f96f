//! The convolutions of VGG on any burn backend: what runs on GPUs, and what the tests hold our own convolutions against.

use std::io::{Read, Seek};

use burn_tensor::activation::relu;
use burn_tensor::backend::Backend;
use burn_tensor::module::{conv2d, max_pool2d};
use burn_tensor::ops::ConvOptions;
use burn_tensor::{Tensor, TensorData};

use super::{CHANNELS, Layers, convs};
use crate::error::{EmbedError, WeightsError};
use crate::pool::FeatureMap;
use crate::preprocess::{Input, Normalisation};
use crate::weights::WeightsFile;

/// A 3x3 convolution with padding 1 and its ReLU.
struct Conv<B: Backend> {
    kernel: Tensor<B, 4>,
    bias: Tensor<B, 1>,
    /// Whether a 2x2 max pool follows.
    pool: bool,
}

impl<B: Backend> Conv<B> {
    fn new(weights: super::Conv, device: &B::Device) -> Self {
        let shape = [weights.outputs, weights.inputs, 3, 3];
        let kernel = Tensor::from_data(TensorData::new(weights.kernel, shape), device);
        let bias = Tensor::from_data(TensorData::new(weights.bias, [weights.outputs]), device);
        Self { kernel, bias, pool: weights.pool }
    }

    /// `[n, inputs, h, w]` to `[n, outputs, h, w]`, or half of each side.
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let x = relu(conv2d(x, self.kernel.clone(), Some(self.bias.clone()), options));
        if self.pool { max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false) } else { x }
    }
}

/// The network with its weights on one device.
pub(crate) struct Vgg<B: Backend> {
    convs: Vec<Conv<B>>,
    normalisation: Normalisation,
    device: B::Device,
}

impl<B: Backend> Vgg<B> {
    /// Copies the weights to `device`, widened to f32. Fully connected layers are left out.
    pub(crate) fn load<R: Read + Seek>(
        device: B::Device,
        file: &mut WeightsFile<R>,
        layers: Layers,
        normalisation: Normalisation,
    ) -> Result<Self, WeightsError> {
        let mut loaded = Vec::new();
        convs(file, layers, |conv| loaded.push(Conv::new(conv, &device)))?;
        Ok(Self { convs: loaded, normalisation, device })
    }

    /// What the last pool leaves of each input, in order. All inputs are of one size.
    pub(crate) fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        let Some(side) = inputs.first().map(Input::side) else { return Ok(Vec::new()) };
        let mut planes = Vec::with_capacity(inputs.len() * 3 * side * side);
        for input in inputs {
            input.write_planes(self.normalisation, &mut planes);
        }
        let data = TensorData::new(planes, [inputs.len(), 3, side, side]);
        let mut x = Tensor::<B, 4>::from_data(data, &self.device);
        for conv in &self.convs {
            x = conv.forward(x);
        }
        let failed = |reason: String| EmbedError::Compute { reason };
        let data = x.try_into_data().map_err(|error| failed(error.to_string()))?;
        // Half precision ends here.
        let values = data.convert::<f32>().into_vec::<f32>().map_err(|error| failed(format!("{error:?}")))?;
        let each = (values.len() / inputs.len()).max(1);
        values.chunks(each).map(|map| FeatureMap::new(map.to_vec(), CHANNELS[4])).collect()
    }
}
