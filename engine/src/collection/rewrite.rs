//! What sealing and compaction share: live rows of some segments become one new segment in files, the manifest names it
//! instead of them, and readers see it instead of them. Files are written beside everything else that goes on. Only the
//! end, from [`Collection::commit_rewrite`], holds the manifest, so that two rewrites never commit at once, and the
//! writer for the moment of the exchange.
//!
//! Two rules keep every crash harmless. Files that a manifest may name are never removed before a later manifest is
//! durable; when storing one fails halfway, nobody knows which of the two a crash leaves, so the files of both stay until
//! the next start. And what a manifest says of dead rows was in the log, durably, before.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use roaring::RoaringBitmap;

use super::manifest::Manifest;
use super::{Collection, Snapshot};
use crate::error::{EngineError, Result};
use crate::index::index_path;
use crate::segment::{
    KeyFile, Segment, SegmentEntry, SegmentView, live_rows, open_segment, segment_paths, write_deletes,
    write_segment,
};

/// Segments to replace, as they were when the rewriting began, and what takes their place.
pub(super) struct Rewrite {
    pub(super) inputs: Vec<SegmentView>,
    /// None when no row was alive.
    pub(super) fresh: Option<(SegmentEntry, Arc<Segment>)>,
    /// For a sealing: everything the log holds up to this number is now in files.
    pub(super) sealed: Option<Sealed>,
}

/// Files that come and go with a commit.
#[derive(Default)]
struct Change {
    /// Made for the next manifest.
    made: Vec<PathBuf>,
    /// Not named by it any more.
    obsolete: Vec<PathBuf>,
}

/// How far the log is covered by files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed {
    pub(super) sequence: u64,
    pub(super) next_id: i64,
}

impl Collection {
    /// The state that readers see, once all of it is durable.
    pub(super) fn durable_snapshot(&self) -> Result<Arc<Snapshot>> {
        let mut writer = self.writer.lock();
        let synced = writer.wal.sync();
        self.note_poison(&writer);
        synced?;
        Ok(self.snapshot())
    }

    /// Writes the live rows of `inputs` as one segment and maps it; none when no row is alive. `pace` hears of each
    /// piece.
    pub(super) fn write_rows(
        &self,
        inputs: &[SegmentView],
        pace: &dyn Fn(u64),
    ) -> Result<Option<(SegmentEntry, Arc<Segment>)>> {
        if inputs.iter().all(|view| view.live() == 0) {
            return Ok(None);
        }
        let vfs = self.shared.vfs.as_ref();
        let mut step = |bytes: u64| {
            self.check_open()?;
            pace(bytes);
            Ok(())
        };
        let id = self.segment_id();
        let schema = self.schema();
        let written = write_segment(vfs, &self.dir, id, &schema, inputs, &mut step).and_then(|entry| {
            let segment = open_segment(vfs, &self.dir, &schema, &entry, KeyFile::Rebuild)?;
            Ok((entry, Arc::new(segment)))
        });
        match written {
            Ok(fresh) => Ok(Some(fresh)),
            Err(error) => {
                // On a full disk, attempt after attempt would leave its files.
                self.remove(self.files_of(id));
                Err(error)
            }
        }
    }

    /// The commit point: stores the manifest, then shows readers the new segment.
    pub(super) fn commit_rewrite(&self, mut rewrite: Rewrite) -> Result<()> {
        let vfs = self.shared.vfs.as_ref();
        let mut manifest = self.manifest.lock();
        let mut change = Change::default();
        let stored = self.stage(&manifest, &mut rewrite, &mut change).and_then(|mut next| {
            next.store(vfs, &self.dir)?;
            Ok(next)
        });
        match stored {
            Ok(next) => *manifest = next,
            Err(error) => {
                // Only if the old manifest is certainly the one in place does nothing name the new files.
                if manifest.is_in_place(vfs, &self.dir) {
                    let fresh = rewrite.fresh.map(|(entry, _)| self.files_of(entry.id));
                    self.remove(change.made.into_iter().chain(fresh.into_iter().flatten()));
                }
                return Err(error);
            }
        }
        self.exchange(rewrite);
        self.shared.want_index();
        // Readers that still map them keep their bytes until they are done.
        self.remove(change.obsolete);
        Ok(())
    }

