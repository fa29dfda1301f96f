//! The weights file carried inside the program and the only code that reads it. It hands out each convolution as
//! plain f32 vectors, which the networks pack or turn into tensors. The bytes must never change under the same name: their SHA-256 is part of every collection's model identity.

use half::f16;
use half::slice::HalfFloatSliceExt;
use safetensors::{Dtype, SafeTensors};

use crate::error::EmbedError;

/// The model's name in [`crate::ModelIdentity`]: VGG16, trained on ImageNet, without its classifier.
pub const MODEL_NAME: &str = "vgg16-imagenet-notop";

/// SHA-256 of the weights file; a test computes it again.
pub const WEIGHTS_SHA256: &str = "7975197dd96a69fd8ec1ca5878342354f30a1cfdeb876a714ca3d6698f89708b";

/// The file itself, see `embed/models/README.md` for its origin and licence.
pub static WEIGHTS: &[u8] = include_bytes!("../../models/vgg16-imagenet-notop.f16.safetensors");

/// One 3x3 convolution as stored, widened to f32.
pub(super) struct ConvWeights {
    /// `[outputs, inputs, 3, 3]`, row-major; the first layer expects its inputs as B, G, R.
    pub(super) kernel: Vec<f32>,
    /// One value per output channel.
    pub(super) bias: Vec<f32>,
    /// Number of output channels.
    pub(super) outputs: usize,
    /// Number of input channels.
    pub(super) inputs: usize,
}

/// The opened weights file: the header is parsed once, tensors are widened when asked for.
pub(super) struct WeightsFile<'a> {
    tensors: SafeTensors<'a>,
}

impl<'a> WeightsFile<'a> {
    /// Parses the header of a safetensors file.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, EmbedError> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|error| bad("the file", error.to_string()))?;
        Ok(Self { tensors })
    }

    /// Reads `features.{index}.weight` and `.bias` and checks that they belong to a 3x3 convolution.
    pub(super) fn conv(&self, index: usize) -> Result<ConvWeights, EmbedError> {
        let name = format!("features.{index}.weight");
        let (shape, kernel) = self.tensor(&name)?;
        let [outputs, inputs, 3, 3] = shape[..] else {
            return Err(bad(&name, format!("shape {shape:?} is not [outputs, inputs, 3, 3]")));
        };
        let name = format!("features.{index}.bias");
        let (shape, bias) = self.tensor(&name)?;
        if shape != [outputs] {
            return Err(bad(&name, format!("shape {shape:?} does not match {outputs} outputs")));
        }
        Ok(ConvWeights { kernel, bias, outputs, inputs })
    }

    fn tensor(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), EmbedError> {
        let view = self.tensors.tensor(name).map_err(|error| bad(name, error.to_string()))?;
        if view.dtype() != Dtype::F16 {
            return Err(bad(name, format!("type {:?} is not f16", view.dtype())));
        }
        // The file gives no alignment, so the halves are put together byte by byte before the (vectorised) widening.
        let halves: Vec<f16> =
            view.data().chunks_exact(2).map(|pair| f16::from_le_bytes([pair[0], pair[1]])).collect();
        let mut values = vec![0.0; halves.len()];
        halves.convert_to_f32_slice(&mut values);
        Ok((view.shape().to_vec(), values))
    }
}

fn bad(what: &str, reason: String) -> EmbedError {
    EmbedError::Weights { what: what.to_string(), reason }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_carried_file_is_the_one_named_in_the_identity() {
        let digest: String = Sha256::digest(WEIGHTS).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, WEIGHTS_SHA256);
    }

    #[test]
    fn reads_the_first_convolution() {
        let conv = WeightsFile::parse(WEIGHTS).unwrap().conv(0).unwrap();
        assert_eq!((conv.outputs, conv.inputs), (64, 3));
        assert_eq!((conv.kernel.len(), conv.bias.len()), (64 * 3 * 9, 64));
        assert!(conv.kernel.iter().all(|value| value.is_finite() && value.abs() < 10.0));
    }

    #[test]
    fn a_missing_layer_and_a_cut_file_are_errors() {
        let file = WeightsFile::parse(WEIGHTS).unwrap();
        assert!(matches!(file.conv(1), Err(EmbedError::Weights { what, .. }) if what == "features.1.weight"));
        assert!(WeightsFile::parse(&WEIGHTS[..100_000]).is_err());
    }
}
