//! One embedding model that is open, asked through a queue of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use elanus_embed::{
    Answer, Arithmetic, Asker, BatchOptions, Batcher, DeviceOptions, DeviceReport, EmbedError, Embedder,
    FeatureMap, Input, ModelKey, Pending, Pooling, Spent, WeightsError,
};
use tokio::sync::oneshot;

use crate::config::{Config, EmbedConfig};
use crate::error::ApiError;
use crate::models::ModelFolder;
use crate::telemetry::Metrics;

/// Images of requests that wait for a network; more are refused as busy.
const QUEUE: usize = 256;

/// What it takes to open models.
pub(super) struct Setup {
    device: DeviceOptions,
    pub(super) config: EmbedConfig,
    /// Where weights files are.
    pub(super) folder: ModelFolder,
    metrics: Arc<Metrics>,
}

impl Setup {
    pub(super) fn new(config: &Config, metrics: Arc<Metrics>) -> Self {
        let device = DeviceOptions { device: config.device, precision: config.embed.precision };
        Self { device, config: config.embed, folder: ModelFolder::new(config.models()), metrics }
    }
}

/// Why a model can't be opened, as a sentence.
pub(super) enum OpenError {
    /// Its file will do no better the next time.
    OfFile(String),
    /// Something else, which may pass.
    Passing(String),
}

/// A model that is ready to embed.
pub struct Model {
    batcher: Batcher,
    embedder: Arc<dyn Embedder>,
    metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("device", &self.device()).finish_non_exhaustive()
    }
}

impl Model {
    /// Reads the weights and puts them onto the device.
    ///
    /// # Errors
    /// Why that is impossible, as a sentence.
    pub(super) fn open(setup: &Setup, model: ModelKey) -> Result<Self, OpenError> {
        let Setup { device, config, folder, metrics } = setup;
        let started = Instant::now();
        let embedder = match model {
            ModelKey::CARRIED => elanus_embed::open(*device),
            model => {
                let file = folder.open(model).map_err(|error| OpenError::Passing(error.to_string()))?;
                elanus_embed::open_model(*device, model, file)
            }
        };
        let embedder = embedder.map_err(|error| match error {
            EmbedError::Weights(WeightsError::Io { .. }) => OpenError::Passing(error.to_string()),
            EmbedError::Weights(_) => OpenError::OfFile(error.to_string()),
            error => OpenError::Passing(error.to_string()),
        })?;
        let device = embedder.device();
        let options = BatchOptions { max_batch: config.batch, patience: config.wait, queue: QUEUE };
        let measured = Measured { embedder: Arc::clone(&embedder), metrics: Arc::clone(metrics) };
        let batcher = Batcher::start(Arc::new(measured), options);
        metrics.model_opened();
        tracing::info!(
            model = %model,
            device = device.device,
            detail = device.detail,
            reason = device.reason,
            seconds = started.elapsed().as_secs_f32(),
            "the model is ready"
        );
        Ok(Self { batcher, embedder, metrics: Arc::clone(metrics) })
    }

    /// Where it runs now, and why there.
    pub fn device(&self) -> Arc<DeviceReport> {
        self.embedder.device()
    }

    /// Images in one run where that is up to the device.
    pub(crate) fn preferred_batch(&self) -> usize {
        self.embedder.preferred_batch()
    }

    /// Images that wait.
    pub fn queue_depth(&self) -> usize {
        self.batcher.queue_depth()
    }

    /// Embeds one image for a request, before all imports; the calling task waits, no thread does.
    ///
    /// # Errors
    /// Busy while too many wait; the embedder's error.
    pub(crate) async fn embed(&self, input: Input, pooling: Pooling) -> Result<Vec<f32>, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.batcher.submit_with(input, pooling, Box::new(Task(reply)))?;
        match answer.await {
            Ok(vector) => Ok(vector?),
            Err(_) => Err(EmbedError::Stopped.into()),
        }
    }

    /// Queues one image of an import, which lets requests go first. Blocks until there is room for it.
    ///
    /// # Errors
    /// `Stopped` at the end.
    pub(crate) fn embed_in_turn(&self, input: Input, pooling: Pooling) -> Result<Pending, EmbedError> {
        self.batcher.submit_blocking(input, pooling)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.metrics.model_closed();
    }
}

/// A task that waits for a vector; with its client it goes away.
struct Task(oneshot::Sender<Answer>);

impl Asker for Task {
    fn is_waiting(&self) -> bool {
        !self.0.is_closed()
    }

    fn answer(self: Box<Self>, answer: Answer) {
        // It may have gone just now.
        let _ = self.0.send(answer);
    }
}

/// An embedder whose runs are measured.
struct Measured {
    embedder: Arc<dyn Embedder>,
    metrics: Arc<Metrics>,
}

impl Embedder for Measured {
    fn device(&self) -> Arc<DeviceReport> {
        self.embedder.device()
    }

    fn preferred_batch(&self) -> usize {
        self.embedder.preferred_batch()
    }

    fn patience(&self) -> Duration {
        self.embedder.patience()
    }

    fn spent(&self) -> Spent {
        self.embedder.spent()
    }

    fn arithmetic(&self, side: usize) -> Option<Arithmetic> {
        self.embedder.arithmetic(side)
    }

    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        let (before, started) = (self.device(), Instant::now());
        let maps = self.embedder.feature_maps(inputs)?;
        let now = self.device();
        if !Arc::ptr_eq(&before, &now) {
            self.metrics.device_lost(&before.device);
        }
        self.metrics.embed_seconds(&now.device, started.elapsed().as_secs_f64(), inputs.len());
        Ok(maps)
    }
}
