//! Bringing a collection from what its files hold to what was acknowledged: each log record after them is applied, as
//! its commit did. Opening a collection and examining one go through here.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elanus_storage::StorageError;

use super::manifest::Manifest;
use super::record::Record;
use super::snapshot::Snapshot;
use crate::error::{EngineError, Result};
use crate::schema::Schema;

/// A replay under way.
pub(crate) struct Replay {
    schema: Arc<Schema>,
    log: PathBuf,
    /// Partitions that were dropped after their rows were stored.
    dropped: BTreeSet<i32>,
    state: Replayed,
    /// Why a record could not be applied, with its type.
    failure: Option<EngineError>,
}

/// Where it ended.
pub(crate) struct Replayed {
    pub(crate) snapshot: Snapshot,
    /// The next key to generate.
    pub(crate) next_id: i64,
    /// The next number for a segment.
    pub(crate) next_segment: u64,
}

impl Replay {
    /// Starts from the segments that the manifest names.
    pub(crate) fn new(schema: &Arc<Schema>, log: &Path, manifest: &Manifest, snapshot: Snapshot) -> Self {
        let state = Replayed { snapshot, next_id: manifest.next_id(), next_segment: manifest.next_segment() };
        let dropped = manifest.dropped_partitions();
        Self { schema: Arc::clone(schema), log: log.to_owned(), dropped, state, failure: None }
    }

    /// Applies one record.
    pub(crate) fn step(&mut self, sequence: u64, bytes: &[u8]) -> elanus_storage::Result<()> {
        self.apply(bytes).map_err(|error| {
            let reason = format!("record {sequence}: {error}");
            self.failure = Some(error);
            StorageError::Corrupt { path: self.log.clone(), offset: 0, reason }
        })
    }

    fn apply(&mut self, bytes: &[u8]) -> Result<()> {
        let Replayed { snapshot, next_id, next_segment } = &mut self.state;
        let mut segment_id = || {
            *next_segment += 1;
            *next_segment - 1
        };
        let record = Record::decode(bytes, &self.schema)?;
        if let Record::Insert { next_id: after, .. } = &record {
            *next_id = (*next_id).max(*after);
        }
        snapshot.apply(record, &mut segment_id)?;
        snapshot.join_small(&HashSet::new(), &mut segment_id)
    }

    /// The state after the last record.
    ///
    /// # Errors
    /// What stopped it, if a record did.
    pub(crate) fn finish(mut self) -> (Replayed, Option<EngineError>) {
        self.state.snapshot.kill_partitions(&self.dropped);
        (self.state, self.failure)
    }
}
