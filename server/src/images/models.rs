//! The embedding models that are in use: each is opened by a thread of its own, so that the server answers at once. Requests
//! wait until it is there; if it can't be opened they get the reason. That of new collections is opened at the start and
//! stays, any other one when it is asked for; it stays until too many are open and it is the one that was not asked for
//! longest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use elanus_embed::ModelKey;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::model::{Model, Setup};
use crate::app::blocking;
use crate::config::Config;
use crate::error::ApiError;
use crate::models::{ModelError, ModelFolder, Stamp};
use crate::telemetry::Metrics;

/// Models that are open at one time, unless more of them are busy. Each takes some hundred megabytes.
const MAX_OPEN: usize = 4;
/// How often a thread that waits for a model looks whether it should give up.
const LOOK: Duration = Duration::from_millis(50);

/// Where the opening of the model stands.
#[derive(Debug, Clone)]
pub enum ModelState {
    /// Weights are being unpacked, the device is being prepared.
    Opening,
    /// Ready.
    Ready(Arc<Model>),
    /// It can't be opened; the sentence says why. It is tried again when its file has changed.
    Failed(String),
}

/// The models as the image service holds them.
pub(crate) struct Models {
    setup: Arc<Setup>,
    /// That of new collections.
    standard: ModelKey,
    /// Those that are open or could not be opened, the one asked for last at the end.
    slots: Mutex<Vec<(ModelKey, Arc<ModelSlot>)>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct ModelSlot {
    state: watch::Sender<ModelState>,
    /// Of the file that it is opened from.
    file: Option<Stamp>,
}

impl std::fmt::Debug for Models {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Models").field("slots", &*self.slots.lock()).finish_non_exhaustive()
    }
}

impl Models {
    /// Begins to open the model of new collections.
    ///
    /// # Errors
    /// As [`Models::slot`].
    pub(crate) fn start(
        config: &Config,
        metrics: Arc<Metrics>,
        standard: ModelKey,
    ) -> Result<Self, ApiError> {
        let setup = Arc::new(Setup::new(config, metrics));
        let models = Self { setup, standard, slots: Mutex::default() };
        models.slot(standard)?;
        Ok(models)
    }

    /// Where their files are.
    pub(crate) fn folder(&self) -> &ModelFolder {
        &self.setup.folder
    }

    /// A model that begins to be opened if it is not yet. Blocking.
    ///
    /// # Errors
    /// 409 with a way to get it when its file is not there.
    pub(crate) fn slot(&self, model: ModelKey) -> Result<Arc<ModelSlot>, ApiError> {
        if let Some(slot) = self.usable(model) {
            return Ok(slot);
        }
        if model != ModelKey::CARRIED {
            // Not remembered: the file may be put there while the server runs.
            self.setup.folder.open(model)?;
        }
        let mut slots = self.slots.lock();
        if let Some(slot) = find(&slots, model).filter(|slot| self.is_usable(model, slot)) {
            return Ok(slot);
        }
        slots.retain(|(key, _)| *key != model);
        let slot = Arc::new(ModelSlot::open(&self.setup, model));
        slots.push((model, Arc::clone(&slot)));
        let closed = self.close_idle(&mut slots);
        drop(slots);
        // To put weights away takes its time.
        drop(closed);
        Ok(slot)
    }

    /// Takes out those that were not asked for longest until no more than [`MAX_OPEN`] are left or the others are busy.
    /// Whoever still holds one goes on with it.
    fn close_idle(&self, slots: &mut Vec<(ModelKey, Arc<ModelSlot>)>) -> Vec<Arc<ModelSlot>> {
        let mut closed = Vec::new();
        while slots.len() > MAX_OPEN {
            let idle = slots.iter().position(|(model, slot)| *model != self.standard && slot.is_idle());
            let Some(idle) = idle else { break };
            let (model, slot) = slots.remove(idle);
            tracing::info!(%model, "the model is closed: others were asked for since");
            closed.push(slot);
        }
        closed
    }

    /// Whether it is open, or could be. Blocking.
    pub(crate) fn has(&self, model: ModelKey) -> bool {
        let slot = find(&self.slots.lock(), model);
        match slot.filter(|slot| self.is_usable(model, slot)) {
            Some(slot) => !matches!(slot.now(), ModelState::Failed(_)),
            None => model == ModelKey::CARRIED || self.setup.folder.open(model).is_ok(),
        }
    }

