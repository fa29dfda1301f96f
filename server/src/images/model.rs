//! The embedding model: opened by a thread of its own, so that the server answers at once, and asked through its queue.
//! Requests wait until it is there; if it can't be opened they get the reason. It is one network for every descriptor.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use elanus_embed::{
    Answer, Arithmetic, Asker, BatchOptions, Batcher, DeviceChoice, DeviceOptions, DeviceReport, EmbedError,
    Embedder, FeatureMap, Input, Pending, Pooling, Spent,
};
use tokio::sync::{oneshot, watch};

use crate::config::EmbedConfig;
use crate::error::ApiError;
use crate::telemetry::Metrics;

/// Images of requests that wait for the network; more are refused as busy.
const QUEUE: usize = 256;
/// How often a thread that waits for the model looks whether it should give up.
const LOOK: Duration = Duration::from_millis(50);

/// A model that is ready to embed.
pub struct Model {
    batcher: Batcher,
    embedder: Arc<dyn Embedder>,
}

/// Where the opening of the model stands.
#[derive(Debug, Clone)]
pub enum ModelState {
    /// Weights are being unpacked, the device is being prepared.
    Opening,
    /// Ready.
    Ready(Arc<Model>),
    /// It can't be opened; the sentence says why. Images can't be embedded until the next start.
    Failed(String),
}

/// The model as the image service holds it.
#[derive(Debug)]
pub(crate) struct ModelSlot {
    state: watch::Sender<ModelState>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("device", &self.device()).finish_non_exhaustive()
    }
}

impl Model {
    fn open(choice: DeviceChoice, config: EmbedConfig, metrics: Arc<Metrics>) -> Result<Self, EmbedError> {
        let started = Instant::now();
        let embedder = elanus_embed::open(DeviceOptions { device: choice, precision: config.precision })?;
        let device = embedder.device();
        let suiting = BatchOptions::for_embedder(embedder.as_ref());
        let options = BatchOptions {
            max_batch: config.batch.unwrap_or(suiting.max_batch),
            patience: config.wait.unwrap_or(suiting.patience),
            queue: QUEUE,
        };
        let measured = Measured { embedder: Arc::clone(&embedder), metrics };
        let batcher = Batcher::start(Arc::new(measured), options);
        tracing::info!(
            device = device.device,
            detail = device.detail,
            reason = device.reason,
            seconds = started.elapsed().as_secs_f32(),
            "the model is ready"
        );
        Ok(Self { batcher, embedder })
    }

    /// Where it runs now, and why there.
    pub fn device(&self) -> Arc<DeviceReport> {
        self.embedder.device()
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

impl ModelSlot {
    /// Begins to open the model on a thread of its own.
    pub(crate) fn open(choice: DeviceChoice, config: EmbedConfig, metrics: Arc<Metrics>) -> Self {
        let (state, _) = watch::channel(ModelState::Opening);
        let publish = state.clone();
        let open = move || {
            let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                Model::open(choice, config, metrics)
            }));
            publish.send_replace(match opened {
                Ok(Ok(model)) => ModelState::Ready(Arc::new(model)),
                Ok(Err(error)) => failed(error.to_string()),
                Err(_) => failed("opening the model failed with an internal error".to_owned()),
            });
        };
        if let Err(error) = std::thread::Builder::new().name("open-model".to_owned()).spawn(open) {
            state.send_replace(failed(format!("no thread to open the model: {error}")));
        }
        Self { state }
    }

    /// How things stand now.
    pub(crate) fn now(&self) -> ModelState {
        self.state.borrow().clone()
    }

    /// The model, as soon as it is there.
    ///
    /// # Errors
    /// 503 with the reason when it can't be opened.
    pub(crate) async fn wait(&self) -> Result<Arc<Model>, ApiError> {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| !matches!(state, ModelState::Opening)).await;
        match settled.map(|state| state.clone()) {
            Ok(ModelState::Ready(model)) => Ok(model),
            Ok(ModelState::Failed(reason)) => Err(ApiError::unavailable(reason)),
            Ok(ModelState::Opening) | Err(_) => Err(ApiError::unavailable("the server is stopping")),
        }
    }

    /// The same for a thread; `None` once `stop` is set.
    pub(crate) fn wait_blocking(&self, stop: &AtomicBool) -> Option<Result<Arc<Model>, String>> {
        while !stop.load(Ordering::Relaxed) {
            match self.now() {
                ModelState::Ready(model) => return Some(Ok(model)),
                ModelState::Failed(reason) => return Some(Err(reason)),
                ModelState::Opening => std::thread::sleep(LOOK),
            }
        }
        None
    }
}

fn failed(reason: String) -> ModelState {
    tracing::error!(reason, "there is no model: images can't be embedded");
    ModelState::Failed(format!("images can't be embedded: {reason}"))
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
