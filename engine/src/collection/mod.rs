//! One collection: its folder, its log, the snapshot that readers see. A write goes log → sync → apply → publish →
//! acknowledge (`write`, `commit`); a read takes the published snapshot and never waits for a writer (`read`). Growing
//! rows are sealed into files, and files are compacted, in the background (`seal`, `compact`, both on `rewrite`). The
//! catalog opens collections; the server calls the methods here.
//!
//! Locks are taken in this order: `updating`, `indexing_turn`, `compacting`, `sealing`, `manifest`, `writer`, `published`;
//! nobody has to take them all.

mod alter;
mod commit;
mod compact;
mod copy;
mod definition;
mod delete;
mod index;
mod manifest;
mod partition;
mod read;
mod record;
mod replay;
mod rewrite;
mod seal;
mod snapshot;
mod write;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use elanus_storage::quota::Quota;
use elanus_storage::{Recovery, Reserve, StorageError, Vfs, Wal, WalOptions};
use parking_lot::{Mutex, RwLock};

pub use alter::TTL_PROPERTY;
use commit::CommitQueue;
pub use compact::CompactionStats;
use compact::Progress;
pub(crate) use copy::{Held, copy_folder};
pub(crate) use definition::Searching;
pub use definition::{DEFAULT_DATABASE, Definition, IndexDefinition};
use index::Indexing;
pub use index::{IndexState, IndexingStats};
pub(crate) use manifest::{FILE as MANIFEST, Manifest};
pub use partition::{DEFAULT_PARTITION, Partition};
pub(crate) use replay::{Replay, Replayed};
pub use snapshot::Snapshot;
pub use write::UpdateTurn;
pub(crate) use write::now_ms;

use crate::catalog::EngineOptions;
use crate::compact::Pace;
use crate::error::{EngineError, Result};
use crate::exec::{Place, SearchQueue};
use crate::schema::Schema;

/// Folders of a collection.
const FOLDERS: [&str; 3] = ["wal", "truth", "derived"];

/// When a write is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// After the log that holds it was synced: nothing acknowledged is ever lost.
    EveryWrite,
    /// After it was written to the log, which is synced this often: a loss of power may lose the writes since the last
    /// sync, a killed process loses none.
    Interval(Duration),
}

/// What every collection of an engine shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) vfs: Arc<dyn Vfs>,
    /// Searches run here, never on a caller's thread.
    pub(crate) pool: Arc<rayon::ThreadPool>,
    /// Indexes are built here.
    pub(crate) index_pool: Arc<rayon::ThreadPool>,
    /// Bounds the searches that wait and run.
    pub(crate) queue: Arc<SearchQueue>,
    pub(crate) options: Arc<EngineOptions>,
    /// Asked before data grows.
    pub(crate) quota: Arc<Quota>,
    /// Given away when deletes find no room.
    pub(crate) reserve: Arc<Reserve>,
    /// Slows compaction down beside foreground work.
    pub(crate) pace: Arc<Pace>,
    /// Asks for a collection to be sealed in the background.
    pub(crate) seal_requests: crossbeam::channel::Sender<u64>,
    /// Says that an index may be missing: see [`Shared::want_index`].
    pub(crate) index_requests: crossbeam::channel::Sender<()>,
}

/// Rows under a schema, durable and searchable.
pub struct Collection {
    id: u64,
    name: String,
    dir: PathBuf,
    shared: Shared,
    /// What the manifest says; readers need not wait for it.
    definition: RwLock<Arc<Definition>>,
    published: RwLock<Arc<Snapshot>>,
    commits: CommitQueue,
    writer: Mutex<Writer>,
    manifest: Mutex<Manifest>,
    /// Held by all who write; alone by an upsert that depends on what is stored.
    updating: RwLock<()>,
    /// One sealing at a time.
    sealing: Mutex<()>,
    /// One compaction at a time.
    compacting: Mutex<()>,
    /// Those who wait to change the schema or an index.
    altering: AtomicUsize,
    last_write: Mutex<Instant>,
    /// Merging at rest has failed, and is not tried before.
    settle_again: Mutex<Option<Instant>>,
    compaction: Progress,
    compaction_due: AtomicBool,
    indexing: Indexing,
    /// One index at a time.
    indexing_turn: Mutex<()>,
    /// Why nothing is written any more.
    poison: Mutex<Option<String>>,
    replayed: Recovery,
    seal_requested: AtomicBool,
    next_segment: AtomicU64,
    closing: AtomicBool,
    /// It was dropped: whoever still holds it is told so.
    dropped: AtomicBool,
}

