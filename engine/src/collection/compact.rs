//! Running a compaction: sealed segments that [`crate::compact`] chose become one without the dead rows. Reads, writes
//! and sealing go on meanwhile. See [`super::rewrite`] for the commit point.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Collection;
use super::rewrite::Rewrite;
use crate::compact::{Candidate, choose};
use crate::error::Result;
use crate::segment::{SegmentView, verify_vectors};

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
        let _one_at_a_time = self.compacting.lock();
        self.check_open()?;
        let snapshot = self.durable_snapshot()?;
        let sealed: Vec<&SegmentView> = snapshot.views().iter().filter(|v| v.segment.is_sealed()).collect();
        let candidates: Vec<Candidate> = sealed.iter().map(|view| candidate(view)).collect();
        let chosen = choose(&candidates, self.shared.options.segment_bytes);
        if chosen.is_empty() {
            return Ok(false);
        }
        let inputs: Vec<SegmentView> =
            sealed.into_iter().filter(|v| chosen.contains(&v.segment.id())).cloned().collect();
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
        let done = sound
            .and_then(|()| self.write_rows(&inputs, &pace))
            .and_then(|fresh| self.commit_rewrite(Rewrite { inputs, fresh, sealed: None }));
        progress.running.store(false, Ordering::Relaxed);
        done?;
        progress.finished.fetch_add(1, Ordering::Relaxed);
        progress.dropped_rows.fetch_add(dead, Ordering::Relaxed);
        Ok(true)
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
