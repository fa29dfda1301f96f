//! ResNet-50 on any burn backend.

use std::io::{Read, Seek};

use burn_tensor::Tensor;
use burn_tensor::activation::relu;
use burn_tensor::backend::Backend;
use burn_tensor::module::{conv2d, max_pool2d};
use burn_tensor::ops::ConvOptions;

use super::{Bottleneck, Folded, read};
use crate::device::backend::Place;
use crate::error::WeightsError;
use crate::weights::WeightsFile;

/// A convolution with the batch normalisation behind it, padded by half of its size.
struct Conv<B: Backend> {
    kernel: Tensor<B, 4>,
    bias: Tensor<B, 1>,
    options: ConvOptions<2>,
}

impl<B: Backend> Conv<B> {
    fn new(conv: Folded, place: &Place<B>) -> Self {
        let Folded { weights, bias, outputs, inputs, size, stride } = conv;
        Self {
            kernel: place.tensor(weights, [outputs, inputs, size, size]),
            bias: place.tensor(bias, [outputs]),
            options: ConvOptions::new([stride; 2], [size / 2; 2], [1, 1], 1),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        conv2d(x, self.kernel.clone(), Some(self.bias.clone()), self.options.clone())
    }
}

/// A bottleneck of three convolutions beside what it adds to.
struct Block<B: Backend> {
    narrow: Conv<B>,
    middle: Conv<B>,
    widen: Conv<B>,
    project: Option<Conv<B>>,
}

impl<B: Backend> Block<B> {
    fn new(block: Bottleneck, place: &Place<B>) -> Self {
        Self {
            narrow: Conv::new(block.narrow, place),
            middle: Conv::new(block.middle, place),
            widen: Conv::new(block.widen, place),
            project: block.project.map(|project| Conv::new(project, place)),
        }
    }

    fn forward(&self, x: Tensor<B, 4>) -> Tensor<B, 4> {
        let inner = relu(self.middle.forward(relu(self.narrow.forward(x.clone()))));
        let x = match &self.project {
            Some(project) => project.forward(x),
            None => x,
        };
        relu(self.widen.forward(inner) + x)
    }
}

/// The network with its weights on one device.
pub(crate) struct Resnet<B: Backend> {
    stem: Conv<B>,
    blocks: Vec<Block<B>>,
}

impl<B: Backend> Resnet<B> {
    /// Copies the weights to a device.
    pub(crate) fn load<R: Read + Seek>(
        file: &mut WeightsFile<R>,
        place: &Place<B>,
    ) -> Result<Self, WeightsError> {
        let mut blocks = Vec::new();
        let stem = read(file, |_, block| blocks.push(Block::new(block, place)))?;
        Ok(Self { stem: Conv::new(stem, place), blocks })
    }

    /// `[n, 3, side, side]` to `[n, 2048, side / 32, side / 32]`.
    pub(crate) fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        let x = relu(self.stem.forward(images));
        let x = max_pool2d(x, [3, 3], [2, 2], [1, 1], [1, 1], false);
        self.blocks.iter().fold(x, |x, block| block.forward(x))
    }
}
