//! The write path: a change is admitted, lined up, logged with its group, applied, published, and only then
//! acknowledged.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use elanus_storage::MAX_RECORD_BYTES;
use parking_lot::RwLockWriteGuard;

use super::commit::{self, Change, Outcome, Waiting};
use super::record::{Encoded, Record};
use super::snapshot::{self, Snapshot};
use super::{Collection, Durability, Writer};
use crate::error::{EngineError, Result};
use crate::limits;
use crate::row::{Batch, Keys};
use crate::schema::Schema;

/// How many times the sealing size may grow in memory before a writer has to wait for the sealing.
const MOST_GROWING: usize = 4;

/// Rows that may be added.
struct Insertion(Batch);

impl Insertion {
    fn run(self, submit: impl FnOnce(Change) -> Result<Outcome>) -> Result<Keys> {
        if self.0.rows() == 0 {
            return Ok(Keys::empty(self.0.schema().primary().data_type));
        }
        let outcome = submit(Change::Insert(self.0))?;
        outcome.keys.ok_or_else(|| EngineError::Internal("an insert without keys".into()))
    }
}

/// A change that is in the next snapshot, and not yet in the log.
struct Staged {
    /// None when there is nothing to write down.
    record: Option<Encoded>,
    outcome: Outcome,
    shrinks: bool,
}

/// Being the only writer: [`Collection::update_turn`].
pub struct UpdateTurn<'a> {
    collection: &'a Collection,
    _alone: RwLockWriteGuard<'a, ()>,
}

impl UpdateTurn<'_> {
    /// Adds or replaces rows by their given keys.
    ///
    /// # Errors
    /// As [`Collection::upsert_into`].
    pub fn upsert_into(self, batch: Batch, partition: &str) -> Result<Keys> {
        check_given(&batch)?;
        let Self { collection, _alone: alone } = self;
        let insertion = collection.insertion(batch, partition)?;
        let keys = insertion.run(|change| collection.submit_in_turn(change));
        drop(alone);
        collection.request_seal_if_large();
        keys
    }
}

impl Collection {
    /// Adds rows; durable and visible when it returns. A key that exists is replaced: a key names one row, the newest.
    /// Generated keys count up from 1.
    ///
    /// # Errors
    /// `InvalidParameter` for a batch built for another schema or without keys it needs; `QuotaExceeded`; storage
    /// errors. Either all rows are stored or none.
    pub fn insert(&self, batch: Batch) -> Result<Keys> {
        self.insert_into(batch, "")
    }

    /// The same into a partition; an empty name is the default one's.
    ///
    /// # Errors
    /// As [`Collection::insert`]; `PartitionNotFound`; `InvalidParameter` with a partition key.
    pub fn insert_into(&self, batch: Batch, partition: &str) -> Result<Keys> {
        let insertion = self.insertion(batch, partition)?;
        insertion.run(|change| self.submit(change))
    }

    /// Checks a batch, and finds room for it.
    fn insertion(&self, batch: Batch, partition: &str) -> Result<Insertion> {
        let batch = self.place(batch, partition)?;
        let schema = self.schema();
        if batch.schema().as_ref() != schema.as_ref() {
            return Err(EngineError::SchemaChanged);
        }
        let key = schema.primary();
        if batch.needs_keys() && !key.auto_id {
            return Err(EngineError::invalid(format!("field {} is not autoID: rows must give it", key.name)));
        }
        self.shared.quota.admit(batch.bytes() as u64)?;
        Ok(Insertion(batch))
    }

    /// Adds or replaces rows by their given keys.
    ///
    /// # Errors
    /// As [`Collection::insert`]; also for a batch without keys.
    pub fn upsert(&self, batch: Batch) -> Result<Keys> {
        self.upsert_into(batch, "")
    }

    /// The same into a partition; an empty name is the default one's.
    ///
    /// # Errors
    /// As [`Collection::insert_into`]; also for a batch without keys.
    pub fn upsert_into(&self, batch: Batch, partition: &str) -> Result<Keys> {
        check_given(&batch)?;
        self.insert_into(batch, partition)
    }

