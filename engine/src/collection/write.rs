//! The write path: a change is admitted, lined up, logged with its group, applied, published, and only then
//! acknowledged.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use elanus_storage::MAX_RECORD_BYTES;

use super::commit::{self, Change, Outcome, Waiting};
use super::record::Record;
use super::snapshot::{self, Snapshot};
use super::{Collection, Durability, Writer};
use crate::error::{EngineError, Result};
use crate::exec;
use crate::filter::Filter;
use crate::limits;
use crate::row::{Batch, Keys};
use crate::schema::Schema;

/// How many times the sealing size may grow in memory before a writer has to wait for the sealing.
const MOST_GROWING: usize = 4;
/// Text keys of one deletion by filter, in bytes.
const MOST_KEY_BYTES: usize = 64 << 20;

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
        let batch = self.place(batch, partition)?;
        let schema = self.schema();
        if batch.schema().as_ref() != schema.as_ref() {
            return Err(EngineError::SchemaChanged);
        }
        let key = schema.primary();
        if batch.needs_keys() && !key.auto_id {
            return Err(EngineError::invalid(format!("field {} is not autoID: rows must give it", key.name)));
        }
        if batch.rows() == 0 {
            return Ok(Keys::empty(key.data_type));
        }
        self.shared.quota.admit(batch.bytes() as u64)?;
        let outcome = self.submit(Change::Insert(batch))?;
        outcome.keys.ok_or_else(|| EngineError::Internal("an insert without keys".into()))
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
        if batch.needs_keys() {
            return Err(EngineError::invalid("must assign pk when upsert"));
        }
        self.insert_into(batch, partition)
    }

    /// Deletes all rows; durable when it returns.
    ///
    /// # Errors
    /// Storage errors.
    pub fn truncate(&self) -> Result<u64> {
        Ok(self.submit(Change::Truncate)?.died)
    }

    /// Deletes the rows that have lived as long as the collection's rows may.
    ///
    /// # Errors
    /// Storage errors.
    pub(crate) fn expire(&self) -> Result<u64> {
        match self.expired()? {
            Some(expired) => self.delete_matching(&expired),
            None => Ok(0),
        }
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

    /// Deletes the rows that match at this moment; returns how many died. Rows written meanwhile are not touched
    /// unless they replace a matching one.
    ///
    /// # Errors
    /// Filter errors; storage errors.
    pub fn delete_where(&self, filter: &Filter) -> Result<u64> {
        match self.visible(Some(filter.clone()))? {
            Some(visible) => self.delete_matching(&visible),
            None => self.delete_matching(filter),
        }
    }

    fn delete_matching(&self, filter: &Filter) -> Result<u64> {
        let keys = exec::matching_keys(&self.snapshot(), filter)?;
        let mut died = 0;
        for part in split_keys(keys, limits::MAX_BATCH_ROWS) {
            died += self.delete_keys(part)?;
        }
        Ok(died)
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

    fn submit(&self, change: Change) -> Result<Outcome> {
        self.check_open()?;
        let _foreground = self.shared.pace.foreground();
        let outcome =
            self.commits.submit(change, self.shared.options.group_window, |group| self.commit(group));
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
            match self.to_record(&mut writer, change).and_then(encode) {
                Ok((bytes, record)) => {
                    encoded.push(bytes);
                    accepted.push(record);
                    writers.push(reply);
                }
                Err(error) => reply.answer(Err(error)),
            }
        }
        let shrinks = accepted.iter().all(|record| matches!(record, Record::Delete(_) | Record::Truncate));
        if let Err(error) = self.log(&mut writer, &encoded, shrinks) {
            return commit::refuse(writers, error);
        }
        drop(encoded);
        let mut next = Snapshot::clone(&self.snapshot());
        let mut outcomes = Vec::with_capacity(accepted.len());
        for record in accepted {
            let applied = next.apply(record, &mut || self.segment_id());
            outcomes.push(applied.map(|a| Outcome { keys: a.keys, died: a.died }));
        }
        if let Err(error) = next.join_small(&writer.fixed, &mut || self.segment_id()) {
            tracing::error!(collection = self.name, %error, "small segments could not be joined");
        }
        *self.published.write() = Arc::new(next);
        drop(writer);
        if outcomes.iter().flatten().any(|outcome| outcome.died > 0) {
            self.compaction_due.store(true, Ordering::SeqCst);
        }
        for (reply, outcome) in writers.into_iter().zip(outcomes) {
            reply.answer(outcome);
        }
    }

    /// Puts records into the log. Those that only delete may use the last room there is.
    fn log(&self, writer: &mut Writer, records: &[Vec<u8>], shrinks: bool) -> Result<()> {
        let payloads: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
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

    fn to_record(&self, writer: &mut Writer, change: Change) -> Result<Record> {
        Ok(match change {
            Change::Delete(keys) => Record::Delete(keys),
            Change::Truncate => Record::Truncate,
            Change::Insert(batch) => {
                let fresh_keys = batch.needs_keys();
                let first = writer.next_id;
                let rows = batch.rows() as i64;
                let schema = self.schema();
                batch.partitions().into_iter().try_for_each(|id| self.check_partition(id))?;
                let chunk = batch.under(&schema)?.into_chunk(first, now_ms())?;
                if fresh_keys {
                    writer.next_id = first.saturating_add(rows);
                } else if schema.primary().auto_id {
                    let next = snapshot::after_largest(&chunk_keys(&schema, &chunk)?);
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

/// Milliseconds since 1970, by the system's clock.
pub(super) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

/// A record with its bytes, if they fit the log.
fn encode(record: Record) -> Result<(Vec<u8>, Record)> {
    let bytes = record.encode()?;
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(EngineError::invalid(format!(
            "a batch of {} bytes is larger than the limit of {MAX_RECORD_BYTES}: send it in parts",
            bytes.len()
        )));
    }
    Ok((bytes, record))
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
        Keys::Text(keys) => {
            let mut parts = vec![Vec::new()];
            let mut bytes = 0;
            for key in keys {
                bytes += key.len();
                match parts.last_mut() {
                    Some(part) if part.len() < most && bytes <= MOST_KEY_BYTES => part.push(key),
                    _ => {
                        bytes = key.len();
                        parts.push(vec![key]);
                    }
                }
            }
            parts.into_iter().filter(|part| !part.is_empty()).map(Keys::Text).collect()
        }
    }
}

fn refuse(group: Vec<Waiting>, error: EngineError) {
    commit::refuse(group.into_iter().map(|waiting| waiting.split().1).collect(), error);
}
