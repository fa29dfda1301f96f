//! What can go wrong between a file and its vector. [`ImageError`] says what is wrong with one picture and is meant
//! to be shown to the person who sent it; [`EmbedError`] says what is wrong with the embedder. Neither ever carries
//! a path or a client's file name: the caller knows which file it was.

use thiserror::Error;

use crate::decode::ImageFormat;
use crate::digest::Sha256;
use crate::network::Network;

/// Why a file gives no photo. [`ImageError::code`] is stable and made for programs, the sentence for people.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// The first bytes belong to no image format that we know.
    #[error("this is not an image (JPEG, PNG, WebP, GIF, BMP and TIFF are understood)")]
    NotAnImage,
    /// An image, but of a kind that is not decoded here.
    #[error("images of the format {format} are not supported (JPEG, PNG, WebP, GIF, BMP and TIFF are)")]
    Unsupported {
        /// The format's name, with the feature that is missing where only that is unsupported.
        format: String,
    },
    /// The file is larger than [`crate::DecodeLimits::max_bytes`].
    #[error("the file has {bytes} bytes, more than the {limit} allowed")]
    TooManyBytes {
        /// Size of the file.
        bytes: usize,
        /// The limit it breaks.
        limit: usize,
    },
    /// A side is longer than any photo's.
    #[error("the image is {width} x {height}, and a side may have {limit} pixels at most")]
    SideTooLong {
        /// Declared width in pixels.
        width: u32,
        /// Declared height in pixels.
        height: u32,
        /// Longest side allowed.
        limit: u32,
    },
    /// Width times height is above [`crate::DecodeLimits::max_pixels`].
    #[error("the image is {width} x {height}, more than the {limit} pixels allowed")]
    TooManyPixels {
        /// Declared width in pixels.
        width: u32,
        /// Declared height in pixels.
        height: u32,
        /// The limit it breaks.
        limit: u64,
    },
    /// Decoding would need more than [`crate::DecodeLimits::max_memory`].
    #[error("decoding the image would need more than the {limit} bytes of memory allowed")]
    TooMuchMemory {
        /// The limit it breaks.
        limit: u64,
    },
    /// The declared width or height is zero.
    #[error("the image has no pixels")]
    NoPixels,
    /// The data ends before the image does.
    #[error("the image is cut off: its data ends before the picture does")]
    Truncated,
    /// The data contradicts itself.
    #[error("the image is damaged: {reason}")]
    Corrupt {
        /// The decoder's words.
        reason: String,
    },
    /// The decoder panicked, which is a bug of ours or of a decoder, never of the caller.
    #[error("the image could not be decoded because of an internal error")]
    Internal,
}

impl ImageError {
    /// A short stable reason for programs, in kebab case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotAnImage => "not-an-image",
            Self::Unsupported { .. } => "unsupported-format",
            Self::TooManyBytes { .. } => "too-many-bytes",
            Self::SideTooLong { .. } => "side-too-long",
            Self::TooManyPixels { .. } => "too-many-pixels",
            Self::TooMuchMemory { .. } => "too-much-memory",
            Self::NoPixels => "no-pixels",
            Self::Truncated => "truncated",
            Self::Corrupt { .. } => "corrupt",
            Self::Internal => "internal",
        }
    }

    pub(crate) fn unsupported(format: ImageFormat, feature: &str) -> Self {
        Self::Unsupported { format: format!("{} ({feature})", format.name()) }
    }
}

/// Why there is no vector although the photo was fine.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmbedError {
    /// The weights cannot be used.
    #[error("the model's weights are unusable: {0}")]
    Weights(#[from] WeightsError),
    /// The device that was asked for by name cannot be used.
    #[error("the device {device} cannot be used: {reason}")]
    Device {
        /// `"cuda"` or `"cpu"`.
        device: String,
        /// Why not, as a sentence fragment.
        reason: String,
    },
    /// The queue is full; the same call may succeed a moment later.
    #[error("the embedder is busy: {queued} images are waiting already")]
    Busy {
        /// How many images wait.
        queued: usize,
    },
    /// The batcher is going down; the image was not embedded.
    #[error("the embedder is stopping")]
    Stopped,
    /// The network gave an image nothing that has a direction; other images are not concerned.
    #[error("the photo has no vector: its length is {length}")]
    NoDirection {
        /// Of the vector, as a word: 0, infinite or no number.
        length: String,
    },
    /// The network failed; the vector must not be used.
    #[error("computing the vector failed: {reason}")]
    Compute {
        /// The backend's words.
        reason: String,
    },
}