/// What only the committing thread touches.
struct Writer {
    wal: Wal,
    next_id: i64,
    /// Segments that are being sealed: they must not be joined with others meanwhile.
    fixed: HashSet<u64>,
    /// When the oldest record that no file covers was written.
    unsealed_since: Option<Instant>,
    /// When sealing last failed.
    seal_failed: Option<Instant>,
}

/// Numbers for people and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectionStats {
    /// Live rows.
    pub rows: u64,
    /// Live rows that no sealed segment holds yet.
    pub growing_rows: u64,
    /// Segments in files.
    pub sealed_segments: usize,
    /// Bytes in the log.
    pub log_bytes: u64,
    /// Bytes of vectors and columns of all segments, dead rows included.
    pub segment_bytes: u64,
    /// Rows in sealed segments that are dead.
    pub dead_rows: u64,
    /// Bytes of the collection's files.
    pub disk_bytes: u64,
    /// Bytes of the log that were replayed when the collection was opened.
    pub replayed_bytes: u64,
    /// Compaction.
    pub compaction: CompactionStats,
    /// Indexes of all vector fields together.
    pub indexing: IndexingStats,
}

impl Shared {
    /// Lets the thread that makes indexes look for missing ones now instead of at its next tick.
    pub(crate) fn want_index(&self) {
        // One that is not taken yet stands for all.
        let _ = self.index_requests.try_send(());
    }

    /// A place among the searches that run or wait; none for one that [`crate::Engine::run_search`] has given one already.
    pub(crate) fn enter_search(&self) -> Result<Option<Place>> {
        match self.pool.current_thread_index() {
            Some(_) => Ok(None),
            None => self.queue.enter().map(Some),
        }
    }
}