    /// A model that is there, if asking once more would not change anything; it counts as asked for.
    fn usable(&self, model: ModelKey) -> Option<Arc<ModelSlot>> {
        let mut slots = self.slots.lock();
        let at = slots.iter().position(|(key, _)| *key == model)?;
        slots[at..].rotate_left(1);
        let slot = slots.last().map(|(_, slot)| Arc::clone(slot))?;
        drop(slots);
        self.is_usable(model, &slot).then_some(slot)
    }

    /// False for one that could not be opened and whose file has changed: somebody has put the right one there.
    fn is_usable(&self, model: ModelKey, slot: &ModelSlot) -> bool {
        !matches!(slot.now(), ModelState::Failed(_)) || self.setup.folder.stamp(model) == slot.file
    }

    /// How things stand with a model; `None` if it is not open.
    pub(crate) fn now(&self, model: ModelKey) -> Option<ModelState> {
        find(&self.slots.lock(), model).map(|slot| slot.now())
    }

    /// All that are open or could not be opened, by name.
    pub(crate) fn all(&self) -> Vec<(ModelKey, ModelState)> {
        let mut all: Vec<_> = self.slots.lock().iter().map(|(model, slot)| (*model, slot.now())).collect();
        all.sort_by_key(|(model, _)| model.to_string());
        all
    }

    /// A model, as soon as it is there.
    ///
    /// # Errors
    /// As [`Models::slot`]; 503 with the reason when it can't be opened.
    pub(crate) async fn wait(self: &Arc<Self>, model: ModelKey) -> Result<Arc<Model>, ApiError> {
        let models = Arc::clone(self);
        blocking(move || models.slot(model)).await?.wait().await
    }

    /// The same for a thread; `None` once `stop` is set.
    pub(crate) fn wait_blocking(
        &self,
        model: ModelKey,
        stop: &AtomicBool,
    ) -> Option<Result<Arc<Model>, String>> {
        match self.slot(model) {
            Ok(slot) => slot.wait_blocking(stop),
            Err(error) => Some(Err(error.message)),
        }
    }
}

fn find(slots: &[(ModelKey, Arc<ModelSlot>)], model: ModelKey) -> Option<Arc<ModelSlot>> {
    slots.iter().find(|(key, _)| *key == model).map(|(_, slot)| Arc::clone(slot))
}

impl From<ModelError> for ApiError {
    /// A model that is not there, or is not named well enough, contradicts what this server has.
    fn from(error: ModelError) -> Self {
        match error {
            ModelError::Absent { .. } | ModelError::Ambiguous { .. } => Self::conflict(error.to_string()),
            error => Self::unavailable(error.to_string()),
        }
    }
}

impl ModelSlot {
    /// Begins to open a model on a thread of its own.
    fn open(setup: &Arc<Setup>, model: ModelKey) -> Self {
        // Before it is read: what is put there meanwhile counts as a change.
        let file = setup.folder.stamp(model);
        let (state, _) = watch::channel(ModelState::Opening);
        let (publish, setup) = (state.clone(), Arc::clone(setup));
        let open = move || {
            let opened =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Model::open(&setup, model)));
            publish.send_replace(match opened {
                Ok(Ok(model)) => ModelState::Ready(Arc::new(model)),
                Ok(Err(reason)) => failed(reason),
                Err(_) => failed("opening the model failed with an internal error".to_owned()),
            });
        };
        if let Err(error) = std::thread::Builder::new().name("open-model".to_owned()).spawn(open) {
            state.send_replace(failed(format!("no thread to open the model: {error}")));
        }
        Self { state, file }
    }

    /// Whether nobody embeds with it just now.
    fn is_idle(&self) -> bool {
        match &*self.state.borrow() {
            ModelState::Opening => false,
            ModelState::Ready(model) => Arc::strong_count(model) == 1,
            ModelState::Failed(_) => true,
        }
    }

    /// How things stand now.
    fn now(&self) -> ModelState {
        self.state.borrow().clone()
    }

    /// The model, as soon as it is there.
    ///
    /// # Errors
    /// 503 with the reason when it can't be opened.
    async fn wait(&self) -> Result<Arc<Model>, ApiError> {
        let mut state = self.state.subscribe();
        let settled = state.wait_for(|state| !matches!(state, ModelState::Opening)).await;
        match settled.map(|state| state.clone()) {
            Ok(ModelState::Ready(model)) => Ok(model),
            Ok(ModelState::Failed(reason)) => Err(ApiError::unavailable(reason)),
            Ok(ModelState::Opening) | Err(_) => Err(ApiError::unavailable("the server is stopping")),
        }
    }

    /// The same for a thread; `None` once `stop` is set.
    fn wait_blocking(&self, stop: &AtomicBool) -> Option<Result<Arc<Model>, String>> {
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
