//! The manifest of a collection: its definition, which segments are alive, and after which log record replay starts.
//! Storing it is the commit point of sealing; what it does not name is swept. The payload is JSON inside the storage
//! crate's checksummed manifest file.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elanus_storage::manifest::{self, Manifest as Stored};
use elanus_storage::{StorageError, Vfs, sweep_temporary};
use serde::{Deserialize, Serialize};

use super::FOLDERS;
use super::definition::Definition;
use super::rewrite::Sealed;
use super::snapshot::Snapshot;
use crate::error::{EngineError, Result};
use crate::index::index_path;
use crate::schema::Schema;
use crate::segment::{KeyFile, SegmentEntry, SegmentView, open_segment, read_deletes, segment_paths};

/// Its name in the folder of the collection.
pub(crate) const FILE: &str = "MANIFEST";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Payload {
    definition: Definition,
    next_id: i64,
    next_segment: u64,
    replay_after: u64,
    segments: Vec<SegmentEntry>,
    /// Partitions that were dropped and whose rows files or log may still show as alive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    dropped_partitions: Vec<DroppedPartition>,
}

/// A partition that is no more: its rows are dead, whatever files and log say.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct DroppedPartition {
    id: i32,
    /// The last log record that can have rows of it.
    sequence: u64,
}

/// Numbers that are counted up stay far from their end.
const MOST: u64 = 1 << 62;

impl Payload {
    /// Whether its numbers fit each other: what reads them counts on that.
    fn check(&self, generation: u64) -> std::result::Result<(), &'static str> {
        if generation > MOST || self.next_segment > MOST || self.replay_after > MOST {
            return Err("a number is out of all proportion");
        }
        let mut seen = HashSet::new();
        for entry in &self.segments {
            if entry.id >= self.next_segment
                || entry.deletes.is_some_and(|number| number >= self.next_segment)
            {
                return Err("a segment has a number that was not given out");
            }
            if !seen.insert(entry.id) {
                return Err("two segments have one number");
            }
            if entry.rows > u32::MAX as usize || entry.deleted > entry.rows as u64 {
                return Err("a segment with more rows than there can be");
            }
        }
        Ok(())
    }
}

/// The manifest in memory: always what the file says.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    generation: u64,
    payload: Payload,
}

impl Manifest {
    /// That of a new collection: no rows, keys from 1.
    pub(crate) fn new(definition: Definition) -> Self {
        let payload = Payload {
            definition,
            next_id: 1,
            next_segment: 1,
            replay_after: 0,
            segments: Vec::new(),
            dropped_partitions: Vec::new(),
        };
        Self { generation: 0, payload }
    }

    /// For whoever acts on it.
    pub(super) fn adopt(vfs: &dyn Vfs, dir: &Path) -> Result<Self> {
        Self::read(dir, manifest::adopt(vfs, &dir.join(FILE))?)
    }

    /// For whoever only looks.
    pub(crate) fn load(vfs: &dyn Vfs, dir: &Path) -> Result<Self> {
        Self::read(dir, manifest::load(vfs, &dir.join(FILE))?)
    }

    fn read(dir: &Path, stored: Option<Stored>) -> Result<Self> {
        let path = dir.join(FILE);
        let corrupt = |reason: String| StorageError::Corrupt { path: path.clone(), offset: 0, reason };
        let stored = stored.ok_or_else(|| corrupt("the manifest is missing".into()))?;
        let payload: Payload =
            serde_json::from_slice(&stored.payload).map_err(|e| corrupt(format!("payload: {e}")))?;
        payload.check(stored.generation).map_err(|reason| corrupt(reason.to_owned()))?;
        Ok(Self { generation: stored.generation, payload })
    }

    /// Writes the next generation; durable when it returns.
    pub(crate) fn store(&mut self, vfs: &dyn Vfs, dir: &Path) -> Result<()> {
        let bytes =
            serde_json::to_vec(&self.payload).map_err(|e| EngineError::Internal(format!("manifest: {e}")))?;
        manifest::store(vfs, &dir.join(FILE), self.generation + 1, &bytes)?;
        self.generation += 1;
        Ok(())
    }

    /// Whether the file is this manifest, and not one that was stored halfway after it.
    pub(super) fn is_in_place(&self, vfs: &dyn Vfs, dir: &Path) -> bool {
        let found = manifest::load(vfs, &dir.join(FILE));
        matches!(found, Ok(Some(stored)) if stored.generation == self.generation)
    }