/// Why a reduction can't be learned, read or applied.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReductionError {
    /// A vector of another dimension.
    #[error("a vector has {got} values, not {expected}")]
    Length {
        /// Values that it should have.
        expected: usize,
        /// Values that it has.
        got: usize,
    },
    /// A vector to learn on holds NaN or infinity.
    #[error("a vector holds values that are not finite")]
    NotFinite,
    /// There is no such dimension to reduce to.
    #[error("{rows} vectors can be reduced to 1 to {most} dimensions, not to {dimension}")]
    Dimension {
        /// What was asked for.
        dimension: usize,
        /// What can be had.
        most: usize,
        /// Rows that were learned on.
        rows: usize,
    },
    /// The identity does not belong to the rows that were learned on.
    #[error("vectors of {dimension} values are not those of {source_identity}, or were reduced already")]
    Source {
        /// The identity.
        source_identity: String,
        /// Values of the rows.
        dimension: usize,
    },
    /// Fewer than two different vectors.
    #[error("there are not two different vectors to learn from")]
    NothingToLearn,
    /// The decomposition found no end.
    #[error("the principal components could not be computed")]
    NotConverged,
    /// A file that is no reduction, or not what it was.
    #[error("this is no whole file of a reduction: {reason}")]
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
    /// A vector that has no direction from the mean.
    #[error("a vector lies at the mean of those that the reduction was learned on")]
    NoDirection,
}

/// Why a weights file cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file is larger than any network here needs.
    #[error("the file has {bytes} bytes, and no weights file that is understood has more than {limit}")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// It is neither safetensors nor a state dict of PyTorch.
    #[error("this is no weights file: {reason}")]
    NotWeights {
        /// Why not, as a sentence fragment.
        reason: String,
    },
    /// The network needs a tensor that is not there.
    #[error("the tensor {tensor} is missing")]
    Missing {
        /// Its name.
        tensor: String,
    },
    /// A tensor has another shape than the network needs.
    #[error("the tensor {tensor} has the shape {found:?}, not {expected:?}")]
    Shape {
        /// Its name.
        tensor: String,
        /// The file's shape.
        found: Vec<usize>,
        /// The network's.
        expected: Vec<usize>,
    },
    /// A tensor cannot be read.
    #[error("the tensor {tensor} can't be used: {reason}")]
    Tensor {
        /// Its name.
        tensor: String,
        /// Why not, as a sentence fragment.
        reason: String,
    },
    /// A tensor has a value that is infinite or no number.
    #[error("the tensor {tensor} has values that are not finite")]
    NotFinite {
        /// Its name.
        tensor: String,
    },
    /// A batch normalisation and the convolution before it give weights that are not finite.
    #[error("{norm} makes weights of {conv} that are not finite: is a variance negative?")]
    Folded {
        /// The normalisation's name.
        norm: String,
        /// The convolution's.
        conv: String,
    },
    /// The file is not the one it is said to be.
    #[error("the file is damaged or another one: its SHA-256 is {found}, not {expected}")]
    WrongHash {
        /// Of the file.
        found: Sha256,
        /// What was expected.
        expected: Sha256,
    },
    /// The file cannot be read.
    #[error("the file can't be read: {reason}")]
    Io {
        /// The system's words.
        reason: String,
    },
}

impl From<std::io::Error> for WeightsError {
    fn from(error: std::io::Error) -> Self {
        Self::Io { reason: error.to_string() }
    }
}

/// A recipe or pooling that a network does not have, see [`crate::Descriptor::new`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{network} has no {what} {word}: expected {expected}")]
pub struct UnfitDescriptor {
    /// The network.
    pub network: Network,
    /// `input` or `pooling`.
    pub what: &'static str,
    /// The word that was given.
    pub word: String,
    /// The words that fit, separated by commas.
    pub expected: String,
}

/// A stored identity that cannot be read, see [`crate::ModelIdentity`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("\"{text}\" is no model identity: {reason}")]
pub struct IdentityError {
    /// The text that was read.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A word that names no choice, for example an unknown pooling or device.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("unknown {what} \"{word}\": expected {expected}")]
pub struct UnknownWord {
    /// What was to be chosen.
    pub what: &'static str,
    /// The word that was given.
    pub word: String,
    /// The words that are understood.
    pub expected: &'static str,
}
