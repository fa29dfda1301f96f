//! A device that can be lost, as GPUs are when their driver fails or somebody takes them: what it could not compute, and
//! everything after, the processor computes. It is not gone back to before the network is opened again: a device that fails
//! now and then is worse than one that is slow.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Arithmetic, DeviceReport, Embedder, Spent, run};
use crate::error::EmbedError;
use crate::pool::{FeatureMap, Pooling};
use crate::preprocess::{Input, Recipe};

/// An embedder with another that takes over when it fails.
pub(super) struct WithSpare {
    first: Arc<dyn Embedder>,
    spare: Arc<dyn Embedder>,
    /// The spare's report from the moment when it has taken over.
    lost: OnceLock<Arc<DeviceReport>>,
}

impl WithSpare {
    pub(super) fn new(first: Arc<dyn Embedder>, spare: Arc<dyn Embedder>) -> Self {
        Self { first, spare, lost: OnceLock::new() }
    }

    fn current(&self) -> &dyn Embedder {
        if self.lost.get().is_some() { self.spare.as_ref() } else { self.first.as_ref() }
    }

    fn take_over(&self, error: &EmbedError) {
        self.lost.get_or_init(|| {
            let device = self.first.device().device.clone();
            tracing::error!(device, %error, "the device has failed: the processor embeds from now on");
            let reason = format!("{device} has failed: {error}");
            Arc::new(DeviceReport { reason, ..DeviceReport::clone(&self.spare.device()) })
        });
    }
}

impl Embedder for WithSpare {
    fn device(&self) -> Arc<DeviceReport> {
        self.lost.get().map_or_else(|| self.first.device(), Arc::clone)
    }

    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        if self.lost.get().is_none() {
            match run(self.first.as_ref(), inputs) {
                Ok(maps) => return Ok(maps),
                Err(error) => self.take_over(&error),
            }
        }
        run(self.spare.as_ref(), inputs)
    }

    fn preferred_batch(&self) -> usize {
        self.current().preferred_batch()
    }

    fn patience(&self) -> Duration {
        self.current().patience()
    }

    fn spent(&self) -> Spent {
        let mut spent = self.first.spent();
        spent += self.spare.spent();
        spent
    }

    fn arithmetic(&self, side: usize) -> Option<Arithmetic> {
        self.current().arithmetic(side)
    }
}

/// Lets both compute two images, the device as often as it takes to fill its largest batch, and compares: a device that
/// computes, but wrongly, or not as much as it should, is of no use.
///
/// # Errors
/// A sentence that says what came out.
#[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "only a GPU is tried and replaced"))]
pub(super) fn check(device: &dyn Embedder, reference: &dyn Embedder, least: f32) -> Result<(), String> {
    let recipe = Recipe::Keras;
    let drawn = |step: usize| {
        let pixels = (0..recipe.side().pow(2) * 3).map(|at| (at / step % 251) as u8 ^ (at % 13) as u8);
        Input::from_rgb(recipe, pixels.collect())
    };
    let images: Option<Vec<Input>> = [7, 640].into_iter().map(drawn).collect();
    let images = images.ok_or("there is no image to try it on")?;
    let many: Vec<Input> = images.iter().cycle().take(device.preferred_batch().max(2)).cloned().collect();
    let vectors = |embedder: &dyn Embedder, images: &[Input]| {
        mean_vectors(embedder, images).map_err(|error| error.to_string())
    };
    let expected = vectors(reference, &images)?;
    for (found, expected) in vectors(device, &many)?.iter().zip(expected.iter().cycle()) {
        let cosine: f32 = found.iter().zip(expected).map(|(a, b)| a * b).sum();
        // What is not a number is not enough, either.
        let enough = cosine >= least;
        if !enough {
            return Err(format!("its vector of a first image has a cosine of {cosine} to the processor's"));
        }
    }
    Ok(())
}

fn mean_vectors(embedder: &dyn Embedder, images: &[Input]) -> Result<Vec<Vec<f32>>, EmbedError> {
    run(embedder, images)?.iter().map(|map| map.pool(Pooling::Avg)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one map of these values for each image; fails without any, panics when the first is negative.
    struct Fake(&'static str, Vec<f32>);

    impl Embedder for Fake {
        fn device(&self) -> Arc<DeviceReport> {
            let word = String::new;
            let device = self.0.to_string();
            Arc::new(DeviceReport { device, detail: word(), precision: word(), reason: word() })
        }

        fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
            match self.1.first() {
                None => Err(EmbedError::Compute { reason: "lost".to_string() }),
                Some(first) => {
                    assert!(*first >= 0.0, "negative");
                    inputs.iter().map(|_| FeatureMap::new(self.1.clone(), self.1.len())).collect()
                }
            }
        }
    }

    fn inputs(count: usize) -> Vec<Input> {
        let image = || Input::from_rgb(Recipe::Keras, vec![1; Recipe::Keras.side().pow(2) * 3]).unwrap();
        (0..count).map(|_| image()).collect()
    }

    fn with_spare(first: &[f32], spare: &[f32]) -> WithSpare {
        WithSpare::new(Arc::new(Fake("gpu", first.to_vec())), Arc::new(Fake("cpu", spare.to_vec())))
    }

    #[test]
    fn a_device_that_works_is_kept() {
        let embedder = with_spare(&[1.0, 0.0], &[3.0, 4.0]);
        assert_eq!(embedder.embed(&inputs(2), Pooling::Max).unwrap(), [[1.0, 0.0], [1.0, 0.0]]);
        assert_eq!(embedder.device().device, "gpu");
    }

    #[test]
    fn what_is_lost_in_the_middle_is_computed_by_the_spare() {
        for broken in [&[][..], &[-1.0, 0.0]] {
            let embedder = with_spare(broken, &[3.0, 4.0]);
            assert_eq!(embedder.device().device, "gpu");
            for _ in 0..2 {
                assert_eq!(embedder.embed(&inputs(1), Pooling::Max).unwrap(), [[0.6, 0.8]]);
                let report = embedder.device();
                assert_eq!(report.device, "cpu");
                assert!(report.reason.starts_with("gpu has failed: "), "{}", report.reason);
            }
        }
    }

    #[test]
    fn an_error_of_the_spare_is_told() {
        let error = with_spare(&[], &[]).embed(&inputs(1), Pooling::Max).unwrap_err();
        assert_eq!(error, EmbedError::Compute { reason: "lost".to_string() });
    }

    #[test]
    fn a_device_that_computes_wrongly_is_refused() {
        let right = Fake("cpu", vec![1.0, 1.0]);
        let try_it = |values: &[f32]| check(&Fake("gpu", values.to_vec()), &right, 0.9999);
        assert_eq!(try_it(&[2.0, 2.0]), Ok(()));
        assert_eq!(try_it(&[2.0, 2.01]), Ok(()));
        for wrong in [&[1.0, 0.9][..], &[0.0, 1.0], &[f32::NAN, 1.0], &[], &[-1.0, 1.0]] {
            let refused = try_it(wrong).unwrap_err();
            assert!(!refused.is_empty(), "{wrong:?}");
        }
    }
}
