//! Threads of the engine: some open the collections at start, one seals what is asked for, one compacts, one indexes (and
//! merges segments of collections at rest), one deletes rows that have lived as long as they may, one removes the files of
//! dropped collections, one ticks (measures for the quota, syncs logs that are synced at intervals, asks for sealing by
//! age). None of them keeps the engine alive.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded, never};
use elanus_storage::Vfs;

use super::Engine;
use crate::collection::{Collection, Durability};
use crate::error::{EngineError, ErrorClass, Result};

/// How often the disk is measured and collections are looked at.
const TICK: Duration = Duration::from_secs(1);
/// After a failed rewriting (a full disk, say) the next attempt waits this long.
const RETRY: Duration = Duration::from_secs(10);

/// A collection that the catalog does not name any more, to be closed and its files removed: what is left of them at a
/// crash is swept at the next start.
pub(super) struct Dropped {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// None of one that was out of service.
    pub(super) collection: Option<Arc<Collection>>,
    pub(super) vfs: Arc<dyn Vfs>,
}

impl Dropped {
    pub(super) fn remove(self) {
        if let Some(collection) = &self.collection {
            collection.close();
        }
        if let Err(error) = self.vfs.remove_dir_all(&self.folder) {
            tracing::warn!(collection = self.name, %error, "files of a dropped collection are left for the next start");
        }
    }
}

/// What the threads are asked to do.
pub(super) struct Requests {
    /// Collections to be sealed, by number.
    pub(super) seals: Receiver<u64>,
    /// To look for indexes that are missing.
    pub(super) indexes: Receiver<()>,
    pub(super) dropped: Receiver<Dropped>,
}

/// The running threads.
pub(super) struct Background {
    /// Dropping these ends the threads.
    stops: Vec<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Background {
    pub(super) fn start(engine: &Arc<Engine>, requests: Requests) -> Result<Self> {
        let Requests { seals, indexes, dropped } = requests;
        let mut background = Self { stops: Vec::new(), threads: Vec::new() };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        for number in 0..cores.min(engine.slots.len()) {
            let (slots, shared, root) =
                (Arc::clone(&engine.slots), engine.shared.clone(), engine.root.clone());
            // Ends by itself; `Slots::stop_loading` ends it early.
            background.spawn(&format!("load-{number}"), move |_| slots.load(&shared, &root))?;
        }
        let weak = Arc::downgrade(engine);
        background.spawn("sealer", move |stop| seal_on_request(&weak, &seals, &stop))?;
        let weak = Arc::downgrade(engine);
        background.spawn("compactor", move |stop| {
            let mut rest = Rest::default();
            every(TICK, None, &weak, &stop, |engine| rest.compact(engine));
        })?;
        let weak = Arc::downgrade(engine);
        background.spawn("indexer", move |stop| {
            let mut rest = Rest::default();
            let indexes = Some(&indexes);
            every(TICK, indexes, &weak, &stop, |engine| rest.index(engine));
        })?;
        let weak = Arc::downgrade(engine);
        let interval = match engine.shared.options.durability {
            Durability::EveryWrite => None,
            Durability::Interval(interval) => Some(interval.max(Duration::from_millis(1))),
        };
        let tick = interval.map_or(TICK, |interval| interval.min(TICK));
        background.spawn("ticker", move |stop| {
            let (mut measured, mut synced) = (Instant::now(), Instant::now());
            every(tick, None, &weak, &stop, |engine| {
                if interval.is_some_and(|interval| synced.elapsed() >= interval) {
                    synced = Instant::now();
                    sync_all(engine);
                }
                if measured.elapsed() >= TICK {
                    measured = Instant::now();
                    engine.measure();
                    request_seals(engine);
                }
            });
        })?;
        background.spawn("remover", move |stop| remove_dropped(&dropped, &stop))?;
        let weak = Arc::downgrade(engine);
        // Apart from the ticker: finding expired rows in a large collection takes longer than a sync may wait.
        background.spawn("expirer", move |stop| every(TICK, None, &weak, &stop, expire_rows))?;
        Ok(background)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce(Receiver<()>) + Send + 'static) -> Result<()> {
        let (stop, stopped) = bounded(0);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(stopped))
            .map_err(|e| EngineError::Internal(format!("{name} thread: {e}")))?;
        self.stops.push(stop);
        self.threads.push(thread);
        Ok(())
    }

    /// Ends the threads after what they are at.
    pub(super) fn stop(self) {
        drop(self.stops);
        for thread in self.threads {
            // One of them may hold the last reference to the engine and run this itself.
            if thread.thread().id() != std::thread::current().id() && thread.join().is_err() {
                tracing::error!("a background thread had panicked");
            }
        }
    }
}