    /// For an upsert that depends on what is stored: until the turn is given back nobody else writes, so that what was read
    /// in it is still so when it writes. It waits for writes under way; reads go on.
    pub fn update_turn(&self) -> UpdateTurn<'_> {
        UpdateTurn { collection: self, _alone: self.updating.write() }
    }

    /// Deletes all rows; durable when it returns.
    ///
    /// # Errors
    /// Storage errors.
    pub fn truncate(&self) -> Result<u64> {
        Ok(self.submit(Change::Truncate)?.died)
    }

    /// Deletes by key; returns how many rows died.
    ///
    /// # Errors
    /// `InvalidParameter` for keys of the wrong kind; storage errors.
    pub fn delete_keys(&self, keys: Keys) -> Result<u64> {
        if !keys.fits(self.schema().primary().data_type) {
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

    /// Seals what is in memory into files and shortens the log.
    ///
    /// # Errors
    /// Storage errors; the rows stay as they are, in memory and in the log.
    pub fn flush(&self) -> Result<()> {
        self.check_open()?;
        self.seal()
    }

    /// Makes what was acknowledged without a sync durable ([`Durability::Interval`]).
    ///
    /// # Errors
    /// Storage errors; from then on nothing is written.
    pub fn sync(&self) -> Result<()> {
        self.durable_snapshot().map(drop)
    }

    /// Commits a change beside those of others.
    pub(super) fn submit(&self, change: Change) -> Result<Outcome> {
        let outcome = {
            let _beside_others = self.updating.read();
            self.submit_in_turn(change)
        };
        self.request_seal_if_large();
        outcome
    }

    /// Commits a change for whoever holds `updating`.
    fn submit_in_turn(&self, change: Change) -> Result<Outcome> {
        self.check_open()?;
        let _foreground = self.shared.pace.foreground();
        self.commits.submit(change, self.shared.options.group_window, |group| self.commit(group))
    }

    /// Applies a group to the next snapshot, writes it to the log with one sync, publishes, and only then answers.
    fn commit(&self, group: Vec<Waiting>) {
        let mut writer = self.writer.lock();
        if let Err(error) = self.check_open() {
            return refuse(group, error);
        }
        let mut next = Snapshot::clone(&self.snapshot());
        let (mut records, mut writers, mut outcomes) = (Vec::new(), Vec::new(), Vec::new());
        let mut shrinks = true;
        for waiting in group {
            let (change, reply) = waiting.split();
            match self.apply(&mut writer, &mut next, change) {
                Ok(staged) => {
                    shrinks &= staged.shrinks;
                    records.extend(staged.record);
                    outcomes.push(staged.outcome);
                    writers.push(reply);
                }
                Err(error) => reply.answer(Err(error)),
            }
        }
        if let Err(error) = self.log(&mut writer, &records, shrinks) {
            return commit::refuse(writers, error);
        }
        drop(records);
        if let Err(error) = next.join_small(&writer.fixed, &mut || self.segment_id()) {
            tracing::error!(collection = self.name, %error, "small segments could not be joined");
        }
        *self.published.write() = Arc::new(next);
        *self.last_write.lock() = Instant::now();
        drop(writer);
        if outcomes.iter().any(|outcome| outcome.died > 0) {
            self.compaction_due.store(true, Ordering::SeqCst);
        }
        for (reply, outcome) in writers.into_iter().zip(outcomes) {
            reply.answer(Ok(outcome));
        }
    }

    /// Applies a change to the snapshot that will be published once its record is in the log.
    fn apply(&self, writer: &mut Writer, next: &mut Snapshot, change: Change) -> Result<Staged> {
        let record = self.to_record(writer, next, change)?;
        let shrinks = matches!(record, Record::Delete(_) | Record::Truncate);
        if matches!(&record, Record::Delete(keys) if keys.is_empty()) {
            return Ok(Staged { record: None, outcome: Outcome { keys: None, died: 0 }, shrinks });
        }
        let head = head(&record)?;
        let applied = next.apply(record, &mut || self.segment_id())?;
        let outcome = Outcome { keys: applied.keys, died: applied.died };
        Ok(Staged { record: Some(Encoded::new(head, applied.added)), outcome, shrinks })
    }

    /// Puts records into the log. Those that only delete may use the last room there is.
    fn log(&self, writer: &mut Writer, records: &[Encoded], shrinks: bool) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let payloads: Vec<Vec<&[u8]>> = records.iter().map(Encoded::pieces).collect();
        let appended = match writer.wal.append(&payloads) {
            Err(error) if shrinks && error.is_disk_full() && self.shared.reserve.release() => {
                writer.wal.append(&payloads)
            }
            other => other,
        };
        let logged = match self.shared.options.durability {
            Durability::EveryWrite => appended.and_then(|_| writer.wal.sync()),
            Durability::Interval(_) => appended.map(drop),
        };
        self.note_poison(writer);
        writer.unsealed_since.get_or_insert_with(Instant::now);
        if logged.as_ref().is_err_and(|error| error.is_disk_full()) {
            self.shared.quota.disk_is_full();
        }
        Ok(logged?)
    }

    fn to_record(&self, writer: &mut Writer, now: &Snapshot, change: Change) -> Result<Record> {
        Ok(match change {
            Change::Delete(keys) => Record::Delete(keys),
            Change::DeleteMatching(doomed) => Record::Delete(doomed.keys_now(now)?),
            Change::Truncate => Record::Truncate,
            Change::Insert(batch) => {
                let fresh_keys = batch.needs_keys();
                let first = writer.next_id;
                let rows = batch.rows() as i64;
                let schema = now.schema();
                batch.partitions().into_iter().try_for_each(|id| self.check_partition(id))?;
                let chunk = batch.under(schema)?.into_chunk(first, now_ms())?;
                if fresh_keys {
                    writer.next_id = first.saturating_add(rows);
                } else if schema.primary().auto_id {
                    let next = snapshot::after_largest(&chunk_keys(schema, &chunk)?);
                    if next.is_some_and(|next| next > limits::MAX_GIVEN_AUTO_ID) {
                        return Err(EngineError::invalid(format!(
                            "keys given to an autoID collection are at most {}: later ones are generated above them",
                            limits::MAX_GIVEN_AUTO_ID
                        )));
                    }
                    writer.next_id = next.map_or(first, |n| n.max(first));
                }
                Record::Insert { chunk, next_id: writer.next_id, fresh_keys }
            }
        })
    }

    /// Asks the background to seal.
    pub(crate) fn request_seal(&self) {
        if !self.seal_requested.swap(true, Ordering::SeqCst) {
            // The receiver is gone only while the engine closes; then there is nothing to seal any more.
            let _ = self.shared.seal_requests.send(self.id);
        }
    }

    fn request_seal_if_large(&self) {
        let growing = self.snapshot().growing_bytes();
        let seal_bytes = self.shared.options.seal_bytes;
        if growing < seal_bytes {
            return;
        }
        self.request_seal();
        // Writers that outrun the background pay here, so that memory stays bounded.
        if growing >= MOST_GROWING * seal_bytes
            && let Err(error) = self.seal()
        {
            tracing::error!(collection = self.name, %error, "sealing failed; rows stay in memory and in the log");
        }
    }
}

