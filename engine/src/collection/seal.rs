//! Sealing: rows in memory become a segment in files, and the log before them is dropped. Reads and writes go on
//! meanwhile; only taking the starting point and the exchange at the end hold the writer. See [`super::rewrite`] for
//! the commit point.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::rewrite::{Rewrite, Sealed};
use super::{Collection, Writer};
use crate::error::{EngineError, Result};
use crate::segment::SegmentView;

/// Replay is bounded by this many times the sealing size: a log longer than that is sealed, however few rows it adds.
const MOST_LOG: u64 = 2;
/// After a failed sealing (a full disk, say) the next attempt without being asked waits this long.
const RETRY: Duration = Duration::from_secs(10);

impl Collection {
    /// Seals all rows in memory, and writes down which sealed rows are dead.
    pub(crate) fn seal(&self) -> Result<()> {
        let _one_at_a_time = self.sealing.lock();
        self.check_open()?;
        self.seal_requested.store(false, Ordering::SeqCst);
        let Some((sealed, inputs)) = self.start_sealing()? else {
            return Ok(());
        };
        let written = self.write_rows(&inputs, &|_| ());
        let done =
            written.and_then(|fresh| self.commit_rewrite(Rewrite { inputs, fresh, sealed: Some(sealed) }));
        if let Err(error) = &done {
            let mut writer = self.writer.lock();
            writer.fixed.clear();
            writer.unsealed_since.get_or_insert_with(Instant::now);
            writer.seal_failed = Some(Instant::now());
            if matches!(error, EngineError::Storage(error) if error.is_disk_full()) {
                self.shared.quota.disk_is_full();
            }
        }
        self.compaction_due.store(true, Ordering::SeqCst);
        done
    }

    /// Whether it is time to seal: by size, by the length of the log, or by age.
    pub(crate) fn wants_sealing(&self) -> bool {
        let options = &self.shared.options;
        let writer = self.writer.lock();
        if writer.seal_failed.is_some_and(|failed| failed.elapsed() < RETRY) {
            return false;
        }
        let old = writer.unsealed_since.is_some_and(|since| since.elapsed() >= options.seal_age);
        old || writer.wal.bytes() >= MOST_LOG * options.seal_bytes as u64
            || self.snapshot().growing_bytes() >= options.seal_bytes
    }

    /// Everything the log holds now, and the segments in memory. None when files hold it all.
    fn start_sealing(&self) -> Result<Option<(Sealed, Vec<SegmentView>)>> {
        let covered = self.manifest.lock().replay_after();
        let mut writer = self.writer.lock();
        let snapshot = self.snapshot();
        let inputs: Vec<SegmentView> =
            snapshot.views().iter().filter(|v| !v.segment.is_sealed()).cloned().collect();
        if inputs.is_empty() && writer.wal.last_sequence() == covered {
            writer.unsealed_since = None;
            return Ok(None);
        }
        let rotated = writer.wal.rotate();
        self.note_poison(&writer);
        rotated?;
        let Writer { wal, next_id, .. } = &*writer;
        let sealed = Sealed { sequence: wal.last_sequence(), next_id: *next_id };
        writer.fixed = inputs.iter().map(|v| v.segment.id()).collect();
        writer.unsealed_since = None;
        Ok(Some((sealed, inputs)))
    }
}
