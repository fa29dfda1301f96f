//! The networks on any burn backend, in any precision: what runs on GPUs, and what the tests hold our own convolutions
//! against. Every tensor is made with its type said: burn's own choice is made once for a device, by whoever is first.

use std::io::{Read, Seek};
use std::time::Instant;

use burn_tensor::backend::Backend;
use burn_tensor::{DType, Element, Tensor, TensorData};
use half::{bf16, f16};
use rayon::prelude::*;

use super::{Precision, Spent};
use crate::error::{EmbedError, WeightsError};
use crate::network::Network;
use crate::pool::FeatureMap;
use crate::preprocess::{Input, Normalisation};
use crate::resnet::Resnet;
use crate::vgg::{Layers, Vgg};
use crate::weights::WeightsFile;

/// Where tensors are made, and of which type.
pub(crate) struct Place<B: Backend> {
    device: B::Device,
    dtype: DType,
}

impl<B: Backend> Place<B> {
    /// A tensor of weights, row-major.
    pub(crate) fn tensor<const D: usize>(&self, values: Vec<f32>, shape: [usize; D]) -> Tensor<B, D> {
        Tensor::from_data(TensorData::new(values, shape), (&self.device, self.dtype))
    }
}

enum Architecture<B: Backend> {
    Vgg(Vgg<B>),
    Resnet(Resnet<B>),
}

/// A network with its weights on one device.
pub(crate) struct BackendNetwork<B: Backend> {
    architecture: Architecture<B>,
    normalisation: Normalisation,
    precision: Precision,
    place: Place<B>,
}

impl<B: Backend> BackendNetwork<B> {
    /// Copies the weights to `device`.
    pub(crate) fn load<R: Read + Seek>(
        network: Network,
        file: &mut WeightsFile<R>,
        device: B::Device,
        precision: Precision,
    ) -> Result<Self, WeightsError> {
        let dtype = match precision {
            Precision::F32 => DType::F32,
            Precision::F16 => DType::F16,
            Precision::Bf16 => DType::BF16,
        };
        let place = Place { device, dtype };
        let architecture = match Layers::of(network) {
            Some(layers) => Architecture::Vgg(Vgg::load(file, layers, &place)?),
            None => Architecture::Resnet(Resnet::load(file, &place)?),
        };
        Ok(Self { architecture, normalisation: network.normalisation(), precision, place })
    }

    /// What the network leaves of each input, in order. All inputs are of one size; they run in a batch of `room` images,
    /// or of as many as there are, if that is more. Adds to `spent`.
    ///
    /// # Errors
    /// [`EmbedError::Compute`] for a size that the network does not take, and when the device fails.
    pub(crate) fn feature_maps(
        &self,
        inputs: &[Input],
        room: usize,
        spent: &mut Spent,
    ) -> Result<Vec<FeatureMap>, EmbedError> {
        match self.precision {
            Precision::F32 => self.run::<f32>(inputs, room, spent),
            Precision::F16 => self.run::<f16>(inputs, room, spent),
            Precision::Bf16 => self.run::<bf16>(inputs, room, spent),
        }
    }

    fn run<E: Element>(
        &self,
        inputs: &[Input],
        room: usize,
        spent: &mut Spent,
    ) -> Result<Vec<FeatureMap>, EmbedError> {
        let Some(side) = inputs.first().map(Input::side) else { return Ok(Vec::new()) };
        let started = Instant::now();
        let (room, each) = (room.max(inputs.len()), 3 * side * side);
        let mut planes = vec![E::from_elem(0.0f32); room * each];
        planes.par_chunks_mut(each).zip(inputs).for_each(|(planes, input)| {
            input.write_planes(self.normalisation, planes, E::from_elem);
        });
        let images = TensorData::new(planes, [room, 3, side, side]);
        let images = Tensor::<B, 4>::from_data(images, (&self.place.device, self.place.dtype));
        spent.copy += started.elapsed();
        let started = Instant::now();
        let maps = match &self.architecture {
            Architecture::Vgg(vgg) => vgg.forward(images)?,
            Architecture::Resnet(resnet) => resnet.forward(images),
        };
        let channels = maps.dims()[1];
        let failed = |reason: String| EmbedError::Compute { reason };
        let data = maps.try_into_data().map_err(|error| failed(error.to_string()))?;
        // Devices work on their own until somebody asks for the result: what they send back is counted here, too.
        spent.compute += started.elapsed();
        let started = Instant::now();
        // Another type than the one asked for is an error, too.
        let values = data.as_slice::<E>().map_err(|error| failed(format!("{error:?}")))?;
        let maps = values.par_chunks((values.len() / room).max(1)).take(inputs.len());
        let map = |map: &[E]| FeatureMap::new(map.iter().map(|value| value.elem()).collect(), channels);
        let maps = maps.map(map).collect();
        spent.copy += started.elapsed();
        maps
    }
}
