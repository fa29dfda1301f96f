//! VGG on any burn backend.

use std::io::{Read, Seek};

use burn_tensor::Tensor;
use burn_tensor::activation::relu;
use burn_tensor::backend::Backend;
use burn_tensor::module::{conv2d, max_pool2d};
use burn_tensor::ops::ConvOptions;

use super::{Layers, convs, denses};
use crate::device::backend::Place;
use crate::error::{EmbedError, WeightsError};
use crate::weights::WeightsFile;

/// A 3x3 convolution with padding 1 and its ReLU.
struct Conv<B: Backend> {
    kernel: Tensor<B, 4>,
    bias: Tensor<B, 1>,
    /// Whether a 2x2 max pool follows.
    pool: bool,
}

impl<B: Backend> Conv<B> {
    fn new(stored: super::Conv, place: &Place<B>) -> Self {
        let super::Conv { kernel, bias, outputs, inputs, pool } = stored;
        let kernel = place.tensor(kernel, [outputs, inputs, 3, 3]);
        Self { kernel, bias: place.tensor(bias, [outputs]), pool }
    }

    /// `[n, inputs, h, w]` to `[n, outputs, h, w]`, or half of each side.
    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let x = relu(conv2d(x, self.kernel.clone(), Some(self.bias.clone()), options));
        if self.pool { max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false) } else { x }
    }
}

/// A fully connected layer and its ReLU.
struct Dense<B: Backend> {
    /// `[inputs, outputs]`.
    weights: Tensor<B, 2>,
    /// `[1, outputs]`.
    bias: Tensor<B, 2>,
}

impl<B: Backend> Dense<B> {
    fn new(stored: super::Dense, place: &Place<B>) -> Self {
        let super::Dense { weights, bias, area: _ } = stored;
        let (outputs, inputs) = (bias.len(), weights.len() / bias.len());
        let weights = place.tensor(weights, [outputs, inputs]).transpose();
        Self { weights, bias: place.tensor(bias, [1, outputs]) }
    }

    /// `[n, inputs]` to `[n, outputs]`.
    fn forward(&self, x: Tensor<B, 2>) -> Tensor<B, 2> {
        relu(x.matmul(self.weights.clone()) + self.bias.clone())
    }
}

/// The network with its weights on one device.
pub(crate) struct Vgg<B: Backend> {
    layers: Layers,
    convs: Vec<Conv<B>>,
    dense: Vec<Dense<B>>,
}

impl<B: Backend> Vgg<B> {
    /// Copies the weights to a device.
    pub(crate) fn load<R: Read + Seek>(
        file: &mut WeightsFile<R>,
        layers: Layers,
        place: &Place<B>,
    ) -> Result<Self, WeightsError> {
        let (mut loaded, mut dense) = (Vec::new(), Vec::new());
        convs(file, layers, |conv| loaded.push(Conv::new(conv, place)))?;
        denses(file, layers, |layer| dense.push(Dense::new(layer, place)))?;
        Ok(Self { layers, convs: loaded, dense })
    }

    /// `[n, 3, side, side]` to `[n, 512, side / 32, side / 32]`, or to `[n, 4096, 1, 1]` behind a fully connected layer.
    ///
    /// # Errors
    /// [`EmbedError::Compute`] for a side that a fully connected layer does not take.
    pub(crate) fn forward(&self, images: Tensor<B, 4>) -> Result<Tensor<B, 4>, EmbedError> {
        self.layers.check(images.dims()[3])?;
        let maps = self.convs.iter().fold(images, |x, conv| conv.forward(x));
        if self.dense.is_empty() {
            return Ok(maps);
        }
        let rows = self.dense.iter().fold(maps.flatten(1, 3), |x, layer| layer.forward(x));
        Ok(rows.unsqueeze_dims(&[2, 3]))
    }
}
