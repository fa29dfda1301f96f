//! The processor, through our own convolutions (`crate::conv`) on the best instruction set that it has, spread over
//! rayon's global pool. Always available.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Arithmetic, DeviceReport, Embedder, Spent};
use crate::error::EmbedError;
use crate::identity::ModelIdentity;
use crate::kernel::{self, Kernel};
use crate::preprocess::Input;
use crate::vgg16::{CpuVgg16, Pooling};

/// Images of a batch unless the operator says otherwise. Larger batches gain little, because only the last layers wait for
/// their weights, and a person's search waits for the batch of an import that runs.
const PREFERRED_BATCH: usize = 4;
/// Images in one run of the network; larger requests are split, so that memory does not grow without a limit.
const MAX_BATCH: usize = 16;
/// How long the peak is measured, and in pieces of how many rounds.
const PEAK: Duration = Duration::from_millis(200);
const ROUNDS: usize = 100_000;

/// The network and what it says about itself.
struct CpuNetwork {
    kernel: &'static Kernel,
    network: CpuVgg16,
    identity: ModelIdentity,
    report: DeviceReport,
    spent: Mutex<Spent>,
}

pub(super) fn open(pooling: Pooling, reason: &str) -> Result<Arc<dyn Embedder>, EmbedError> {
    let kernel = kernel::active();
    let network = CpuVgg16::load(kernel)?;
    let report = DeviceReport {
        device: "cpu".to_string(),
        detail: format!("own convolutions ({}), {} threads", kernel.name(), rayon::current_num_threads()),
        precision: "f32".to_string(),
        reason: reason.to_string(),
    };
    tracing::debug!(bytes = network.bytes(), "the weights are packed");
    let identity = ModelIdentity::vgg16(pooling);
    Ok(Arc::new(CpuNetwork { kernel, network, identity, report, spent: Mutex::default() }))
}

impl Embedder for CpuNetwork {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn device(&self) -> &DeviceReport {
        &self.report
    }

    fn embed(&self, inputs: &[Input]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(inputs.len());
        for part in inputs.chunks(MAX_BATCH) {
            let mut spent = Spent::default();
            vectors.extend(self.network.forward(part, self.identity.pooling, &mut spent)?);
            let mut total = self.spent.lock();
            total.copy += spent.copy;
            total.compute += spent.compute;
        }
        Ok(vectors)
    }

    fn preferred_batch(&self) -> usize {
        PREFERRED_BATCH
    }

    fn spent(&self) -> Spent {
        *self.spent.lock()
    }

    fn arithmetic(&self) -> Option<Arithmetic> {
        let (as_defined, multiplied) = self.network.operations();
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

    #[test]
    fn it_knows_what_it_did_and_what_it_could_do() {
        let embedder = open(Pooling::Max, "a test").unwrap();
        assert_eq!(embedder.spent(), Spent::default());
        let input = Input::from_rgb(vec![7; 224 * 224 * 3]).unwrap();
        let vectors = embedder.embed(&vec![input; MAX_BATCH + 1]).unwrap();
        assert_eq!(vectors.len(), MAX_BATCH + 1);
        assert!(vectors.iter().all(|vector| *vector == vectors[0]), "the batch does not matter");
        let spent = embedder.spent();
        assert!(spent.copy > Duration::ZERO && spent.compute > spent.copy, "{spent:?}");
        let Arithmetic { as_defined, multiplied, peak } = embedder.arithmetic().unwrap();
        assert!((as_defined - 30.69e9).abs() < 0.01e9, "{as_defined}");
        assert!((7.5e9..8.5e9).contains(&multiplied), "{multiplied}");
        assert!(peak > 1e8, "{peak}");
    }
}
