//! Where a network runs. [`open`] and [`open_model`] choose once: what was asked for by name or nothing, or with
//! [`DeviceChoice::Auto`] a GPU if one is usable and the processor otherwise; the reason is kept for people to see. A GPU
//! that fails later is replaced by the processor. Burn's backend types end here: everything above sees `Arc<dyn Embedder>`.

#[cfg(any(test, feature = "cuda"))]
pub(crate) mod backend;
#[cfg(any(test, feature = "cuda"))]
mod batches;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
#[cfg(test)]
mod parity;
mod precision;
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "only a GPU is tried and replaced"))]
mod spare;

use std::fmt;
use std::io::{Cursor, Read, Seek};
use std::ops::AddAssign;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

pub use precision::Precision;
use serde::Serialize;

use crate::error::{EmbedError, UnknownWord, WeightsError};
use crate::network::{Architecture, ModelKey, Network};
use crate::pool::{FeatureMap, Pooling};
use crate::preprocess::{Input, Recipe};
use crate::vgg::Layers;
use crate::vgg::carried::WEIGHTS;
use crate::weights::{self, WeightsFile};
pub(crate) use cpu::CpuNetwork;

/// Turns preprocessed images into vectors: one network, whatever the recipe and pooling.
pub trait Embedder: Send + Sync {
    /// Where it runs, and why there: elsewhere from the moment when a device has failed.
    fn device(&self) -> Arc<DeviceReport>;

    /// What the network gives for each input, in order, to be pooled in any way. Any number of inputs of any recipes;
    /// those of one size that follow each other are run together.
    ///
    /// # Errors
    /// [`EmbedError::Compute`] when the device fails.
    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError>;

    /// One vector of length 1 and [`Network::dimension`] values per input, in order.
    ///
    /// # Errors
    /// As [`Embedder::feature_maps`] and [`FeatureMap::pool`].
    fn embed(&self, inputs: &[Input], pooling: Pooling) -> Result<Vec<Vec<f32>>, EmbedError> {
        self.feature_maps(inputs)?.iter().map(|map| map.pool(pooling)).collect()
    }

    /// The number of inputs at which this device works best; larger requests are split.
    fn preferred_batch(&self) -> usize {
        1
    }

    /// How long a batch that is not full should wait for more: nothing where small batches are as good as large ones.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// Where the time of all calls so far went.
    fn spent(&self) -> Spent {
        Spent::default()
    }

    /// What this device could do at best and how much an image of this side needs, where that is known.
    fn arithmetic(&self, _side: usize) -> Option<Arithmetic> {
        None
    }
}

/// One map for each input, or an error, also where the backend panics.
pub(crate) fn run(embedder: &dyn Embedder, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
    let failed = |reason: String| EmbedError::Compute { reason };
    // Embedders keep no state between calls that a panic could leave half-changed.
    let maps = catch_unwind(AssertUnwindSafe(|| embedder.feature_maps(inputs))).unwrap_or_else(|panic| {
        let reason = format!("the backend panicked: {}", panic_text(panic.as_ref()));
        tracing::error!(batch = inputs.len(), "{reason}");
        Err(failed(reason))
    })?;
    match maps.len() == inputs.len() {
        true => Ok(maps),
        false => Err(failed(format!("{} feature maps for {} images", maps.len(), inputs.len()))),
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

/// Inputs in the parts that a device runs at once: neighbours of one size, as many as have the pixels of `most` images of
/// 224x224, so that activations do not grow without a limit.
fn parts(inputs: &[Input], most: usize) -> impl Iterator<Item = &[Input]> {
    inputs
        .chunk_by(|one, next| one.side() == next.side())
        .flat_map(move |same| same.chunks(images_of(same[0].side(), most)))
}

/// As many images of this side as have the pixels of `most` images of 224x224, at least one.
fn images_of(side: usize, most: usize) -> usize {
    (most * Recipe::Keras.side().pow(2) / side.pow(2)).max(1)
}

/// Time that calls of [`Embedder::feature_maps`] took, by the clock, since the embedder was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Bringing pixels to where the network runs, in its own layout, and vectors back.
    pub copy: Duration,
    /// Running the network.
    pub compute: Duration,
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        self.copy += other.copy;
        self.compute += other.compute;
    }
}

