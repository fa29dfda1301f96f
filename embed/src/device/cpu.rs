//! The processor, through our own convolutions (`crate::conv`) on the best instruction set that it has, spread over
//! rayon's global pool. Always available.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Arithmetic, DeviceReport, Embedder, Spent, parts};
use crate::error::EmbedError;
use crate::kernel::{self, Kernel};
use crate::preprocess::Input;
use crate::vgg16::{CpuVgg16, FeatureMap};

/// Images of a batch unless the operator says otherwise. Larger batches gain little, because only the last layers wait for
/// their weights, and a person's search waits for the batch of an import that runs.
const PREFERRED_BATCH: usize = 4;
/// Images of 224x224 in one run of the network, see [`parts`].
const MAX_BATCH: usize = 16;
/// How long the peak is measured, and in pieces of how many rounds.
const PEAK: Duration = Duration::from_millis(200);
const ROUNDS: usize = 100_000;

/// The network and what it says about itself.
struct CpuNetwork {
    kernel: &'static Kernel,
    network: CpuVgg16,
    report: Arc<DeviceReport>,
    spent: Mutex<Spent>,
}

pub(super) fn open(reason: &str) -> Result<Arc<dyn Embedder>, EmbedError> {
    let kernel = kernel::active();
    let network = CpuVgg16::load(kernel)?;
    let report = DeviceReport {
        device: "cpu".to_string(),
        detail: format!("own convolutions ({}), {} threads", kernel.name(), rayon::current_num_threads()),
        precision: "f32".to_string(),
        reason: reason.to_string(),
    };
    tracing::debug!(bytes = network.bytes(), "the weights are packed");
    Ok(Arc::new(CpuNetwork { kernel, network, report: Arc::new(report), spent: Mutex::default() }))
}

impl Embedder for CpuNetwork {
    fn device(&self) -> Arc<DeviceReport> {
        Arc::clone(&self.report)
    }

    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        let mut maps = Vec::with_capacity(inputs.len());
        for part in parts(inputs, MAX_BATCH) {
            let mut spent = Spent::default();
            maps.extend(self.network.feature_maps(part, &mut spent)?);
            let mut total = self.spent.lock();
            total.copy += spent.copy;
            total.compute += spent.compute;
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
    use crate::preprocess::Recipe;
    use crate::vgg16::Pooling;

    #[test]
    fn it_knows_what_it_did_and_what_it_could_do() {
        let embedder = open("a test").unwrap();
        assert_eq!(embedder.spent(), Spent::default());
        let input = Input::from_rgb(Recipe::Keras, vec![7; 224 * 224 * 3]).unwrap();
        let vectors = embedder.embed(&vec![input; MAX_BATCH + 1], Pooling::Max).unwrap();
        assert_eq!(vectors.len(), MAX_BATCH + 1);
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
        let embedder = open("a test").unwrap();
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
