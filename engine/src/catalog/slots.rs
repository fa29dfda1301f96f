//! Collections by name, each in the state it is in: waiting to be opened, open, or failed with a reason. Whoever wants
//! one that is not open yet waits a while.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::file::{CatalogFile, collection_folder};
use crate::collection::{Collection, Shared};
use crate::error::{EngineError, Result};

/// One collection.
#[derive(Debug)]
pub(super) enum Slot {
    /// Not open yet.
    Waiting {
        id: u64,
    },
    /// A thread is opening it.
    Opening,
    Open(Arc<Collection>),
    Failed {
        reason: String,
    },
}

/// How far the opening of all collections is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loading {
    /// Collections that are open, or failed.
    pub done: usize,
    /// All of them.
    pub total: usize,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    slots: BTreeMap<String, Slot>,
    stopped: bool,
    /// Requests that wait for a collection to be opened.
    waiting: usize,
    /// Nothing waits to be opened any more, and nothing will: collections that are made are open.
    loaded: bool,
    /// Collections that are opened under another name.
    renaming: usize,
}

/// More than so many requests do not wait: each holds a thread that requests for open collections need.
const MOST_WAITING: usize = 16;

impl Slots {
    pub(super) fn new(file: &CatalogFile) -> Self {
        let slots = file.collections.iter().map(|(name, &id)| (name.clone(), Slot::Waiting { id })).collect();
        Self {
            state: Mutex::new(State { slots, stopped: false, waiting: 0, loaded: false, renaming: 0 }),
            changed: Condvar::new(),
        }
    }

    /// Opens what waits, one after the other; several threads may do so at once.
    pub(super) fn load(&self, shared: &Shared, root: &Path) {
        while let Some((name, id)) = self.take_waiting() {
            self.put(&name, opened(shared, root, &name, id));
            shared.want_index();
        }
    }

    fn take_waiting(&self) -> Option<(String, u64)> {
        let mut state = self.state.lock();
        if state.stopped {
            return None;
        }
        state.slots.iter_mut().find_map(|(name, slot)| {
            let Slot::Waiting { id } = *slot else { return None };
            *slot = Slot::Opening;
            Some((name.clone(), id))
        })
    }

    pub(super) fn stop_loading(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn put(&self, name: &str, slot: Slot) {
        self.state.lock().slots.insert(name.to_owned(), slot);
        self.changed.notify_all();
    }

    /// Gives a collection another name, under which it is opened anew: whoever asks for it waits. There is no moment in
    /// which it has neither name.
    pub(super) fn rename(&self, old: &str, new: &str) {
        let mut state = self.state.lock();
        state.slots.remove(old);
        state.slots.insert(new.to_owned(), Slot::Opening);
        state.renaming += 1;
    }

    /// Ends [`Slots::rename`].
    pub(super) fn renamed(&self, new: &str, slot: Slot) {
        self.state.lock().renaming -= 1;
        self.put(new, slot);
    }

    /// Takes a collection out of service, if it still is what its name stands for.
    pub(super) fn fail(&self, collection: &Collection, reason: &str) {
        let mut state = self.state.lock();
        if let Some(slot) = state.slots.get_mut(collection.name())
            && matches!(slot, Slot::Open(open) if open.id() == collection.id())
        {
            *slot = failed(collection.name(), reason.to_owned());
        }
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn remove(&self, name: &str) -> Option<Slot> {
        self.state.lock().slots.remove(name)
    }

    pub(super) fn get(&self, name: &str, wait: Duration) -> Result<Arc<Collection>> {
        let until = Instant::now() + wait;
        let mut state = self.state.lock();
        loop {
            match state.slots.get(name) {
                Some(Slot::Open(collection)) => return Ok(Arc::clone(collection)),
                Some(Slot::Failed { reason }) => {
                    return Err(EngineError::CollectionFailed {
                        name: name.to_owned(),
                        reason: reason.clone(),
                    });
                }
                None => {
                    let (database, name) = super::split(name);
                    let (database, name) = (database.to_owned(), name.to_owned());
                    return Err(EngineError::CollectionNotFound { database, name });
                }
                Some(Slot::Waiting { .. } | Slot::Opening) => {}
            }
            let give_up = state.stopped || wait.is_zero() || state.waiting >= MOST_WAITING || {
                state.waiting += 1;
                let timed_out = self.changed.wait_until(&mut state, until).timed_out();
                state.waiting -= 1;
                timed_out
            };
            if give_up {
                let Loading { done, total } = state.loading().unwrap_or(Loading { done: 0, total: 0 });
                return Err(EngineError::CollectionLoading { name: name.to_owned(), done, total });
            }
        }
    }

    /// Waits for a collection to be opened, if it is being, for whoever needs it without waiting later.
    pub(super) fn wait(&self, name: &str, wait: Duration) {
        drop(self.get(name, wait));
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state.lock().stopped
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().slots.len()
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.state.lock().slots.contains_key(name)
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.state.lock().slots.keys().cloned().collect()
    }

    pub(super) fn failed(&self) -> Vec<(String, String)> {
        let reason = |slot: &Slot| match slot {
            Slot::Failed { reason } => Some(reason.clone()),
            _ => None,
        };
        let state = self.state.lock();
        state.slots.iter().filter_map(|(name, slot)| Some((name.clone(), reason(slot)?))).collect()
    }

    pub(super) fn open(&self) -> Vec<Arc<Collection>> {
        let open = |slot: &Slot| if let Slot::Open(c) = slot { Some(Arc::clone(c)) } else { None };
        self.state.lock().slots.values().filter_map(open).collect()
    }

    pub(super) fn loading(&self) -> Option<Loading> {
        self.state.lock().loading()
    }

    pub(super) fn is_opening(&self) -> bool {
        let mut state = self.state.lock();
        state.renaming > 0 || state.loading().is_some()
    }
}

impl State {
    fn loading(&mut self) -> Option<Loading> {
        if self.loaded {
            return None;
        }
        let waits = |slot: &&Slot| matches!(slot, Slot::Waiting { .. } | Slot::Opening);
        let waiting = self.slots.values().filter(waits).count();
        let total = self.slots.len();
        self.loaded = waiting == 0;
        (!self.loaded).then(|| Loading { done: total - waiting, total })
    }
}

/// Opens a collection. What prevents it is in its slot, a panic too.
pub(super) fn opened(shared: &Shared, root: &Path, name: &str, id: u64) -> Slot {
    let folder = collection_folder(root, id);
    let open = || Collection::open(shared.clone(), &folder, id, name.to_owned());
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(open)) {
        Ok(Ok(collection)) => Slot::Open(Arc::new(collection)),
        Ok(Err(error)) => failed(name, error.to_string()),
        Err(_) => failed(name, "internal error while it was opened; the log has the details".into()),
    }
}

fn failed(name: &str, reason: String) -> Slot {
    tracing::error!(collection = name, reason, "collection is out of service; the others go on");
    Slot::Failed { reason }
}
