//! Removing originals that no row refers to any more, and reductions that no collection names: after rows or collections
//! were removed, and at the start for what a crash left behind. Rows decide, never bookkeeping: every sweep reads all of
//! them ([`references`](super::references)), where there is anything to remove. What is stored while a sweep runs is safe
//! from it; while a collection is out of service nothing is removed, because its rows can't be read.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use elanus_engine::{Engine, EngineError};
use elanus_storage::Digest;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::ImageService;
use super::layout::MODEL_PROPERTY;
use super::references::{self, Answer, Referred};
use crate::error::ApiError;

/// How often rows are counted to see whether some have gone.
const CENSUS_EVERY: Duration = Duration::from_secs(2);
/// A sweep reads every row: after one comes a rest of so many times its length, however much is deleted.
const REST: u32 = 19;
/// Originals removed before others may store images again.
const REMOVED_AT_ONCE: usize = 256;

/// The thread that sweeps on request.
#[derive(Debug)]
pub(super) struct Sweeper {
    requests: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Sweeper {
    /// Starts the thread; `None`, with a line in the log, when there can be none.
    pub(super) fn start(service: &Arc<ImageService>) -> Option<Self> {
        let (requests, inbox) = sync_channel(1);
        let service = Arc::downgrade(service);
        let thread =
            std::thread::Builder::new().name("sweep-images".to_owned()).spawn(move || run(&inbox, &service));
        match thread {
            Ok(thread) => Some(Self { requests, thread }),
            Err(error) => {
                tracing::warn!(%error, "no thread to remove unused originals");
                None
            }
        }
    }

    /// Asks for a sweep. Returns at once.
    pub(super) fn request(&self) {
        // A full inbox means that one is asked for already.
        let _ = self.requests.try_send(());
    }

    /// Ends the thread after the sweep it is in.
    pub(super) fn stop(self) {
        drop(self.requests);
        if self.thread.join().is_err() {
            tracing::error!("the thread that removes unused originals had panicked");
        }
    }
}

fn run(inbox: &Receiver<()>, service: &Weak<ImageService>) {
    let mut census = Census::default();
    let mut asked = false;
    let mut rested = Instant::now();
    loop {
        let inbox_asked = match inbox.recv_timeout(CENSUS_EVERY) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let Some(service) = service.upgrade() else { return };
        let engine = service.collections.engine();
        engine.set_other_bytes("images", service.originals.bytes());
        engine.set_other_bytes(super::reductions::FOLDER, service.reductions.bytes());
        asked |= inbox_asked;
        // While collections are being opened their rows can't be read: later.
        if engine.is_opening() {
            continue;
        }
        asked |= census.take(engine);
        let begun = Instant::now();
        if !asked || begun < rested {
            continue;
        }
        asked = false;
        match service.sweep() {
            Ok(Swept::Removed(0)) => {}
            Ok(Swept::Removed(removed)) => tracing::info!(removed, "originals without rows were removed"),
            Ok(Swept::Later) => asked = true,
            Err(error) => {
                asked = true;
                tracing::warn!(%error, "unused originals could not be removed");
            }
        }
        rested = Instant::now() + begun.elapsed().saturating_mul(REST);
    }
}

/// What has become of a sweep.
enum Swept {
    /// So many originals were removed.
    Removed(usize),
    /// Collections have changed their names meanwhile: to be done again.
    Later,
}

/// Rows of every collection with photos when it was last looked at, by the collection's number. Rows and collections are
/// also removed through the Milvus API, which knows nothing of images. Rows that have lived as long as they may count
/// until they are gone, as they do for the sweep.
#[derive(Debug, Default)]
struct Census {
    rows: HashMap<u64, u64>,
}

impl Census {
    /// Counts again; says whether a collection or rows of one have gone.
    fn take(&mut self, engine: &Engine) -> bool {
        let open = engine.open_collections();
        let with_photos = open.iter().filter(|rows| rows.properties().contains_key(MODEL_PROPERTY));
        self.replace(with_photos.map(|rows| (rows.id(), rows.snapshot().live())).collect())
    }