    pub(crate) fn definition(&self) -> &Definition {
        &self.payload.definition
    }

    pub(crate) fn definition_mut(&mut self) -> &mut Definition {
        &mut self.payload.definition
    }

    pub(crate) fn next_id(&self) -> i64 {
        self.payload.next_id
    }

    pub(crate) fn next_segment(&self) -> u64 {
        self.payload.next_segment
    }

    pub(crate) fn replay_after(&self) -> u64 {
        self.payload.replay_after
    }

    pub(crate) fn segments(&self) -> &[SegmentEntry] {
        &self.payload.segments
    }

    /// States what is alive from now on and, after a sealing, from where the log is replayed; takes effect with [`Manifest::store`].
    pub(crate) fn set_segments(
        &mut self,
        segments: Vec<SegmentEntry>,
        sealed: Option<Sealed>,
        next_segment: u64,
    ) {
        self.payload.segments = segments;
        self.payload.next_segment = next_segment;
        if let Some(sealed) = sealed {
            self.payload.replay_after = sealed.sequence;
            self.payload.next_id = sealed.next_id;
            // All rows up to there are in files, and the files say which are dead.
            self.payload.dropped_partitions.retain(|dropped| dropped.sequence > sealed.sequence);
        }
    }

    /// Removes a partition: its rows, if any is alive, are in no log record after `sequence`, and dead from now on; takes
    /// effect with [`Manifest::store`].
    pub(super) fn drop_partition(&mut self, id: i32, sequence: Option<u64>) {
        self.payload.definition.partitions.retain(|partition| partition.id != id);
        self.payload.dropped_partitions.extend(sequence.map(|sequence| DroppedPartition { id, sequence }));
    }

    /// Partitions whose rows are dead.
    pub(super) fn dropped_partitions(&self) -> BTreeSet<i32> {
        self.payload.dropped_partitions.iter().map(|dropped| dropped.id).collect()
    }

    /// Stores it behind one whose storing has failed halfway.
    pub(super) fn store_behind(&mut self, vfs: &dyn Vfs, dir: &Path) -> Result<()> {
        self.generation += 1;
        self.store(vfs, dir)
    }

    /// Maps all segments with their dead rows.
    pub(crate) fn open_segments(&self, vfs: &dyn Vfs, dir: &Path, schema: &Arc<Schema>) -> Result<Snapshot> {
        let mut views = Vec::with_capacity(self.payload.segments.len());
        for entry in &self.payload.segments {
            let mut view =
                SegmentView::new(Arc::new(open_segment(vfs, dir, schema, entry, KeyFile::Rebuild)?));
            if let Some(generation) = entry.deletes {
                let path = segment_paths(dir, entry.id).deletes(generation);
                view.deleted = Arc::new(read_deletes(vfs, &path, entry.rows)?);
            }
            views.push(view);
        }
        Ok(Snapshot::new(Arc::clone(schema), views))
    }

    /// Files that this manifest does not name: left-overs of a rewriting that did not reach its commit point.
    pub(crate) fn strays(&self, vfs: &dyn Vfs, dir: &Path) -> Result<Vec<PathBuf>> {
        let mut alive = HashSet::new();
        for entry in &self.payload.segments {
            let paths = segment_paths(dir, entry.id);
            alive.extend(entry.deletes.map(|number| paths.deletes(number)));
            alive.extend([paths.vectors, paths.columns, paths.keys]);
            let fields = 0..self.payload.definition.schema.dense_fields().count();
            alive.extend(fields.map(|field| index_path(dir, entry.id, field)));
        }
        let mut strays = Vec::new();
        for folder in ["truth", "derived"].map(|folder| dir.join(folder)) {
            if vfs.exists(&folder)? {
                let files = vfs.list(&folder)?.into_iter().filter(|entry| !entry.is_dir);
                strays
                    .extend(files.map(|entry| folder.join(entry.name)).filter(|path| !alive.contains(path)));
            }
        }
        Ok(strays)
    }

    /// Removes them, and what a crash left half-written beside the manifest. Only for when nothing is being written.
    pub(crate) fn sweep(&self, vfs: &dyn Vfs, dir: &Path) -> Result<()> {
        for folder in FOLDERS {
            vfs.create_dir_all(&dir.join(folder))?;
        }
        self.strays(vfs, dir)?.iter().try_for_each(|path| vfs.remove_file(path))?;
        sweep_temporary(vfs, dir)?;
        Ok(())
    }
}
