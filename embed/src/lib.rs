//! Photos to vectors: decoding, preprocessing, and the networks.
//!
//! ```text
//!   bytes of a file
//!      | decode        content decides the format, limits checked on the header, typed refusals
//!      v
//!    Photo  --------------------------------> thumbnail    a small upright JPEG for pages
//!      | preprocess    by a Recipe: 224x224 or 320x320, Pillow's bilinear filter, upright; 8-bit RGB
//!      v
//!    Input
//!      | batch         two bounded queues (people first, imports after) and one thread
//!      v
//!   Embedder           device: the processor, or an NVIDIA GPU where there is one, until it fails
//!      | network       which ones there are; vgg (the carried one, 16 and 19 from files) and resnet
//!      |                  weights: carried inside the program, or read from a safetensors or PyTorch file
//!      |                  on the processor: conv (Winograd, cut into items for threads) on kernel (SIMD,
//!      |                  chosen at start); on a GPU: burn
//!      v
//!  FeatureMap
//!      | pool          a Pooling over the positions, L2 norm
//!      v
//!   512, 2048 or 4096 floats of length 1, and the ModelIdentity that says what they mean
//!      | reduction     where a collection has one: a PCA that was learned on its vectors
//!      v
//!   64 to 256 floats of length 1
//!
//!   Descriptor = ModelKey (network and weights) + Recipe + Pooling: one model serves all recipes and poolings
//! ```
//!
//! Knows pixels and nothing else: no collections, no files on disk, no async. Everything may be called from any
//! thread. A vector is only worth something beside others of the same [`ModelIdentity`], so whatever changes one
//! value (weights, resize filter, alpha rule, pooling) changes the identity as well.
//!
//! ```
//! use elanus_embed::{BatchOptions, Batcher, DecodeLimits, Descriptor, DeviceChoice, decode, open, preprocess};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let embedder = open(DeviceChoice::Auto)?;
//! let batcher = Batcher::start(embedder, BatchOptions::default());
//! # let file = include_bytes!("../tests/data/small.png");
//! let photo = decode(file, &DecodeLimits::default())?;
//! let Descriptor { recipe, pooling, .. } = Descriptor::default();
//! let vector = batcher.submit(preprocess(&photo, recipe), pooling)?.wait()?;
//! assert_eq!(vector.len(), 512);
//! # Ok(())
//! # }
//! ```

pub mod batch;
mod conv;
pub mod decode;
pub mod descriptor;
pub mod device;
pub mod digest;
pub mod error;
pub mod identity;
mod kernel;
pub mod network;
pub mod pool;
pub mod preprocess;
pub mod reduction;
mod resnet;
pub mod thumbnail;
mod vgg;
mod weights;

pub use batch::{Answer, Asker, BatchOptions, Batcher, Pending};
pub use decode::{DecodeLimits, ImageFormat, Orientation, Photo, decode, sniff};
pub use descriptor::Descriptor;
pub use device::{
    Arithmetic, DeviceChoice, DeviceOptions, DeviceReport, Embedder, Precision, Spent, check_model,
    device_choices, networks_of, open, open_model,
};
pub use digest::Sha256;
pub use error::{
    EmbedError, IdentityError, ImageError, ReductionError, UnfitDescriptor, UnknownWord, WeightsError,
};
pub use identity::{ModelIdentity, ReductionIdentity};
pub use network::{Architecture, ModelKey, ModelName, Network};
pub use pool::{FeatureMap, Pooling};
pub use preprocess::{Input, Recipe, preprocess};
pub use reduction::{Covariance, PrincipalComponents, Reduction};
pub use thumbnail::{THUMBNAIL_SIDE, thumbnail};
pub use weights::{MAX_FILE_BYTES, file_sha256};
