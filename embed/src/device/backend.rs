//! The networks on any burn backend: what runs on GPUs, and what the tests hold our own convolutions against.

use std::io::{Read, Seek};

use burn_tensor::backend::Backend;
use burn_tensor::{Tensor, TensorData};

use crate::error::{EmbedError, WeightsError};
use crate::network::Network;
use crate::pool::FeatureMap;
use crate::preprocess::{Input, Normalisation};
use crate::resnet::Resnet;
use crate::vgg::{Layers, Vgg};
use crate::weights::WeightsFile;

enum Architecture<B: Backend> {
    Vgg(Vgg<B>),
    Resnet(Resnet<B>),
}

/// A network with its weights on one device.
pub(crate) struct BackendNetwork<B: Backend> {
    architecture: Architecture<B>,
    normalisation: Normalisation,
    device: B::Device,
}

impl<B: Backend> BackendNetwork<B> {
    /// Copies the weights to `device`, in the backend's precision.
    pub(crate) fn load<R: Read + Seek>(
        network: Network,
        file: &mut WeightsFile<R>,
        device: B::Device,
    ) -> Result<Self, WeightsError> {
        let architecture = match Layers::of(network) {
            Some(layers) => Architecture::Vgg(Vgg::load(file, layers, &device)?),
            None => Architecture::Resnet(Resnet::load(file, &device)?),
        };
        Ok(Self { architecture, normalisation: network.normalisation(), device })
    }

    /// What the network leaves of each input, in order. All inputs are of one size.
    ///
    /// # Errors
    /// [`EmbedError::Compute`] for a size that the network does not take, and when the device fails.
    pub(crate) fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        let Some(side) = inputs.first().map(Input::side) else { return Ok(Vec::new()) };
        let mut planes = Vec::with_capacity(inputs.len() * 3 * side * side);
        for input in inputs {
            input.write_planes(self.normalisation, &mut planes);
        }
        let images = TensorData::new(planes, [inputs.len(), 3, side, side]);
        let images = Tensor::<B, 4>::from_data(images, &self.device);
        let maps = match &self.architecture {
            Architecture::Vgg(vgg) => vgg.forward(images)?,
            Architecture::Resnet(resnet) => resnet.forward(images),
        };
        let channels = maps.dims()[1];
        let failed = |reason: String| EmbedError::Compute { reason };
        let data = maps.try_into_data().map_err(|error| failed(error.to_string()))?;
        // Half precision ends here.
        let values = data.convert::<f32>().into_vec::<f32>().map_err(|error| failed(format!("{error:?}")))?;
        let each = (values.len() / inputs.len()).max(1);
        values.chunks(each).map(|map| FeatureMap::new(map.to_vec(), channels)).collect()
    }
}
