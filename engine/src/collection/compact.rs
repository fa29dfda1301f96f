//! Running a compaction: sealed segments that [`crate::compact`] chose become one without the dead rows. Reads, writes
//! and sealing go on meanwhile. See [`super::rewrite`] for the commit point.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Collection;
use super::rewrite::Rewrite;
use crate::compact::{Candidate, choose, choose_at_rest};
use crate::error::Result;
use crate::segment::{Segment, SegmentView, verify_vectors};

/// Nobody writes once nobody has written for so long.
const REST: Duration = Duration::from_secs(10);
/// After merging at rest has failed (a full disk, say) the next attempt waits this long.
const RETRY: Duration = Duration::from_secs(600);

/// Compaction of one collection, as metrics show it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    running: AtomicBool,
    written: AtomicU64,
    expected: AtomicU64,
    finished: AtomicU64,
    dropped_rows: AtomicU64,
}

/// The same at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CompactionStats {
    /// Whether segments are being rewritten.
    pub running: bool,
    /// Bytes written by the rewriting under way, or by the last one.
    pub written_bytes: u64,
    /// Bytes it will have written, closely.
    pub expected_bytes: u64,
    /// Rewritings finished since the start.
    pub finished: u64,
    /// Dead rows that they left behind.
    pub dropped_rows: u64,
}

impl Progress {
    pub(super) fn now(&self) -> CompactionStats {
        CompactionStats {
            running: self.running.load(Ordering::Relaxed),
            written_bytes: self.written.load(Ordering::Relaxed),
            expected_bytes: self.expected.load(Ordering::Relaxed),
            finished: self.finished.load(Ordering::Relaxed),
            dropped_rows: self.dropped_rows.load(Ordering::Relaxed),
        }
    }
}

impl Collection {
    /// Rewrites what is most worth it, once; false when nothing is.
    ///
    /// # Errors
    /// `Corrupt` when a segment to be rewritten is damaged; storage errors. The segments stay as they are.
    pub fn compact(&self) -> Result<bool> {
        // Merging at rest takes long, and others need not wait for it.
        let Some(_one_at_a_time) = self.compacting.try_lock() else {
            self.put_compaction_due();
            return Ok(false);
        };
        self.check_open()?;
        let inputs = self.chosen(choose)?;
        if inputs.is_empty() {
            return Ok(false);
        }
        self.merge(inputs, &|_| Ok(()))?;
        Ok(true)
    }

    /// Merges segments into fewer than [`Collection::compact`] does, for when nobody writes; false when nothing is to be
    /// merged. The merged segment has its indexes before readers see it.
    ///
    /// # Errors
    /// As [`Collection::compact`]; `Closing` when it is called off.
    pub fn settle(&self) -> Result<bool> {
        let _one_index_at_a_time = self.indexing_turn.lock();
        let Some(_one_at_a_time) = self.compacting.try_lock() else { return Ok(false) };
        self.check_open()?;
        if !self.shared.quota.exceeded().is_empty() || !self.chosen(choose)?.is_empty() {
            return Ok(false);
        }
        let inputs = self.chosen(choose_at_rest)?;
        if inputs.is_empty() || !self.has_memory_to_index(&inputs) {
            return Ok(false);
        }
        self.merge(inputs, &|segment| self.index_ahead(segment))?;
        Ok(true)
    }

    /// The same for the background: once nobody has written for a while, and not soon again after a failure.
    pub(crate) fn settle_at_rest(&self) -> Result<bool> {
        if self.last_write.lock().elapsed() < REST
            || self.settle_again.lock().is_some_and(|at| Instant::now() < at)
        {
            return Ok(false);
        }
        let settled = self.settle();
        *self.settle_again.lock() = settled.is_err().then(|| Instant::now() + RETRY);
        settled
    }

    /// The sealed segments that a policy chooses.
    fn chosen(&self, policy: fn(&[Candidate], u64) -> Vec<u64>) -> Result<Vec<SegmentView>> {
        let snapshot = self.snapshot();
        let sealed = snapshot.views().iter().filter(|v| v.segment.is_sealed());
        let candidates: Vec<Candidate> = sealed.map(candidate).collect();
        let chosen = policy(&candidates, self.shared.options.segment_bytes);
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        // Sealed segments come and go only with the turn that the caller has, or at the end of the list.
        let durable = self.durable_snapshot()?;
        Ok(durable.views().iter().filter(|v| chosen.contains(&v.segment.id())).cloned().collect())
    }

    /// Writes the live rows of `inputs` as one segment, which is `prepare`d and then takes their place.
    fn merge(&self, inputs: Vec<SegmentView>, prepare: &dyn Fn(&Arc<Segment>) -> Result<()>) -> Result<()> {
        let progress = &self.compaction;
        let live_bytes = inputs.iter().map(SegmentView::live_bytes).sum();
        let dead: u64 = inputs.iter().map(|view| view.deleted.len()).sum();
        progress.expected.store(live_bytes, Ordering::Relaxed);
        progress.written.store(0, Ordering::Relaxed);
        progress.running.store(true, Ordering::Relaxed);
        let pace = |bytes: u64| {
            progress.written.fetch_add(bytes, Ordering::Relaxed);
            self.shared.pace.after(bytes);
        };
        // What is damaged must not be copied under a fresh checksum.
        let sound = inputs.iter().try_for_each(|input| {
            self.check_open()?;
            verify_vectors(self.shared.vfs.as_ref(), &self.dir, input.segment.id())
        });
        let done = sound.and_then(|()| self.write_rows(&inputs, &pace)).and_then(|fresh| {
            if let Some((_, segment)) = &fresh
                && let Err(error) = prepare(segment)
            {
                self.forget_segment(segment.id());
                return Err(error);
            }
            self.commit_rewrite(Rewrite { inputs, fresh, sealed: None })
        });
        progress.running.store(false, Ordering::Relaxed);
        done?;
        progress.finished.fetch_add(1, Ordering::Relaxed);
        progress.dropped_rows.fetch_add(dead, Ordering::Relaxed);
        Ok(())
    }

    /// Has the segments looked at at the next tick.
    pub fn request_compaction(&self) {
        self.put_compaction_due();
    }

    /// Whether a compaction runs, or is about to be looked for.
    pub fn is_compacting(&self) -> bool {
        self.compaction.now().running || self.compaction_due.load(Ordering::SeqCst)
    }

    /// Whether rows died or segments came since this was last asked.
    pub(crate) fn take_compaction_due(&self) -> bool {
        self.compaction_due.swap(false, Ordering::SeqCst)
    }

    /// Lets the next tick look at the segments again.
    pub(crate) fn put_compaction_due(&self) {
        self.compaction_due.store(true, Ordering::SeqCst);
    }
}

pub(super) fn candidate(view: &SegmentView) -> Candidate {
    Candidate {
        id: view.segment.id(),
        rows: view.segment.rows() as u64,
        live: view.live() as u64,
        live_bytes: view.live_bytes(),
    }
}
