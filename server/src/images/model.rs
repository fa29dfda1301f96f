//! One embedding model that is open, asked through a queue of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use elanus_embed::{
    Arithmetic, BatchOptions, Batcher, DeviceChoice, DeviceReport, EmbedError, Embedder, FeatureMap, Input,
    ModelKey, Pending, Pooling, Spent,
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
    device: DeviceChoice,
    config: EmbedConfig,
    /// Where weights files are.
    pub(super) folder: ModelFolder,
    waiting: Arc<Waiting>,
}

impl Setup {
    pub(super) fn new(config: &Config, metrics: Arc<Metrics>) -> Self {
        let waiting = Arc::new(Waiting { images: AtomicUsize::new(0), metrics });
        let folder = ModelFolder::new(config.models());
        Self { device: config.device, config: config.embed, folder, waiting }
    }
}

/// A model that is ready to embed.
pub struct Model {
    batcher: Batcher,
    waiting: Arc<Waiting>,
    device: DeviceReport,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Model {
    /// Reads the weights and puts them onto the device.
    ///
    /// # Errors
    /// Why that is impossible, as a sentence.
    pub(super) fn open(setup: &Setup, model: ModelKey) -> Result<Self, String> {
        let Setup { device, config, folder, waiting } = setup;
        let started = Instant::now();
        let embedder = match model {
            ModelKey::CARRIED => elanus_embed::open(*device),
            model => {
                let file = folder.open(model).map_err(|error| error.to_string())?;
                elanus_embed::open_model(*device, model, file)
            }
        };
        let embedder = embedder.map_err(|error| error.to_string())?;
        let device = embedder.device().clone();
        let suiting = BatchOptions::for_embedder(embedder.as_ref());
        let options = BatchOptions {
            max_batch: config.batch.unwrap_or(suiting.max_batch),
            patience: config.wait.unwrap_or(suiting.patience),
            queue: QUEUE,
        };
        let waiting = Arc::clone(waiting);
        let measured = Measured { embedder, waiting: Arc::clone(&waiting) };
        let batcher = Batcher::start(Arc::new(measured), options);
        waiting.metrics.model_opened();
        tracing::info!(
            model = %model,
            device = device.device,
            detail = device.detail,
            reason = device.reason,
            seconds = started.elapsed().as_secs_f32(),
            "the model is ready"
        );
        Ok(Self { batcher, waiting, device })
    }

    /// Where it runs, and why there.
    pub fn device(&self) -> &DeviceReport {
        &self.device
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
        // A client that has gone has dropped its receiver: the vector is dropped then.
        self.waiting.come();
        let callback = Box::new(move |vector| drop(reply.send(vector)));
        let queued = self.batcher.submit_with(input, pooling, callback);
        queued.inspect_err(|_| self.waiting.leave(1))?;
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
        self.waiting.come();
        self.batcher.submit_blocking(input, pooling).inspect_err(|_| self.waiting.leave(1))
    }
}

/// How many images wait, for the metrics.
struct Waiting {
    images: AtomicUsize,
    metrics: Arc<Metrics>,
}

impl Waiting {
    fn come(&self) {
        self.metrics.embed_queue(self.images.fetch_add(1, Ordering::Relaxed) + 1);
    }

    fn leave(&self, images: usize) {
        self.metrics.embed_queue(self.images.fetch_sub(images, Ordering::Relaxed).saturating_sub(images));
    }
}

/// An embedder whose runs are measured.
struct Measured {
    embedder: Arc<dyn Embedder>,
    waiting: Arc<Waiting>,
}

impl Embedder for Measured {
    fn device(&self) -> &DeviceReport {
        self.embedder.device()
    }

    fn preferred_batch(&self) -> usize {
        self.embedder.preferred_batch()
    }

    fn spent(&self) -> Spent {
        self.embedder.spent()
    }

    fn arithmetic(&self, side: usize) -> Option<Arithmetic> {
        self.embedder.arithmetic(side)
    }

    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        self.waiting.leave(inputs.len());
        let started = Instant::now();
        let maps = self.embedder.feature_maps(inputs)?;
        self.waiting.metrics.embed_seconds(
            &self.device().device,
            started.elapsed().as_secs_f64(),
            inputs.len(),
        );
        Ok(maps)
    }
}