impl std::fmt::Debug for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collection").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collection {
    /// Makes the folder of a new, empty collection. It exists for readers once the catalog names it: until then nothing of
    /// it counts, so its names are made first and synced together.
    pub(crate) fn create(shared: Shared, dir: &Path, id: u64, mut definition: Definition) -> Result<Self> {
        let vfs = Arc::clone(&shared.vfs);
        vfs.create_dir(dir)?;
        FOLDERS.iter().try_for_each(|folder| vfs.create_dir(&dir.join(folder)))?;
        let wal = Wal::create(Arc::clone(&vfs), &dir.join("wal"), WalOptions::default())?;
        let name = crate::catalog::qualified(&definition.database, &definition.name);
        definition.bring_up_to_date(&name);
        definition.created_ms = now_ms() as u64;
        let mut manifest = Manifest::new(definition);
        manifest.store(vfs.as_ref(), dir)?;
        if let Some(collections) = dir.parent() {
            vfs.sync_dir(collections)?;
        }
        let schema = Arc::new(manifest.definition().schema.clone());
        let empty = Replayed {
            snapshot: Snapshot::new(schema, Vec::new()),
            next_id: manifest.next_id(),
            next_segment: manifest.next_segment(),
        };
        Ok(Self::serving(shared, dir, id, name, manifest, empty, (wal, Recovery::default())))
    }

    /// Opens the maps and replays the log.
    pub(crate) fn open(shared: Shared, dir: &Path, id: u64, name: String) -> Result<Self> {
        let vfs = Arc::clone(&shared.vfs);
        let mut manifest = Manifest::adopt(vfs.as_ref(), dir)?;
        manifest.sweep(vfs.as_ref(), dir)?;
        // The catalog says what it is called; after a renaming the manifest follows.
        if manifest.definition_mut().bring_up_to_date(&name) {
            manifest.store(vfs.as_ref(), dir)?;
        }
        let schema = Arc::new(manifest.definition().schema.clone());
        let snapshot = manifest.open_segments(vfs.as_ref(), dir, &schema)?;
        let log = dir.join("wal");
        let mut replay = Replay::new(&schema, &log, &manifest, snapshot);
        let after = manifest.replay_after();
        let opened = Wal::open(vfs, &log, WalOptions::default(), after, &mut |sequence, bytes| {
            replay.step(sequence, bytes)
        });
        let (replayed, failure) = replay.finish();
        if let Some(error) = failure {
            return Err(error);
        }
        let (wal, recovery) = opened?;
        tracing::info!(
            collection = name,
            records = recovery.records,
            bytes = recovery.bytes,
            cut = recovery.cut_bytes,
            rows = replayed.snapshot.live(),
            "collection opened"
        );
        Ok(Self::serving(shared, dir, id, name, manifest, replayed, (wal, recovery)))
    }

    fn serving(
        shared: Shared,
        dir: &Path,
        id: u64,
        name: String,
        manifest: Manifest,
        Replayed { snapshot, next_id, next_segment }: Replayed,
        (wal, recovery): (Wal, Recovery),
    ) -> Self {
        let unsealed_since = (recovery.records > 0).then(Instant::now);
        Self {
            id,
            name,
            dir: dir.to_owned(),
            shared,
            definition: RwLock::new(Arc::new(manifest.definition().clone())),
            published: RwLock::new(Arc::new(snapshot)),
            commits: CommitQueue::default(),
            writer: Mutex::new(Writer {
                wal,
                next_id,
                fixed: HashSet::new(),
                unsealed_since,
                seal_failed: None,
            }),
            manifest: Mutex::new(manifest),
            updating: RwLock::new(()),
            sealing: Mutex::new(()),
            compacting: Mutex::new(()),
            altering: AtomicUsize::new(0),
            last_write: Mutex::new(Instant::now()),
            settle_again: Mutex::new(None),
            compaction: Progress::default(),
            compaction_due: AtomicBool::new(true),
            indexing: Indexing::default(),
            indexing_turn: Mutex::new(()),
            poison: Mutex::new(None),
            replayed: recovery,
            seal_requested: AtomicBool::new(false),
            next_segment: AtomicU64::new(next_segment),
            closing: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
        }
    }

    /// Number of the collection; also names its folder.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Name inside of the engine: [`crate::catalog::qualified`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fields.
    pub fn schema(&self) -> Arc<Schema> {
        Arc::clone(self.published.read().schema())
    }

    /// The whole definition.
    pub fn definition(&self) -> Arc<Definition> {
        Arc::clone(&self.definition.read())
    }

    /// The properties.
    pub fn properties(&self) -> BTreeMap<String, String> {
        self.definition.read().properties.clone()
    }

    /// Numbers for people and metrics.
    pub fn stats(&self) -> CollectionStats {
        let snapshot = self.snapshot();
        let (sealed, growing): (Vec<_>, Vec<_>) =
            snapshot.views().iter().partition(|v| v.segment.is_sealed());
        let log_bytes = self.writer.lock().wal.bytes();
        CollectionStats {
            rows: snapshot.live(),
            growing_rows: growing.iter().map(|v| v.live() as u64).sum(),
            sealed_segments: sealed.len(),
            log_bytes,
            segment_bytes: snapshot.views().iter().map(|v| v.segment.bytes() as u64).sum(),
            dead_rows: sealed.iter().map(|v| v.deleted.len()).sum(),
            disk_bytes: log_bytes
                + sealed.iter().map(|v| (v.segment.bytes() + v.segment.index_bytes()) as u64).sum::<u64>(),
            replayed_bytes: self.replayed.bytes,
            compaction: self.compaction.now(),
            indexing: self.indexing_stats(),
        }
    }

    /// Why the collection takes no more writes, if so: a sync has failed, and what the disk holds is unknown.
    pub fn poisoned(&self) -> Option<String> {
        self.poison.lock().clone()
    }

    /// Lets no further write begin, and a rewriting under way end at its next piece.
    pub(crate) fn begin_closing(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.call_off_indexing();
    }

    /// The same for a collection that is there no more.
    pub(crate) fn begin_dropping(&self) {
        self.dropped.store(true, Ordering::SeqCst);
        self.begin_closing();
    }

    /// Lets no further write begin; returns when those under way are done.
    pub(crate) fn close(&self) {
        self.begin_closing();
        drop(self.compacting.lock());
        drop(self.sealing.lock());
        drop(self.indexing_turn.lock());
        drop(self.manifest.lock());
        let mut writer = self.writer.lock();
        // Nothing acknowledged waits for a sync that never comes. Its failure has nobody to be told to any more.
        if let Err(error) = writer.wal.sync() {
            tracing::error!(collection = self.name, %error, "the log could not be synced at the end");
        }
    }

    /// Takes no more writes, for a reason other than the log's.
    fn stop_writing(&self, reason: String) {
        tracing::error!(collection = self.name, reason, "no more writes until a restart");
        self.poison.lock().get_or_insert(reason);
        self.begin_closing();
    }

    fn note_poison(&self, writer: &Writer) {
        if let Some(reason) = writer.wal.poisoned() {
            let mut poison = self.poison.lock();
            if poison.is_none() {
                tracing::error!(collection = self.name, reason, "no more writes until a restart");
                *poison = Some(reason.to_owned());
            }
        }
    }

    fn check_open(&self) -> Result<()> {
        if !self.closing.load(Ordering::SeqCst) {
            return Ok(());
        }
        if self.dropped.load(Ordering::SeqCst) {
            let (database, name) = crate::catalog::split(&self.name);
            return Err(EngineError::CollectionNotFound {
                database: database.to_owned(),
                name: name.to_owned(),
            });
        }
        match self.poisoned() {
            None => Err(EngineError::Closing),
            Some(reason) => Err(StorageError::Poisoned { path: self.dir.clone(), reason }.into()),
        }
    }

    fn segment_id(&self) -> u64 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }
}
