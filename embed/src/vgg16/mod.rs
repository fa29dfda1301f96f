//! VGG16's convolutional part (Simonyan and Zisserman, 2014, configuration D): five blocks of 3x3 convolutions with
//! ReLU, each followed by a 2x2 max pool; what is left of a photo is a [`FeatureMap`], which is pooled into a vector. It is
//! there twice: for the processor on our own convolutions, and for GPUs on any burn backend. What must stay true of both:
//! weights as `embed/models/README.md` says, inputs of any side that is a multiple of 32, vectors equal to the golden
//! features to a cosine of 0.9999. The devices own a network each; nothing else calls it.

#[cfg(any(test, feature = "cuda"))]
mod backend;
mod cpu;
#[cfg(test)]
mod parity;
mod pool;
mod regions;
pub mod weights;

#[cfg(feature = "cuda")]
pub(crate) use backend::Vgg16;
pub(crate) use cpu::CpuVgg16;
pub use pool::{FeatureMap, Pooling};

/// Number of values in a vector: the channels of the last convolution.
pub const DIMENSION: usize = 512;

/// Layers per block, numbered as in the weights file (torchvision counts the ReLUs and pools between them).
const BLOCKS: [&[usize]; 5] = [&[0, 2], &[5, 7], &[10, 12, 14], &[17, 19, 21], &[24, 26, 28]];
