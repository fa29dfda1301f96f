//! One collection: its folder, its log, the snapshot that readers see. A write goes log → sync → apply → publish →
//! acknowledge (see [`commit`](self)); a read takes the published snapshot and never waits for a writer. Growing rows
//! are sealed into files in the background. The catalog opens collections; the server calls the methods here.

mod commit;
mod definition;
mod manifest;
mod record;
mod seal;
mod snapshot;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use elanus_storage::{StorageError, Vfs, Wal, WalOptions};
use parking_lot::{Mutex, RwLock};

use commit::{Change, CommitQueue, Outcome, Waiting};
pub use definition::{Definition, IndexDefinition};
use manifest::Manifest;
use record::Record;
pub use snapshot::Snapshot;

use crate::error::{EngineError, Result};
use crate::exec;
use crate::filter::Filter;
use crate::limits;
use crate::row::{Batch, Keys, Projection, Rows};
use crate::schema::Schema;

/// How many times the sealing size may grow in memory before a writer has to wait for the sealing.
const MOST_GROWING: usize = 4;

/// What every collection of an engine shares.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) vfs: Arc<dyn Vfs>,
    /// Searches run here, never on a caller's thread.
    pub(crate) pool: Arc<rayon::ThreadPool>,
    /// Growing rows are sealed beyond this many bytes.
    pub(crate) seal_bytes: usize,
    /// Asks for a collection to be sealed in the background.
    pub(crate) seal_requests: crossbeam::channel::Sender<u64>,
}

/// Rows under a schema, durable and searchable.
pub struct Collection {
    id: u64,
    name: String,
    dir: PathBuf,
    schema: Arc<Schema>,
    shared: Shared,
    published: RwLock<Arc<Snapshot>>,
    commits: CommitQueue,
    writer: Mutex<Writer>,
    manifest: Mutex<Manifest>,
    /// One sealing at a time.
    sealing: Mutex<()>,
    seal_requested: AtomicBool,
    next_segment: AtomicU64,
    closing: AtomicBool,
}

/// What only the committing thread touches.
struct Writer {
    wal: Wal,
    next_id: i64,
    /// Segments that are being sealed: they must not be joined with others meanwhile.
    fixed: HashSet<u64>,
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
}