/// Calls `run` at each tick, and as soon as it is asked for, until told to stop or the engine is gone.
fn every(
    tick: Duration,
    requests: Option<&Receiver<()>>,
    engine: &Weak<Engine>,
    stop: &Receiver<()>,
    mut run: impl FnMut(&Engine),
) {
    let nobody = never();
    loop {
        crossbeam::channel::select_biased! {
            recv(stop) -> _ => return,
            recv(requests.unwrap_or(&nobody)) -> _ => {}
            default(tick) => {}
        }
        let Some(engine) = engine.upgrade() else { return };
        run(&engine);
    }
}

fn seal_on_request(engine: &Weak<Engine>, requests: &Receiver<u64>, stop: &Receiver<()>) {
    loop {
        let id = crossbeam::channel::select_biased! {
            recv(stop) -> _ => return,
            recv(requests) -> id => id,
        };
        let (Ok(id), Some(engine)) = (id, engine.upgrade()) else { return };
        let Some(collection) = engine.slots.open().into_iter().find(|c| c.id() == id) else { continue };
        match shielded(|| collection.seal()) {
            Ok(()) | Err(EngineError::Closing | EngineError::CollectionNotFound { .. }) => {}
            Err(error) => {
                tracing::error!(collection = collection.name(), %error, "sealing failed; rows stay in the log");
            }
        }
    }
}

/// Removes all that was dropped before it is told to stop.
fn remove_dropped(dropped: &Receiver<Dropped>, stop: &Receiver<()>) {
    loop {
        let next = crossbeam::channel::select_biased! {
            recv(dropped) -> next => next,
            recv(stop) -> _ => return,
        };
        let Ok(next) = next else { return };
        if let Err(error) = shielded(|| {
            next.remove();
            Ok(())
        }) {
            tracing::error!(%error, "files of a dropped collection are left for the next start");
        }
    }
}

/// A bug in one rewriting must not end all later ones.
fn shielded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .unwrap_or_else(|_| Err(EngineError::Internal("a rewriting of segments panicked".into())))
}

fn request_seals(engine: &Engine) {
    for collection in engine.slots.open() {
        if collection.wants_sealing() {
            collection.request_seal();
        }
    }
}

fn expire_rows(engine: &Engine) {
    for collection in engine.slots.open() {
        match shielded(|| collection.expire()) {
            Ok(_) | Err(EngineError::Closing | EngineError::CollectionNotFound { .. }) => {}
            Err(error) => {
                tracing::error!(collection = collection.name(), %error, "rows past their time could not be deleted");
            }
        }
    }
}

fn sync_all(engine: &Engine) {
    for collection in engine.slots.open() {
        // A failure poisons the collection, which is said wherever it matters.
        let _ = collection.sync();
    }
}

/// Collections whose last compaction or indexing failed, until the time given.
#[derive(Default)]
struct Rest {
    failed: HashSet<u64>,
    until: Option<Instant>,
}

impl Rest {
    fn wake(&mut self) {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            self.failed.clear();
            self.until = None;
        }
    }

    fn sleep(&mut self, collection: &Collection) {
        self.failed.insert(collection.id());
        self.until.get_or_insert(Instant::now() + RETRY);
    }

    /// Each collection in turn, one index at a time.
    fn index(&mut self, engine: &Engine) {
        self.wake();
        let mut more = true;
        while more && !engine.is_closing() {
            more = false;
            for collection in engine.slots.open() {
                if self.failed.contains(&collection.id()) {
                    continue;
                }
                match shielded(|| Ok(collection.build_index()? || collection.settle_at_rest()?)) {
                    Ok(built) => more |= built,
                    Err(EngineError::Closing | EngineError::CollectionNotFound { .. }) => {}
                    Err(error) => {
                        tracing::error!(collection = collection.name(), %error, "indexing failed; it is tried again");
                        self.sleep(&collection);
                    }
                }
            }
        }
    }

    fn compact(&mut self, engine: &Engine) {
        self.wake();
        // Each collection in turn, one rewriting at a time: one that is never done does not keep the others waiting.
        let mut more = true;
        while more && !engine.is_closing() {
            more = false;
            for collection in engine.slots.open() {
                if !self.failed.contains(&collection.id()) && collection.take_compaction_due() {
                    more |= self.compact_once(engine, &collection);
                }
            }
        }
    }

    fn compact_once(&mut self, engine: &Engine, collection: &Collection) -> bool {
        let name = collection.name();
        match shielded(|| collection.compact()) {
            Ok(true) => {
                collection.put_compaction_due();
                true
            }
            Ok(false) | Err(EngineError::Closing | EngineError::CollectionNotFound { .. }) => false,
            Err(error) if error.class() == ErrorClass::Corrupt => {
                engine.take_out_of_service(collection, &error.to_string());
                false
            }
            Err(error) => {
                tracing::error!(collection = name, %error, "compaction failed; it is tried again");
                collection.put_compaction_due();
                self.sleep(collection);
                false
            }
        }
    }
}