    fn replace(&mut self, now: HashMap<u64, u64>) -> bool {
        let before = std::mem::replace(&mut self.rows, now);
        before.iter().any(|(id, rows)| self.rows.get(id).is_none_or(|now| now < rows))
    }
}

/// Keeps stores and sweeps apart: whoever stores announces the contents, and a sweep never removes an announced one.
#[derive(Debug, Default)]
pub(super) struct SweepGate {
    /// Shared while originals wait for their rows; exclusive while originals are removed.
    storing: RwLock<()>,
    /// Contents announced since the running sweep began; none while there is no sweep.
    announced: Mutex<Option<HashSet<Digest>>>,
    /// Who wants all originals to stay.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    now: usize,
    /// Rises with each that comes: a sweep that began before it has judged without it.
    total: u64,
}

/// All originals stay while this is held; storing images goes on.
#[derive(Debug)]
pub(crate) struct KeepAll<'a>(&'a SweepGate);

impl Drop for KeepAll<'_> {
    fn drop(&mut self) {
        self.0.kept.lock().now -= 1;
    }
}

impl SweepGate {
    /// Keeps these contents from being swept. To be held until their rows are durable.
    pub(super) fn store(&self, contents: &[Digest]) -> RwLockReadGuard<'_, ()> {
        let storing = self.storing.read();
        if let Some(announced) = &mut *self.announced.lock() {
            announced.extend(contents);
        }
        storing
    }

    /// Keeps every original, also from a sweep that has judged already.
    pub(super) fn keep_all(&self) -> KeepAll<'_> {
        let mut kept = self.kept.lock();
        kept.now += 1;
        kept.total += 1;
        drop(kept);
        // A removal under way has not seen it: it is over when this is given.
        drop(self.storing.read());
        KeepAll(self)
    }

    /// Whether somebody wants every original to stay.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.lock().now > 0
    }

    /// Begins a sweep: what is being stored now is finished when this returns, what comes later is announced.
    fn begin(&self) -> Sweep<'_> {
        let _stores_are_done = self.storing.write();
        *self.announced.lock() = Some(HashSet::new());
        Sweep { gate: self, kept_before: self.kept.lock().total }
    }
}

/// A sweep under way.
struct Sweep<'a> {
    gate: &'a SweepGate,
    kept_before: u64,
}

impl Sweep<'_> {
    /// Lets `remove` have those of `contents` that were not announced, while nothing is being stored.
    fn remove<E>(&self, contents: &[Digest], remove: impl FnMut(&Digest) -> Result<(), E>) -> Result<(), E> {
        let _nobody_stores = self.gate.storing.write();
        let kept = self.gate.kept.lock();
        if kept.now > 0 || kept.total != self.kept_before {
            return Ok(());
        }
        drop(kept);
        let announced = self.gate.announced.lock().clone().unwrap_or_default();
        contents.iter().filter(|content| !announced.contains(content)).try_for_each(remove)
    }
}

impl Drop for Sweep<'_> {
    fn drop(&mut self) {
        *self.gate.announced.lock() = None;
    }
}