impl std::fmt::Debug for Collection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Collection").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collection {
    /// Makes the folder of a new, empty collection. It exists for readers once the catalog names it.
    pub(crate) fn create(shared: Shared, dir: &Path, id: u64, definition: Definition) -> Result<Self> {
        let vfs = &shared.vfs;
        for folder in ["", "wal", "truth", "derived"] {
            vfs.create_dir_all(&dir.join(folder))?;
        }
        let name = definition.name.clone();
        Manifest::new(definition).store(vfs.as_ref(), dir)?;
        Self::open(shared, dir, id, name)
    }

    /// Opens the maps and replays the log.
    pub(crate) fn open(shared: Shared, dir: &Path, id: u64, name: String) -> Result<Self> {
        let vfs = Arc::clone(&shared.vfs);
        let manifest = Manifest::load(vfs.as_ref(), dir)?;
        manifest.sweep(vfs.as_ref(), dir)?;
        let schema = Arc::new(manifest.definition().schema.clone());
        let mut snapshot = manifest.open_segments(vfs.as_ref(), dir, &schema)?;
        let mut next_id = manifest.next_id();
        let mut next_segment = manifest.next_segment();
        let mut segment_id = || {
            next_segment += 1;
            next_segment - 1
        };
        let none = HashSet::new();
        let mut failure = None;
        let mut replay = |sequence: u64, bytes: &[u8]| -> elanus_storage::Result<()> {
            let step = Record::decode(bytes, &schema).and_then(|record| {
                if let Record::Insert { next_id: after, .. } = &record {
                    next_id = next_id.max(*after);
                }
                snapshot.apply(&schema, record, &mut segment_id)?;
                snapshot.join_small(&schema, &none, &mut segment_id)
            });
            step.map_err(|error| {
                let reason = format!("record {sequence}: {error}");
                failure = Some(error);
                StorageError::Corrupt { path: dir.join("wal"), offset: 0, reason }
            })
        };
        let opened =
            Wal::open(vfs, &dir.join("wal"), WalOptions::default(), manifest.replay_after(), &mut replay);
        let (wal, recovery) = match (opened, failure) {
            (Err(_), Some(error)) => return Err(error),
            (opened, _) => opened?,
        };
        tracing::info!(
            collection = name,
            records = recovery.records,
            bytes = recovery.bytes,
            cut = recovery.cut_bytes,
            rows = snapshot.live(),
            "collection opened"
        );
        Ok(Self {
            id,
            name,
            dir: dir.to_owned(),
            schema,
            shared,
            published: RwLock::new(Arc::new(snapshot)),
            commits: CommitQueue::default(),
            writer: Mutex::new(Writer { wal, next_id, fixed: HashSet::new() }),
            manifest: Mutex::new(manifest),
            sealing: Mutex::new(()),
            seal_requested: AtomicBool::new(false),
            next_segment: AtomicU64::new(next_segment),
            closing: AtomicBool::new(false),
        })
    }

    /// Number of the collection; also names its folder.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Fields.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// A copy of the whole definition.
    pub fn definition(&self) -> Definition {
        self.manifest.lock().definition().clone()
    }

    /// The properties.
    pub fn properties(&self) -> BTreeMap<String, String> {
        self.manifest.lock().definition().properties.clone()
    }

    /// Sets a property; durable when it returns.
    ///
    /// # Errors
    /// `InvalidParameter` when there are too many; storage errors.
    pub fn set_property(&self, key: &str, value: &str) -> Result<()> {
        self.check_open()?;
        let mut manifest = self.manifest.lock();
        let mut next = manifest.clone();
        next.definition_mut().properties.insert(key.to_owned(), value.to_owned());
        if next.definition().properties.len() > limits::MAX_PROPERTIES {
            return Err(EngineError::invalid(format!("at most {} properties", limits::MAX_PROPERTIES)));
        }
        next.store(self.shared.vfs.as_ref(), &self.dir)?;
        *manifest = next;
        Ok(())
    }

    /// Adds rows; durable and visible when it returns. A key that exists is replaced: a key names one row, the newest.
    /// Generated keys count up from 1.
    ///
    /// # Errors
    /// `InvalidParameter` for a batch built for another schema or without keys it needs; storage errors. Either all rows
    /// are stored or none.
    pub fn insert(&self, batch: Batch) -> Result<Keys> {
        if batch.schema().as_ref() != self.schema.as_ref() {
            return Err(EngineError::invalid("the batch was built for another schema"));
        }
        let key = self.schema.primary();
        if batch.needs_keys() && !key.auto_id {
            return Err(EngineError::invalid(format!("field {} is not autoID: rows must give it", key.name)));
        }
        if batch.rows() == 0 {
            return Ok(Keys::empty(key.data_type));
        }
        let outcome = self.submit(Change::Insert(batch))?;
        outcome.keys.ok_or_else(|| EngineError::Internal("an insert without keys".into()))
    }

    /// Adds or replaces rows by their given keys.
    ///
    /// # Errors
    /// As [`Collection::insert`]; also for a batch without keys.
    pub fn upsert(&self, batch: Batch) -> Result<Keys> {
        if batch.needs_keys() {
            return Err(EngineError::invalid("must assign pk when upsert"));
        }
        self.insert(batch)
    }

    /// Deletes by key; returns how many rows died.
    ///
    /// # Errors
    /// `InvalidParameter` for keys of the wrong kind; storage errors.
    pub fn delete_keys(&self, keys: Keys) -> Result<u64> {
        if !keys.fits(self.schema.primary().data_type) {
            return Err(EngineError::invalid("keys are not of the type of the primary key"));
        }
        if keys.len() > limits::MAX_BATCH_ROWS {
            return Err(EngineError::invalid(format!(
                "a delete names at most {} keys",
                limits::MAX_BATCH_ROWS
            )));
        }
        if keys.is_empty() {
            return Ok(0);
        }
        Ok(self.submit(Change::Delete(keys))?.died)
    }

    /// Deletes the rows that match at this moment; returns how many died. Rows written meanwhile are not touched
    /// unless they replace a matching one.
    ///
    /// # Errors
    /// Filter errors; storage errors.
    pub fn delete_where(&self, filter: &Filter) -> Result<u64> {
        let keys = exec::matching_keys(&self.snapshot(), &self.schema, filter)?;
        let mut died = 0;
        for part in split_keys(keys, limits::MAX_BATCH_ROWS) {
            died += self.delete_keys(part)?;
        }
        Ok(died)
    }

    /// Live rows.
    pub fn count(&self) -> u64 {
        self.snapshot().live()
    }

    /// Live rows that match.
    ///
    /// # Errors
    /// Filter errors.
    pub fn count_where(&self, filter: &Filter) -> Result<u64> {
        exec::count(&self.snapshot(), filter)
    }

    /// Rows that match, in ascending key order.
    ///
    /// # Errors
    /// `InvalidParameter` for a bad window; filter errors.
    pub fn query(&self, request: &exec::QueryRequest) -> Result<Rows> {
        exec::query(&self.snapshot(), &self.schema, request)
    }

    /// Rows of these keys, in their order; unknown keys are left out, repeated ones repeat.
    ///
    /// # Errors
    /// `InvalidParameter` for keys of the wrong kind.
    pub fn get(&self, keys: &Keys, projection: &Projection) -> Result<Rows> {
        if !keys.fits(self.schema.primary().data_type) {
            return Err(EngineError::invalid("keys are not of the type of the primary key"));
        }
        exec::get(&self.snapshot(), &self.schema, keys, projection)
    }

    /// Visits all live rows of one snapshot in chunks, in no particular order.
    ///
    /// # Errors
    /// What `visit` returns.
    pub fn scan(&self, projection: &Projection, visit: &mut dyn FnMut(Rows) -> Result<()>) -> Result<()> {
        exec::scan(&self.snapshot(), &self.schema, projection, visit)
    }

    /// The nearest rows to each query vector, exactly.
    ///
    /// # Errors
    /// `FieldNotFound`, `InvalidQueryVector`, `InvalidParameter` for metric, window or range; filter errors.
    pub fn search(&self, request: &exec::SearchRequest) -> Result<exec::SearchHits> {
        let metric = self.manifest.lock().definition().metric(&request.field);
        let snapshot = self.snapshot();
        self.shared.pool.install(|| exec::search(&snapshot, &self.schema, metric, request))
    }

    /// The state that readers see now; it stays as it is for as long as it is held.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.published.read())
    }

    /// Numbers for people and metrics.
    pub fn stats(&self) -> CollectionStats {
        let snapshot = self.snapshot();
        let (sealed, growing): (Vec<_>, Vec<_>) =
            snapshot.views().iter().partition(|v| v.segment.is_sealed());
        CollectionStats {
            rows: snapshot.live(),
            growing_rows: growing.iter().map(|v| v.live() as u64).sum(),
            sealed_segments: sealed.len(),
            log_bytes: self.writer.lock().wal.bytes(),
            segment_bytes: snapshot.views().iter().map(|v| v.segment.bytes() as u64).sum(),
        }
    }

    /// Seals what is in memory into files and shortens the log.
    ///
    /// # Errors
    /// Storage errors; the rows stay as they are, in memory and in the log.
    pub fn flush(&self) -> Result<()> {
        self.check_open()?;
        self.seal()
    }

    /// Lets no further write begin; returns when those under way are done.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        drop(self.sealing.lock());
        drop(self.writer.lock());
    }

    fn check_open(&self) -> Result<()> {
        if self.closing.load(Ordering::SeqCst) { Err(EngineError::Closing) } else { Ok(()) }
    }

    fn segment_id(&self) -> u64 {
        self.next_segment.fetch_add(1, Ordering::Relaxed)
    }

    fn submit(&self, change: Change) -> Result<Outcome> {
        self.check_open()?;
        let outcome = self.commits.submit(change, |group| self.commit(group));
        self.request_seal_if_large();
        outcome
    }

    /// Writes a group to the log with one sync, applies it, publishes, and only then answers.
    fn commit(&self, group: Vec<Waiting>) {
        let mut writer = self.writer.lock();
        if let Err(error) = self.check_open() {
            return refuse(group, error);
        }
        let mut accepted = Vec::with_capacity(group.len());
        let mut encoded = Vec::with_capacity(group.len());
        let mut writers = Vec::with_capacity(group.len());
        for waiting in group {
            let (change, reply) = waiting.split();
            match self.to_record(&mut writer, change).and_then(|record| Ok((record.encode()?, record))) {
                Ok((bytes, record)) => {
                    encoded.push(bytes);
                    accepted.push(record);
                    writers.push(reply);
                }
                Err(error) => reply.answer(Err(error)),
            }
        }
        let payloads: Vec<&[u8]> = encoded.iter().map(Vec::as_slice).collect();
        if let Err(error) = writer.wal.append(&payloads).and_then(|_| writer.wal.sync()) {
            return commit::refuse(writers, error.into());
        }
        drop(encoded);
        let mut next = Snapshot::clone(&self.snapshot());
        let mut outcomes = Vec::with_capacity(accepted.len());
        for record in accepted {
            let applied = next.apply(&self.schema, record, &mut || self.segment_id());
            outcomes.push(applied.map(|a| Outcome { keys: a.keys, died: a.died }));
        }
        if let Err(error) = next.join_small(&self.schema, &writer.fixed, &mut || self.segment_id()) {
            tracing::error!(collection = self.name, %error, "small segments could not be joined");
        }
        *self.published.write() = Arc::new(next);
        drop(writer);
        for (reply, outcome) in writers.into_iter().zip(outcomes) {
            reply.answer(outcome);
        }
    }

    fn to_record(&self, writer: &mut Writer, change: Change) -> Result<Record> {
        Ok(match change {
            Change::Delete(keys) => Record::Delete(keys),
            Change::Insert(batch) => {
                let fresh_keys = batch.needs_keys();
                let first = writer.next_id;
                let rows = batch.rows() as i64;
                let chunk = batch.into_chunk(first)?;
                if fresh_keys {
                    writer.next_id = first.saturating_add(rows);
                } else if self.schema.primary().auto_id {
                    writer.next_id = snapshot::after_largest(&chunk_keys(&self.schema, &chunk)?)
                        .map_or(first, |n| n.max(first));
                }
                Record::Insert { chunk, next_id: writer.next_id, fresh_keys }
            }
        })
    }

    fn request_seal_if_large(&self) {
        let growing = self.snapshot().growing_bytes();
        if growing < self.shared.seal_bytes {
            return;
        }
        if !self.seal_requested.swap(true, Ordering::SeqCst) {
            // The receiver is gone only while the engine closes; then there is nothing to seal any more.
            let _ = self.shared.seal_requests.send(self.id);
        }
        // Writers that outrun the background pay here, so that memory stays bounded.
        if growing >= MOST_GROWING * self.shared.seal_bytes
            && let Err(error) = self.seal()
        {
            tracing::error!(collection = self.name, %error, "sealing failed; rows stay in memory and in the log");
        }
    }
}

fn chunk_keys(schema: &Schema, chunk: &crate::row::Chunk) -> Result<Keys> {
    let name = &schema.primary().name;
    let column = chunk.scalars.column_by_name(name);
    let column = column.ok_or_else(|| EngineError::Internal(format!("no key column {name}")))?;
    let mut keys = Keys::empty(schema.primary().data_type);
    (0..chunk.scalars.num_rows()).for_each(|row| keys.push(crate::segment::key_at(column, row)));
    Ok(keys)
}

fn split_keys(keys: Keys, most: usize) -> Vec<Keys> {
    match keys {
        Keys::Int(keys) => keys.chunks(most).map(|part| Keys::Int(part.to_vec())).collect(),
        Keys::Text(keys) => keys.chunks(most).map(|part| Keys::Text(part.to_vec())).collect(),
    }
}

fn refuse(group: Vec<Waiting>, error: EngineError) {
    commit::refuse(group.into_iter().map(|waiting| waiting.split().1).collect(), error);
}