/// Floating-point operations; a multiplication and an addition are two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arithmetic {
    /// Of one image, with convolutions as they are defined: what other programs' figures refer to.
    pub as_defined: f64,
    /// Of one image, in the products that are really multiplied here.
    pub multiplied: f64,
    /// A second on all threads, measured in registers alone.
    pub peak: f64,
}

/// What the operator asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A GPU if it can be used, else the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU or an error.
    Cuda,
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

impl FromStr for DeviceChoice {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda),
            _ => Err(UnknownWord { what: "device", word: word.to_string(), expected: "auto, cpu or cuda" }),
        }
    }
}

/// What is asked of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Which.
    pub device: DeviceChoice,
    /// What a GPU multiplies.
    pub precision: Precision,
}

impl From<DeviceChoice> for DeviceOptions {
    fn from(device: DeviceChoice) -> Self {
        Self { device, ..Self::default() }
    }
}

/// Where an embedder runs, in words for logs and pages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceReport {
    /// `cpu` or `cuda`.
    pub device: String,
    /// For example `own convolutions (avx2), 2 threads`.
    pub detail: String,
    /// The type of the numbers that are multiplied, for example `f32`.
    pub precision: String,
    /// Why this one, for example `cuda is not built into this program`.
    pub reason: String,
}

/// Opens the carried network: chooses the device and puts the weights there.
///
/// # Errors
/// [`EmbedError::Device`] when [`DeviceChoice::Cuda`] was asked for and cannot be had.
pub fn open(options: impl Into<DeviceOptions>) -> Result<Arc<dyn Embedder>, EmbedError> {
    start(options.into(), Network::Carried, &mut WeightsFile::open(Cursor::new(WEIGHTS))?)
}

/// Opens a network with its weights file (safetensors, or a state dict of PyTorch), of which it makes sure that it is the
/// one meant. The carried network needs no file: see [`open`].
///
/// # Errors
/// [`EmbedError::Weights`] when the file is another one or does not fit the network, else as [`open`].
pub fn open_model<R: Read + Seek>(
    options: impl Into<DeviceOptions>,
    model: ModelKey,
    mut file: R,
) -> Result<Arc<dyn Embedder>, EmbedError> {
    let (found, expected) = (weights::file_sha256(&mut file)?, model.sha256);
    if found != expected {
        return Err(WeightsError::WrongHash { found, expected }.into());
    }
    start(options.into(), model.network, &mut WeightsFile::open(file)?)
}

/// Whether a weights file fits a network; if so, the model that the two are. Takes as long as [`open_model`].
///
/// # Errors
/// Why it does not fit.
pub fn check_model<R: Read + Seek>(network: Network, mut file: R) -> Result<ModelKey, WeightsError> {
    let sha256 = weights::file_sha256(&mut file)?;
    cpu::open(network, &mut WeightsFile::open(file)?, "a file is checked")?;
    Ok(ModelKey { network, sha256 })
}

/// The networks that a weights file of this architecture can be run with: one without a classifier has no fully connected
/// layers. Reads the names in it only, so it is no promise: see [`check_model`].
///
/// # Errors
/// When it can't be read.
pub fn networks_of<R: Read + Seek>(
    architecture: Architecture,
    file: R,
) -> Result<Vec<Network>, WeightsError> {
    let file = WeightsFile::open(file)?;
    let is_in = |network: &Network| Layers::of(*network).is_none_or(|layers| layers.are_in(&file));
    Ok(architecture.networks().filter(is_in).collect())
}

fn start<R: Read + Seek>(
    DeviceOptions { device, precision }: DeviceOptions,
    network: Network,
    file: &mut WeightsFile<R>,
) -> Result<Arc<dyn Embedder>, EmbedError> {
    let reason = match device {
        DeviceChoice::Cpu => "the CPU was asked for".to_string(),
        DeviceChoice::Cuda => {
            let unusable = |reason| EmbedError::Device { device: "cuda".to_string(), reason };
            return open_cuda(network, file, "CUDA was asked for", precision).map_err(unusable);
        }
        DeviceChoice::Auto => match open_cuda(network, file, "a usable GPU was found", precision) {
            Ok(embedder) => return Ok(embedder),
            Err(reason) => {
                tracing::debug!(reason, "embedding on the CPU");
                reason
            }
        },
    };
    Ok(cpu::open(network, file, &reason)?)
}