fn check_given(batch: &Batch) -> Result<()> {
    if batch.needs_keys() {
        return Err(EngineError::invalid("must assign pk when upsert"));
    }
    Ok(())
}

/// Milliseconds since 1970, by the system's clock.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

/// The head of a record that fits the log.
fn head(record: &Record) -> Result<Vec<u8>> {
    let head = record.head()?;
    let bytes = head.len() + record.matrix_bytes();
    if bytes > MAX_RECORD_BYTES {
        return Err(EngineError::invalid(format!(
            "a batch of {bytes} bytes is larger than the limit of {MAX_RECORD_BYTES}: send it in parts"
        )));
    }
    Ok(head)
}

fn chunk_keys(schema: &Schema, chunk: &crate::row::Chunk) -> Result<Keys> {
    let name = &schema.primary().name;
    let column = chunk.scalars.column_by_name(name);
    let column = column.ok_or_else(|| EngineError::Internal(format!("no key column {name}")))?;
    let mut keys = Keys::empty(schema.primary().data_type);
    (0..chunk.scalars.num_rows()).for_each(|row| keys.push(crate::segment::key_at(column, row)));
    Ok(keys)
}

fn refuse(group: Vec<Waiting>, error: EngineError) {
    commit::refuse(group.into_iter().map(|waiting| waiting.split().1).collect(), error);
}
