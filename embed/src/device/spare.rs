//! A device that can be lost, as GPUs are when their driver fails or somebody takes them: what it could not compute, and
//! everything after, the processor computes. It is not gone back to before the next start: a device that fails now and
//! then is worse than one that is slow.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Arithmetic, DeviceReport, Embedder, Spent, run};
use crate::error::EmbedError;
use crate::preprocess::{Input, Recipe};
use crate::vgg16::{FeatureMap, Pooling};

/// Opens what takes over, which is told why.
type Open = fn(reason: &str) -> Result<Arc<dyn Embedder>, EmbedError>;

/// An embedder with another that takes over when it fails.
pub(super) struct WithSpare {
    current: Mutex<Arc<dyn Embedder>>,
    /// None once it has taken over.
    spare: Mutex<Option<Open>>,
}

impl WithSpare {
    pub(super) fn new(first: Arc<dyn Embedder>, spare: Open) -> Self {
        Self { current: Mutex::new(first), spare: Mutex::new(Some(spare)) }
    }

    fn current(&self) -> Arc<dyn Embedder> {
        Arc::clone(&self.current.lock())
    }

    /// What has taken over from `failed`; none when nothing can.
    fn take_over(&self, failed: &Arc<dyn Embedder>, reason: &str) -> Option<Arc<dyn Embedder>> {
        let mut spare = self.spare.lock();
        let Some(open) = *spare else {
            // Another call has seen it fail before this one.
            return Some(self.current()).filter(|current| !Arc::ptr_eq(current, failed));
        };
        let device = failed.device().device.clone();
        tracing::error!(
            device,
            reason,
            "the device has failed: images are embedded on the processor from now on"
        );
        match open(&format!("{device} has failed: {reason}")) {
            Ok(opened) => {
                *spare = None;
                *self.current.lock() = Arc::clone(&opened);
                Some(opened)
            }
            Err(error) => {
                tracing::error!(%error, "nor can the processor embed them");
                None
            }
        }
    }
}

impl Embedder for WithSpare {
    fn device(&self) -> Arc<DeviceReport> {
        self.current().device()
    }

    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        let current = self.current();
        run(current.as_ref(), inputs).or_else(|error| {
            let spare = self.take_over(&current, &error.to_string()).ok_or(error)?;
            run(spare.as_ref(), inputs)
        })
    }

    fn preferred_batch(&self) -> usize {
        self.current().preferred_batch()
    }

    fn patience(&self) -> Duration {
        self.current().patience()
    }

    fn spent(&self) -> Spent {
        self.current().spent()
    }

    fn arithmetic(&self, side: usize) -> Option<Arithmetic> {
        self.current().arithmetic(side)
    }
}

/// Lets both compute one image and compares: a device that computes, but wrongly, is of no use.
///
/// # Errors
/// A sentence that says what came out.
#[cfg_attr(not(feature = "cuda"), allow(dead_code))]
pub(super) fn check(device: &dyn Embedder, reference: &dyn Embedder, least: f32) -> Result<(), String> {
    let recipe = Recipe::Keras;
    let pixels = (0..recipe.side().pow(2) * 3).map(|at| (at / 7 % 251) as u8 ^ (at % 13) as u8).collect();
    let image = [Input::from_rgb(recipe, pixels).ok_or("there is no image to try it on")?];
    let vector = |embedder: &dyn Embedder| {
        let maps = run(embedder, &image).map_err(|error| error.to_string())?;
        maps[0].pool(Pooling::Avg).map_err(|error| error.to_string())
    };
    let (found, expected) = (vector(device)?, vector(reference)?);
    let cosine: f32 = found.iter().zip(&expected).map(|(a, b)| a * b).sum();
    match cosine >= least {
        true => Ok(()),
        false => Err(format!("its vector of a first image has a cosine of {cosine} to the processor's")),
    }
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

    fn spare(reason: &str) -> Result<Arc<dyn Embedder>, EmbedError> {
        assert!(reason.starts_with("gpu has failed: ") && reason.len() > 30, "{reason}");
        Ok(Arc::new(Fake("spare", vec![3.0, 4.0])))
    }

    fn no_spare(_: &str) -> Result<Arc<dyn Embedder>, EmbedError> {
        Err(EmbedError::Stopped)
    }

    #[test]
    fn a_device_that_works_is_kept() {
        let embedder = WithSpare::new(Arc::new(Fake("gpu", vec![1.0, 0.0])), spare);
        assert_eq!(embedder.embed(&inputs(2), Pooling::Max).unwrap(), [[1.0, 0.0], [1.0, 0.0]]);
        assert_eq!(embedder.device().device, "gpu");
    }

    #[test]
    fn what_is_lost_in_the_middle_is_computed_by_the_spare() {
        for broken in [vec![], vec![-1.0, 0.0]] {
            let embedder = WithSpare::new(Arc::new(Fake("gpu", broken)), spare);
            assert_eq!(embedder.device().device, "gpu");
            for _ in 0..2 {
                assert_eq!(embedder.embed(&inputs(1), Pooling::Max).unwrap(), [[0.6, 0.8]]);
                assert_eq!(embedder.device().device, "spare");
            }
        }
    }

    #[test]
    fn without_a_spare_the_error_is_told() {
        let embedder = WithSpare::new(Arc::new(Fake("gpu", vec![])), no_spare);
        for _ in 0..2 {
            let error = embedder.embed(&inputs(1), Pooling::Max).unwrap_err();
            assert_eq!(error, EmbedError::Compute { reason: "lost".to_string() });
            assert_eq!(embedder.device().device, "gpu");
        }
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