/// Every device by name with `available` or the reason why not. Cheap: loads no weights and touches no backend.
pub fn device_choices() -> Vec<(String, String)> {
    let cuda = probe_cuda().map_or_else(|reason| reason, |gpu| format!("available: {gpu}"));
    vec![("cpu".to_string(), "available".to_string()), ("cuda".to_string(), cuda)]
}

/// The first GPU's name, or why there is none.
fn probe_cuda() -> Result<String, String> {
    #[cfg(feature = "cuda")]
    return cuda::probe();
    #[cfg(not(feature = "cuda"))]
    Err("cuda is not built into this program".to_string())
}

/// Opens on the GPU, or says why that is impossible.
fn open_cuda<R: Read + Seek>(
    network: Network,
    file: &mut WeightsFile<R>,
    reason: &str,
    precision: Precision,
) -> Result<Arc<dyn Embedder>, String> {
    let gpu = probe_cuda()?;
    #[cfg(feature = "cuda")]
    {
        let device = cuda::open(network, file, gpu, reason, precision)?;
        let spare = cpu::open(network, file, "the GPU is tried").map_err(|error| error.to_string())?;
        spare::check(device.as_ref(), spare.as_ref(), precision.least_cosine())?;
        Ok(Arc::new(spare::WithSpare::new(device, spare)))
    }
    #[cfg(not(feature = "cuda"))]
    {
        let _ = (network, file, reason, precision);
        Err(gpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for choice in [DeviceChoice::Auto, DeviceChoice::Cpu, DeviceChoice::Cuda] {
            assert_eq!(choice.to_string().parse::<DeviceChoice>().unwrap(), choice);
        }
        assert!("gpu".parse::<DeviceChoice>().is_err());
    }

    #[test]
    fn the_choices_name_both_devices_with_words() {
        let choices = device_choices();
        assert_eq!(choices.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["cpu", "cuda"]);
        assert!(choices.iter().all(|(_, state)| !state.is_empty()));
    }

    #[test]
    fn auto_always_opens_and_says_why() {
        let embedder = open(DeviceChoice::Auto).unwrap();
        assert!(!embedder.device().reason.is_empty());
        assert_eq!(embedder.embed(&[], Pooling::Max).unwrap(), Vec::<Vec<f32>>::new());
    }

    #[test]
    fn parts_are_of_one_size_and_bounded_by_their_pixels() {
        let input = |recipe: &Recipe| Input::from_rgb(*recipe, vec![0; recipe.side().pow(2) * 3]).unwrap();
        let sizes = |recipes: &[Recipe], most: usize| -> Vec<(usize, usize)> {
            let inputs: Vec<Input> = recipes.iter().map(input).collect();
            parts(&inputs, most).map(|part| (part[0].side(), part.len())).collect()
        };
        let [keras, torchvision, large] = Recipe::ALL;
        assert_eq!(
            sizes(&[keras, torchvision, keras, large, large, keras], 8),
            [(224, 3), (320, 2), (224, 1)]
        );
        assert_eq!(sizes(&[keras; 9], 4), [(224, 4), (224, 4), (224, 1)]);
        // 4 · 224² pixels are 1.96 · 320², and one image is run whatever its size.
        assert_eq!(sizes(&[large; 2], 4), [(320, 1), (320, 1)]);
        assert_eq!(sizes(&[large; 5], 5), [(320, 2), (320, 2), (320, 1)]);
        assert_eq!(sizes(&[large], 1), [(320, 1)]);
        assert_eq!(sizes(&[], 4), []);
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn cuda_by_name_is_an_error_where_it_is_not_built_in() {
        let error = open(DeviceChoice::Cuda).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "the device cuda cannot be used: cuda is not built into this program");
        assert_eq!(open(DeviceChoice::Auto).unwrap().device().device, "cpu");
    }
}