    /// What the next manifest says; writes the files of dead rows that it needs.
    fn stage(&self, manifest: &Manifest, rewrite: &mut Rewrite, change: &mut Change) -> Result<Manifest> {
        self.check_open()?;
        let now = self.durable_snapshot()?;
        let views: HashMap<u64, &SegmentView> = now.views().iter().map(|v| (v.segment.id(), v)).collect();
        let mut entries = Vec::new();
        for entry in manifest.segments() {
            if rewrite.inputs.iter().any(|input| input.segment.id() == entry.id) {
                change.obsolete.extend(self.deletes_file(entry).into_iter().chain(self.files_of(entry.id)));
                change.obsolete.extend(self.indexes_of(entry.id)?);
                continue;
            }
            let view = views
                .get(&entry.id)
                .ok_or_else(|| EngineError::Internal(format!("no reader sees segment {}", entry.id)))?;
            let kept = self.with_deletes(entry.clone(), &view.deleted, change)?;
            change.obsolete.extend(self.deletes_file(entry).filter(|_| kept.deletes != entry.deletes));
            entries.push(kept);
        }
        if let Some((entry, _)) = &mut rewrite.fresh {
            *entry = self.with_deletes(entry.clone(), &died_since(&rewrite.inputs, &now), change)?;
            entries.push(entry.clone());
        }
        let mut next = manifest.clone();
        next.set_segments(entries, rewrite.sealed, self.next_segment.load(Ordering::Relaxed));
        Ok(next)
    }

    /// Removes the files of a segment that no manifest names.
    pub(super) fn forget_segment(&self, id: u64) {
        self.remove(self.files_of(id).into_iter().chain(self.indexes_of(id).unwrap_or_default()));
    }

    /// Removes files that nothing names. One that stays is left for the next start.
    fn remove(&self, paths: impl IntoIterator<Item = PathBuf>) {
        for path in paths {
            if let Err(error) = self.shared.vfs.remove_file(&path) {
                tracing::warn!(collection = self.name, %error, "a file without use is left for the next start");
            }
        }
    }

    /// Readers see the new segment instead of the inputs; rows that died meanwhile stay dead.
    fn exchange(&self, rewrite: Rewrite) {
        let mut writer = self.writer.lock();
        let now = self.snapshot();
        let died = died_since(&rewrite.inputs, &now);
        let fresh = rewrite.fresh.map(|(_, segment)| SegmentView { segment, deleted: Arc::new(died) });
        let replaced =
            |view: &SegmentView| rewrite.inputs.iter().any(|i| i.segment.id() == view.segment.id());
        let rest = now.views().iter().filter(|view| !replaced(view)).cloned();
        let (sealed, growing): (Vec<_>, Vec<_>) = rest.partition(|view| view.segment.is_sealed());
        let views = sealed.into_iter().chain(fresh).chain(growing).collect();
        *self.published.write() = Arc::new(Snapshot::new(Arc::clone(now.schema()), views));
        let Some(sealed) = rewrite.sealed else { return };
        writer.fixed.clear();
        // The rows are safe already: a log file too many is replayed for nothing, and removed the next time.
        if let Err(error) = writer.wal.truncate_before(sealed.sequence + 1) {
            tracing::warn!(collection = self.name, %error, "the log could not be shortened");
        }
    }

    /// The entry with its dead rows written down, if they are more than its file says.
    fn with_deletes(
        &self,
        mut entry: SegmentEntry,
        deleted: &RoaringBitmap,
        change: &mut Change,
    ) -> Result<SegmentEntry> {
        if deleted.len() != entry.deleted {
            // A number never used before: whichever manifest survives a crash, the file it names is the one it meant.
            let number = self.segment_id();
            let path = segment_paths(&self.dir, entry.id).deletes(number);
            change.made.push(path.clone());
            write_deletes(self.shared.vfs.as_ref(), &path, deleted)?;
            (entry.deletes, entry.deleted) = (Some(number), deleted.len());
        }
        Ok(entry)
    }

    fn deletes_file(&self, entry: &SegmentEntry) -> Option<PathBuf> {
        entry.deletes.map(|number| segment_paths(&self.dir, entry.id).deletes(number))
    }

    /// Files of its indexes, those that are there.
    fn indexes_of(&self, id: u64) -> Result<Vec<PathBuf>> {
        let paths = (0..self.schema().dense_fields().count()).map(|field| index_path(&self.dir, id, field));
        let mut found = Vec::new();
        for path in paths {
            if self.shared.vfs.exists(&path)? {
                found.push(path);
            }
        }
        Ok(found)
    }

    fn files_of(&self, id: u64) -> [PathBuf; 3] {
        let paths = segment_paths(&self.dir, id);
        [paths.vectors, paths.columns, paths.keys]
    }
}

/// Rows of the new segment (the live rows of `then`, in order) that are dead `now`.
fn died_since(then: &[SegmentView], now: &Snapshot) -> RoaringBitmap {
    let now: HashMap<u64, &SegmentView> = now.views().iter().map(|v| (v.segment.id(), v)).collect();
    let mut died = RoaringBitmap::new();
    let mut position = 0u32;
    for then in then {
        let now = now.get(&then.segment.id());
        debug_assert!(now.is_some(), "an input left the snapshot while it was rewritten");
        let Some(now) = now.filter(|now| now.deleted.len() != then.deleted.len()) else {
            position += then.live() as u32;
            continue;
        };
        for row in live_rows(then) {
            if now.deleted.contains(row) {
                died.insert(position);
            }
            position += 1;
        }
    }
    died
}
