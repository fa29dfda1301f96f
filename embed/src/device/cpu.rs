//! The processor, through our own convolutions (`crate::conv`) on the best instruction set that it has, spread over
//! rayon's global pool. Always available.

use std::io::{Read, Seek};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Arithmetic, DeviceReport, Embedder, Spent, parts};
use crate::error::{EmbedError, WeightsError};
use crate::kernel::{self, Kernel};
use crate::network::Network;
use crate::pool::FeatureMap;
use crate::preprocess::Input;
use crate::resnet::CpuResnet;
use crate::vgg::{CpuVgg, Layers};
use crate::weights::WeightsFile;

/// Images of a batch unless the operator says otherwise. Larger batches gain little, because only the last layers wait for
/// their weights, and a person's search waits for the batch of an import that runs.
const PREFERRED_BATCH: usize = 4;
/// How long the peak is measured, and in pieces of how many rounds.
const PEAK: Duration = Duration::from_millis(200);
const ROUNDS: usize = 100_000;

/// A network with its weights packed for the processor.
pub(crate) trait CpuNetwork: Send + Sync {
    /// Bytes that the packed weights take.
    fn bytes(&self) -> usize;

    /// Images of 224x224 in one run, see [`parts`].
    fn max_batch(&self) -> usize;

    /// Floating-point operations for one image of this side: with convolutions as they are defined, and as they are
    /// multiplied here.
    fn operations(&self, side: usize) -> (f64, f64);

    /// What the network leaves of each input, in order. All inputs are of one size. Adds to `spent`.
    ///
    /// # Errors
    /// [`EmbedError::Compute`] for a size that the network does not take.
    fn feature_maps(&self, inputs: &[Input], spent: &mut Spent) -> Result<Vec<FeatureMap>, EmbedError>;
}

/// The network and what it says about itself.
struct Cpu {
    kernel: &'static Kernel,
    network: Box<dyn CpuNetwork>,
    report: Arc<DeviceReport>,
    spent: Mutex<Spent>,
}

pub(super) fn open<R: Read + Seek>(
    network: Network,
    file: &mut WeightsFile<R>,
    reason: &str,
) -> Result<Arc<dyn Embedder>, WeightsError> {
    let kernel = kernel::active();
    let network: Box<dyn CpuNetwork> = match Layers::of(network) {
        Some(layers) => Box::new(CpuVgg::load(kernel, file, layers, network.normalisation())?),
        None => Box::new(CpuResnet::load(kernel, file)?),
    };
    let report = DeviceReport {
        device: "cpu".to_string(),
        detail: format!("own convolutions ({}), {} threads", kernel.name(), rayon::current_num_threads()),
        precision: "f32".to_string(),
        reason: reason.to_string(),
    };
    tracing::debug!(bytes = network.bytes(), "the weights are packed");
    Ok(Arc::new(Cpu { kernel, network, report: Arc::new(report), spent: Mutex::default() }))
}

impl Embedder for Cpu {
    fn device(&self) -> Arc<DeviceReport> {
        Arc::clone(&self.report)
    }

    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        let mut maps = Vec::with_capacity(inputs.len());
        for part in parts(inputs, self.network.max_batch()) {
            let mut spent = Spent::default();
            maps.extend(self.network.feature_maps(part, &mut spent)?);
            *self.spent.lock() += spent;
        }
        Ok(maps)
    }

    fn preferred_batch(&self) -> usize {
        PREFERRED_BATCH
    }

    fn spent(&self) -> Spent {
        *self.spent.lock()
    }

    fn arithmetic(&self, side: usize) -> Option<Arithmetic> {
        let (as_defined, multiplied) = self.network.operations(side);
        Some(Arithmetic { as_defined, multiplied, peak: peak(self.kernel) })
    }
}

/// Operations a second of all threads of the pool together.
fn peak(kernel: &Kernel) -> f64 {
    let speeds = rayon::broadcast(|_| {
        let (started, mut done) = (Instant::now(), 0.0);
        while started.elapsed() < PEAK {
            done += kernel.spin(ROUNDS);
        }
        done / started.elapsed().as_secs_f64()
    });
    speeds.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;
    use crate::pool::Pooling;
    use crate::preprocess::Recipe;

    /// More images than one run takes.
    const IMAGES: usize = 17;

    #[test]
    fn it_knows_what_it_did_and_what_it_could_do() {
        let embedder = crate::open(DeviceChoice::Cpu).unwrap();
        assert_eq!(embedder.spent(), Spent::default());
        let input = Input::from_rgb(Recipe::Keras, vec![7; 224 * 224 * 3]).unwrap();
        let vectors = embedder.embed(&vec![input; IMAGES], Pooling::Max).unwrap();
        assert_eq!(vectors.len(), IMAGES);
        assert!(vectors.iter().all(|vector| *vector == vectors[0]), "the batch does not matter");
        let spent = embedder.spent();
        assert!(spent.copy > Duration::ZERO && spent.compute > spent.copy, "{spent:?}");
        let Arithmetic { as_defined, multiplied, peak } = embedder.arithmetic(224).unwrap();
        assert!((as_defined - 30.69e9).abs() < 0.01e9, "{as_defined}");
        assert!((7.5e9..8.5e9).contains(&multiplied), "{multiplied}");
        assert!(peak > 1e8, "{peak}");
        let large = embedder.arithmetic(320).unwrap();
        assert!((large.as_defined / as_defined - (320.0f64 / 224.0).powi(2)).abs() < 1e-9);
    }

    #[test]
    fn sizes_in_one_call_do_not_touch_each_other() {
        let embedder = crate::open(DeviceChoice::Cpu).unwrap();
        let input = |recipe: Recipe, seed: usize| {
            let bytes = recipe.side().pow(2) * 3;
            Input::from_rgb(recipe, (0..bytes).map(|at| (at * seed / 7 % 251) as u8).collect()).unwrap()
        };
        let mixed = [
            input(Recipe::Keras, 3),
            input(Recipe::Keras320, 5),
            input(Recipe::Torchvision, 4),
            input(Recipe::Keras320, 9),
        ];
        let together = embedder.feature_maps(&mixed).unwrap();
        assert_eq!(
            together.iter().map(|map| map.values().len()).collect::<Vec<_>>(),
            [25_088, 51_200, 25_088, 51_200]
        );
        for (input, map) in mixed.iter().zip(&together) {
            assert!(embedder.feature_maps(std::slice::from_ref(input)).unwrap()[0] == *map, "{input:?}");
        }
    }
}
