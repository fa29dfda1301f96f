//! The embedding models that are in use: each is opened by a thread of its own, so that the server answers at once. Requests
//! wait until it is there; if it can't be opened they get the reason. That of new collections is opened at the start and
//! stays, any other one when it is asked for; it stays until too many are open and it is the one that was not asked for
//! longest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use elanus_embed::ModelKey;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

use super::model::{Model, OpenError, Setup};
use crate::app::blocking;
use crate::config::Config;
use crate::error::ApiError;
use crate::models::{ModelError, ModelFolder, Stamp};
use crate::telemetry::Metrics;

/// How long the reason of a failure that may pass, as a lack of memory, is given before the model is tried again.
const PAUSE: Duration = Duration::from_secs(10);
/// How often a thread that waits for a model looks whether it should give up.
const LOOK: Duration = Duration::from_millis(50);

/// Where the opening of the model stands.
#[derive(Debug, Clone)]
pub enum ModelState {
    /// Weights are being unpacked, the device is being prepared.
    Opening,
    /// Ready.
    Ready(Arc<Model>),
    /// It can't be opened; the sentence says why. It is tried again when its file has changed, and where the file is not
    /// the reason, after a while.
    Failed(String),
}

/// The models as the image service holds them.
pub(crate) struct Models {
    setup: Arc<Setup>,
    /// That of new collections.
    standard: ModelKey,
    /// Those that are open or could not be opened, the one asked for last at the end.
    slots: Mutex<Slots>,
}

type Slots = Vec<(ModelKey, Arc<ModelSlot>)>;

/// One of them.
#[derive(Debug)]
pub(crate) struct ModelSlot {
    state: watch::Sender<ModelState>,
    /// Of the file that it is opened from.
    file: Option<Stamp>,
    /// When a failure is no longer the answer, if it is not the file's.
    again: Arc<OnceLock<Instant>>,
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
        self.close_idle(slots);
        Ok(slot)
    }

    /// Closes those that were not asked for longest until no more than the settings say are left, or the others are busy.
    fn close_idle(&self, mut slots: MutexGuard<'_, Slots>) {
        let mut closed = Vec::new();
        while slots.len() > self.setup.config.open_models {
            let may_close = |(model, slot): &(ModelKey, Arc<ModelSlot>)| self.may_close(*model, slot);
            // One that failed is of no use to anybody.
            let failed = slots.iter().position(|entry| entry.1.has_failed() && may_close(entry));
            let Some(idle) = failed.or_else(|| slots.iter().position(may_close)) else { break };
            let (model, slot) = slots.remove(idle);
            tracing::info!(%model, "the model is closed: others were asked for since");
            closed.push(slot);
        }
        drop(slots);
        // To put weights away takes its time.
        drop(closed);
    }

    /// Whether nobody embeds with it just now and it could be opened again. On a GPU it stays: burn keeps the memory.
    fn may_close(&self, model: ModelKey, slot: &Arc<ModelSlot>) -> bool {
        // Nobody else holds it, so nobody is about to ask it.
        let is_held = model == self.standard || Arc::strong_count(slot) > 1;
        !is_held
            && match &*slot.state.borrow() {
                ModelState::Opening => false,
                ModelState::Ready(open) => {
                    let idle = Arc::strong_count(open) == 1 && open.device().device == "cpu";
                    idle && self.setup.folder.stamp(model) == slot.file
                }
                ModelState::Failed(_) => true,
            }
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
        // Some may have been busy when others were opened.
        self.close_idle(slots);
        self.is_usable(model, &slot).then_some(slot)
    }

    /// False for one that could not be opened and whose file has changed: somebody has put the right one there; and for one
    /// whose failure may have passed.
    fn is_usable(&self, model: ModelKey, slot: &ModelSlot) -> bool {
        let passed = || slot.again.get().is_some_and(|again| Instant::now() >= *again);
        !matches!(slot.now(), ModelState::Failed(_))
            || self.setup.folder.stamp(model) == slot.file && !passed()
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

fn find(slots: &Slots, model: ModelKey) -> Option<Arc<ModelSlot>> {
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
        let again = Arc::new(OnceLock::new());
        let (publish, setup, retry) = (state.clone(), Arc::clone(setup), Arc::clone(&again));
        let open = move || {
            let opened =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Model::open(&setup, model)));
            let opened = opened.unwrap_or_else(|_| {
                Err(OpenError::Passing("opening the model failed with an internal error".to_owned()))
            });
            publish.send_replace(match opened {
                Ok(model) => ModelState::Ready(Arc::new(model)),
                Err(OpenError::OfFile(reason)) => failed(reason),
                Err(OpenError::Passing(reason)) => {
                    retry.get_or_init(|| Instant::now() + PAUSE);
                    failed(reason)
                }
            });
        };
        if let Err(error) = std::thread::Builder::new().name("open-model".to_owned()).spawn(open) {
            again.get_or_init(|| Instant::now() + PAUSE);
            state.send_replace(failed(format!("no thread to open the model: {error}")));
        }
        Self { state, file, again }
    }

    fn has_failed(&self) -> bool {
        matches!(&*self.state.borrow(), ModelState::Failed(_))
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
