//! One collection: manifest, segments, dead rows, key orders, log, and that each key names one row.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use std::sync::Arc;

use elanus_storage::{StorageError, Vfs, Wal};

use super::{Examined, Quarantine, Report, Severity, folder_bytes};
use crate::collection::{Manifest, Replay, Snapshot};
use crate::error::{EngineError, Result};
use crate::schema::Schema;
use crate::segment::{
    KeyFile, SegmentEntry, SegmentView, live_rows, open_segment, read_deletes, segment_paths, verify_keys,
    verify_vectors, write_deletes,
};

/// Whether it can be opened afterwards. `name` is the one that the catalog knows it by, which holds: that of the manifest
/// is the old one where a crash cut a rename short.
pub(super) fn check(
    vfs: &dyn Vfs,
    folder: &Path,
    name: &str,
    quarantine: &Quarantine<'_>,
    report: &mut Report,
    visit: &mut dyn FnMut(&Examined<'_>) -> Result<()>,
) -> Result<bool> {
    let mut manifest = match Manifest::load(vfs, folder) {
        Ok(manifest) => manifest,
        Err(error) if is_trouble(&error) => return Err(error),
        Err(error) => {
            quarantine.take(folder)?;
            let done = quarantine.active().then(|| format!("collection {name} was moved to the quarantine"));
            report.add_damage(folder, &error, done);
            return Ok(false);
        }
    };
    report.bytes += folder_bytes(vfs, folder)?;
    for path in manifest.strays(vfs, folder)? {
        report.add(
            Severity::Note,
            &path,
            "a file that the manifest does not name; the next start removes it",
            None,
        );
    }
    let schema = Arc::new(manifest.definition().schema.clone());
    let mut views = Vec::new();
    let mut kept = Vec::new();
    for entry in manifest.segments() {
        if let Some((entry, view)) = check_segment(vfs, folder, &schema, entry, quarantine, report)? {
            kept.push(entry);
            views.push(view);
        }
    }
    let mut snapshot = Snapshot::new(Arc::clone(&schema), views);
    check_log(vfs, folder, &schema, &manifest, &mut snapshot, quarantine, report)?;
    if quarantine.active() && kept != manifest.segments() {
        bury_risen(vfs, folder, &mut manifest, &mut kept, &mut snapshot)?;
    }
    check_keys(folder, &snapshot, report);
    report.rows += snapshot.live();
    report.rows_of.insert(name.to_owned(), snapshot.live());
    visit(&Examined { definition: manifest.definition(), snapshot: &snapshot })?;
    Ok(true)
}

/// The segment as it can be used; none when its rows are lost.
fn check_segment(
    vfs: &dyn Vfs,
    folder: &Path,
    schema: &Arc<Schema>,
    entry: &SegmentEntry,
    quarantine: &Quarantine<'_>,
    report: &mut Report,
) -> Result<Option<(SegmentEntry, SegmentView)>> {
    let paths = segment_paths(folder, entry.id);
    let opened = open_segment(vfs, folder, schema, entry, KeyFile::LeaveAlone)
        .and_then(|segment| verify_vectors(vfs, folder, entry.id).map(|()| segment));
    let segment = match opened {
        Ok(segment) => segment,
        Err(error) if is_trouble(&error) => return Err(error),
        Err(error) => {
            let gone = [Some(&paths.vectors), Some(&paths.columns), Some(&paths.keys)];
            for path in gone.into_iter().flatten() {
                quarantine.take(path)?;
            }
            let done =
                quarantine.active().then(|| format!("its {} rows were moved to the quarantine", entry.rows));
            report.add_damage(&paths.vectors, &error, done);
            return Ok(None);
        }
    };
    match verify_keys(vfs, folder, &segment) {
        Err(error) if is_trouble(&error) => return Err(error),
        Err(error) => {
            quarantine.take(&paths.keys)?;
            let what = format!("the key order, which is derived, is not usable: {error}");
            report.add(Severity::Note, &paths.keys, what, None);
        }
        Ok(()) => {}
    }
    let mut entry = entry.clone();
    let mut view = SegmentView::new(Arc::new(segment));
    if let Some(number) = entry.deletes {
        let path = paths.deletes(number);
        match read_deletes(vfs, &path, entry.rows) {
            Ok(deleted) => view.deleted = Arc::new(deleted),
            Err(error) if is_trouble(&error) => return Err(error),
            Err(error) => {
                quarantine.take(&path)?;
                (entry.deletes, entry.deleted) = (None, 0);
                let done = quarantine
                    .active()
                    .then(|| "rows that were deleted, not replaced, are visible again".to_owned());
                report.add_damage(&path, &error, done);
            }
        }
    }
    Ok(Some((entry, view)))
}

/// A segment whose dead rows are forgotten shows them again. Those whose key lives elsewhere were replaced: they are
/// dead for certain, and written down as such. Then the manifest names what is left.
fn bury_risen(
    vfs: &dyn Vfs,
    folder: &Path,
    manifest: &mut Manifest,
    kept: &mut [SegmentEntry],
    snapshot: &mut Snapshot,
) -> Result<()> {
    let forgotten = |entry: &SegmentEntry| {
        entry.deletes.is_none() && manifest.segments().iter().any(|e| e.id == entry.id && e.deletes.is_some())
    };
    let mut next = manifest.next_segment();
    let mut views = snapshot.views().to_vec();
    for entry in kept.iter_mut().filter(|entry| forgotten(entry)) {
        let Some(at) = views.iter().position(|view| view.segment.id() == entry.id) else { continue };
        let replaced = |row: &u32| {
            let key = views[at].segment.key(*row as usize);
            let elsewhere = views.iter().enumerate().filter(|(other, _)| *other != at);
            elsewhere.into_iter().any(|(_, v)| v.segment.find(key).any(|row| !v.deleted.contains(row)))
        };
        let dead: Vec<u32> = live_rows(&views[at]).filter(replaced).collect();
        let deleted = Arc::make_mut(&mut views[at].deleted);
        deleted.extend(dead);
        write_deletes(vfs, &segment_paths(folder, entry.id).deletes(next), deleted)?;
        (entry.deletes, entry.deleted) = (Some(next), deleted.len());
        next += 1;
    }
    *snapshot = Snapshot::new(Arc::clone(snapshot.schema()), views);
    manifest.set_segments(kept.to_vec(), None, next);
    manifest.store(vfs, folder)
}

/// Whether the error is the machine's now, or this program's, and not of what is stored. A missing file is damage; one
/// that a newer program wrote is none.
fn is_trouble(error: &EngineError) -> bool {
    match error {
        EngineError::Storage(StorageError::UnsupportedVersion { .. }) => true,
        EngineError::Storage(error @ StorageError::Io { .. }) => !error.is_not_found(),
        _ => false,
    }
}

fn check_log(
    vfs: &dyn Vfs,
    folder: &Path,
    schema: &Arc<Schema>,
    manifest: &Manifest,
    snapshot: &mut Snapshot,
    quarantine: &Quarantine<'_>,
    report: &mut Report,
) -> Result<()> {
    let dir = folder.join("wal");
    let before = std::mem::replace(snapshot, Snapshot::new(Arc::clone(schema), Vec::new()));
    let mut replay = Replay::new(schema, &dir, manifest, before);
    let read =
        Wal::examine(vfs, &dir, manifest.replay_after(), &mut |sequence, bytes| replay.step(sequence, bytes));
    *snapshot = replay.finish().0.snapshot;
    match read {
        Ok(recovery) if recovery.cut_bytes > 0 => {
            let what =
                format!("{} bytes of a write that was never acknowledged end the log", recovery.cut_bytes);
            report.add(Severity::Note, &dir, what, None);
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(StorageError::Corrupt { path, offset, reason }) => {
            let cut = quarantine.active() && cut_log(vfs, &dir, &path, offset, quarantine)?;
            let done =
                cut.then(|| "the log now ends before the damage; all of it is in the quarantine".to_owned());
            report.add(Severity::Damage, &path, format!("at byte {offset}: {reason}"), done);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Ends the log at `offset` of one of its files, after everything from that file on was copied away. False when the
/// damage is not of a file.
fn cut_log(vfs: &dyn Vfs, dir: &Path, path: &Path, offset: u64, quarantine: &Quarantine<'_>) -> Result<bool> {
    let files: Vec<_> = vfs.list(dir)?.into_iter().map(|entry| dir.join(entry.name)).collect();
    if !files.iter().any(|file| file == path) {
        return Ok(false);
    }
    // Names sort as their records do. The latest goes first: a crash in between leaves a log that ends earlier.
    for file in files.iter().filter(|file| file.as_path() > path).rev() {
        quarantine.take(file)?;
    }
    if offset == 0 {
        quarantine.take(path)?;
        return Ok(true);
    }
    quarantine.keep_copy(path)?;
    let mut file = vfs.open_append(path)?;
    file.truncate(offset)?;
    file.sync()?;
    Ok(true)
}

/// Goes through the key orders of all segments side by side, so that equal keys meet.
fn check_keys(folder: &Path, snapshot: &Snapshot, report: &mut Report) {
    let views = snapshot.views();
    let live = |view: usize, from: usize| {
        let SegmentView { segment, deleted } = &views[view];
        let keys = segment.keys();
        let rank = (from..keys.len()).find(|&rank| !deleted.contains(keys.row_at(rank)))?;
        Some(Reverse((segment.key(keys.row_at(rank) as usize), view, rank)))
    };
    let mut next: BinaryHeap<_> = (0..views.len()).filter_map(|view| live(view, 0)).collect();
    let mut last = None;
    let mut repeated = 0u64;
    while let Some(Reverse((key, view, rank))) = next.pop() {
        if last == Some(key) {
            repeated += 1;
            if repeated <= MOST_TOLD {
                report.add(
                    Severity::Damage,
                    folder,
                    format!("key {} names more than one live row", key.to_key()),
                    None,
                );
            }
        }
        last = Some(key);
        next.extend(live(view, rank + 1));
    }
    if repeated > MOST_TOLD {
        report.add(Severity::Damage, folder, format!("{repeated} keys do so in all"), None);
    }
}

/// Most repeated keys that are told one by one.
const MOST_TOLD: u64 = 10;
