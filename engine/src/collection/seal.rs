//! Sealing: rows in memory become files, and the log before them is dropped. Reads and writes go on meanwhile; only
//! taking the starting point and exchanging the segments hold the writer. The manifest is the commit point: a crash
//! before it leaves files that the next start sweeps, a crash after it replays only what came later.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use roaring::RoaringBitmap;

use super::{Collection, Snapshot};
use crate::error::Result;
use crate::segment::{
    Segment, SegmentEntry, SegmentView, live_rows, merge, open_segment, segment_paths, write_deletes,
    write_segment,
};

/// What is being sealed: everything the log holds up to `sequence`.
struct Start {
    sequence: u64,
    next_id: i64,
    snapshot: Arc<Snapshot>,
    /// Segments that the new one replaces, in snapshot order.
    inputs: Vec<SegmentView>,
}

impl Collection {
    /// Seals all rows in memory, together with sealed segments so small that they are better rewritten.
    pub(crate) fn seal(&self) -> Result<()> {
        let _one_at_a_time = self.sealing.lock();
        self.seal_requested.store(false, Ordering::SeqCst);
        let Some(start) = self.start_sealing()? else {
            return Ok(());
        };
        let sealed = self.write_files(&start).and_then(|entry| self.commit_manifest(&start, entry));
        match sealed {
            Ok(segment) => self.exchange(&start, segment),
            Err(error) => {
                self.writer.lock().fixed.clear();
                Err(error)
            }
        }
    }

    fn start_sealing(&self) -> Result<Option<Start>> {
        let mut writer = self.writer.lock();
        let snapshot = self.snapshot();
        if !snapshot.views().iter().any(|v| !v.segment.is_sealed())
            && writer.wal.last_sequence() == self.manifest.lock().replay_after()
        {
            return Ok(None);
        }
        let small = self.shared.seal_bytes / 4;
        let inputs: Vec<SegmentView> = snapshot
            .views()
            .iter()
            .filter(|v| !v.segment.is_sealed() || v.segment.bytes() < small || v.live() == 0)
            .cloned()
            .collect();
        writer.fixed = inputs.iter().map(|v| v.segment.id()).collect();
        writer.wal.rotate()?;
        Ok(Some(Start { sequence: writer.wal.last_sequence(), next_id: writer.next_id, snapshot, inputs }))
    }

    /// Writes the new segment and the deletes of those that stay. Nothing refers to these files yet.
    fn write_files(&self, start: &Start) -> Result<Vec<SegmentEntry>> {
        let vfs = self.shared.vfs.as_ref();
        let replaced: HashSet<u64> = start.inputs.iter().map(|v| v.segment.id()).collect();
        let before: HashMap<u64, SegmentEntry> =
            self.manifest.lock().segments().iter().map(|e| (e.id, e.clone())).collect();
        let mut entries = Vec::new();
        for view in start.snapshot.views().iter().filter(|v| !replaced.contains(&v.segment.id())) {
            let Some(mut entry) = before.get(&view.segment.id()).cloned() else { continue };
            if !view.deleted.is_empty() {
                write_deletes(
                    vfs,
                    &segment_paths(&self.dir, entry.id).deletes(start.sequence),
                    &view.deleted,
                )?;
                entry.deletes = Some(start.sequence);
            }
            entries.push(entry);
        }
        if start.inputs.iter().any(|v| v.live() > 0) {
            let chunk = merge(&self.schema, &start.inputs)?;
            let segment = Segment::in_memory(self.segment_id(), &self.schema, chunk)?;
            entries.push(write_segment(vfs, &self.dir, &segment)?);
        }
        Ok(entries)
    }

    /// The commit point. Gives back the new segment, mapped.
    fn commit_manifest(&self, start: &Start, entries: Vec<SegmentEntry>) -> Result<Option<Arc<Segment>>> {
        let vfs = self.shared.vfs.as_ref();
        let known: HashSet<u64> = start.snapshot.views().iter().map(|v| v.segment.id()).collect();
        let fresh = entries.iter().find(|e| !known.contains(&e.id));
        let segment = fresh.map(|entry| open_segment(vfs, &self.dir, &self.schema, entry)).transpose()?;
        let mut manifest = self.manifest.lock();
        let mut next = manifest.clone();
        let next_segment = self.next_segment.load(Ordering::Relaxed);
        next.set_segments(entries, start.sequence, start.next_id, next_segment);
        next.store(vfs, &self.dir)?;
        *manifest = next;
        Ok(segment.map(Arc::new))
    }

    /// Readers see the files instead of the inputs; rows that died meanwhile stay dead.
    fn exchange(&self, start: &Start, segment: Option<Arc<Segment>>) -> Result<()> {
        let mut writer = self.writer.lock();
        let now = self.snapshot();
        let replaced: HashSet<u64> = start.inputs.iter().map(|v| v.segment.id()).collect();
        let (inputs, rest): (Vec<&SegmentView>, Vec<&SegmentView>) =
            now.views().iter().partition(|v| replaced.contains(&v.segment.id()));
        let fresh = segment
            .map(|segment| SegmentView { segment, deleted: Arc::new(died_since(&start.inputs, &inputs)) });
        let (sealed, growing): (Vec<_>, Vec<_>) =
            rest.into_iter().cloned().partition(|v| v.segment.is_sealed());
        let views = sealed.into_iter().chain(fresh).chain(growing).collect();
        *self.published.write() = Arc::new(Snapshot::new(views));
        writer.fixed.clear();
        writer.wal.truncate_before(start.sequence + 1)?;
        drop(writer);
        // What the manifest does not name any more; readers that still map it keep it alive until they are done.
        self.manifest.lock().sweep(self.shared.vfs.as_ref(), &self.dir)
    }
}

/// Rows of the new segment (the live rows of `then`, in order) that are dead `now`.
fn died_since(then: &[SegmentView], now: &[&SegmentView]) -> RoaringBitmap {
    let mut died = RoaringBitmap::new();
    let mut position = 0u32;
    for (then, now) in then.iter().zip(now) {
        debug_assert_eq!(then.segment.id(), now.segment.id());
        for row in live_rows(then) {
            if now.deleted.contains(row) {
                died.insert(position);
            }
            position += 1;
        }
    }
    died
}