impl ImageService {
    /// Removes originals and thumbnails that no row of any collection refers to, and reductions that no collection names.
    /// Blocking.
    ///
    /// # Errors
    /// Engine and storage errors; what is left is found by the next sweep.
    fn sweep(&self) -> Result<Swept, ApiError> {
        self.drop_drafts()?;
        let engine = self.collections.engine();
        if !engine.failed().is_empty() {
            tracing::info!("a collection is out of service: unused originals stay");
            return Ok(Swept::Removed(0));
        }
        if self.quarantine.exists() {
            tracing::info!("something is in quarantine, which may refer to them: unused originals stay");
            return Ok(Swept::Removed(0));
        }
        let sweep = self.sweep_gate.begin();
        let mut unused: Vec<Digest> = self.originals.list().map_err(EngineError::from)?;
        let mut reductions: Vec<Digest> = self.reductions.list().map_err(EngineError::from)?;
        if unused.is_empty() && reductions.is_empty() {
            return Ok(Swept::Removed(0));
        }
        let referred = match references::ask(engine)? {
            Answer::Known(referred) => referred,
            Answer::Unknowable(reason) => {
                tracing::info!(reason, "nobody knows which photos a collection holds: unused originals stay");
                return Ok(Swept::Removed(0));
            }
            Answer::Moved => return Ok(Swept::Later),
        };
        let Referred { originals, reductions: named } = referred;
        unused.retain(|content| !originals.contains(content));
        reductions.retain(|content| !named.contains(content));
        let mut removed = 0;
        sweep.remove(&reductions, |content| self.reductions.remove(content)).map_err(EngineError::from)?;
        for group in unused.chunks(REMOVED_AT_ONCE) {
            sweep
                .remove(group, |content| {
                    self.thumbs.remove(content);
                    removed += 1;
                    self.originals.remove(content)
                })
                .map_err(EngineError::from)?;
        }
        Ok(Swept::Removed(removed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removed(sweep: &Sweep<'_>, contents: &[Digest]) -> Vec<Digest> {
        let mut removed = Vec::new();
        let taken: Result<(), ()> = sweep.remove(contents, |content| {
            removed.push(*content);
            Ok(())
        });
        taken.unwrap();
        removed
    }

    #[test]
    fn what_is_stored_during_a_sweep_stays() {
        let gate = SweepGate::default();
        let [old, new] = [Digest::of(b"old"), Digest::of(b"new")];
        drop(gate.store(&[old]));
        let sweep = gate.begin();
        drop(gate.store(&[new]));
        assert_eq!(removed(&sweep, &[old, new]), [old]);
        drop(sweep);
        assert_eq!(removed(&gate.begin(), &[new]), [new], "the next sweep judges anew");
    }

    #[test]
    fn whoever_keeps_all_keeps_them_from_a_sweep_under_way() {
        let gate = SweepGate::default();
        let content = Digest::of(b"x");
        let sweep = gate.begin();
        let kept = gate.keep_all();
        assert_eq!(removed(&sweep, &[content]), []);
        drop(kept);
        assert_eq!(removed(&sweep, &[content]), [], "it judged before");
        drop(sweep);
        let kept = gate.keep_all();
        drop(gate.store(&[content]));
        assert_eq!(removed(&gate.begin(), &[content]), []);
        drop(kept);
        assert_eq!(removed(&gate.begin(), &[content]), [content]);
    }

    #[test]
    fn a_census_sees_what_has_gone() {
        let mut census = Census::default();
        let mut take = |rows: &[(u64, u64)]| census.replace(rows.iter().copied().collect());
        assert!(!take(&[(1, 5)]));
        assert!(!take(&[(1, 6), (2, 0)]));
        assert!(take(&[(1, 5), (2, 0)]), "rows were deleted");
        assert!(take(&[(1, 5)]), "a collection was dropped");
        assert!(take(&[(3, 9)]), "and made again");
        assert!(!take(&[(3, 9)]));
    }

    #[test]
    fn a_sweep_waits_for_what_is_being_stored() {
        let gate = SweepGate::default();
        let content = Digest::of(b"x");
        let storing = gate.store(&[content]);
        std::thread::scope(|scope| {
            let (begun, inbox) = sync_channel(1);
            let gate = &gate;
            scope.spawn(move || {
                let _sweep = gate.begin();
                begun.send(()).unwrap();
            });
            // Nobody new may store where a sweep waits.
            while gate.storing.try_read().is_some() {
                assert!(inbox.try_recv().is_err(), "it has begun while a row is missing");
                std::thread::yield_now();
            }
            assert!(inbox.try_recv().is_err(), "it can't begin while a row is missing");
            drop(storing);
            inbox.recv().unwrap();
        });
    }
}
