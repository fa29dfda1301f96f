//! Copies of a collection at one moment: for a backup of a running engine, and back into one. Files of rows never
//! change, so a backup shares them by hard links where the disk allows it; the log is copied, because whoever opens a
//! backup goes on writing to it.

use std::path::{Path, PathBuf};

use elanus_storage::{Vfs, copy_file};
use parking_lot::MutexGuard;

use super::manifest::Manifest;
use super::{Collection, FOLDERS, Writer};
use crate::error::Result;
use crate::segment::{SegmentEntry, segment_paths};

/// A collection whose files stay as they are for as long as this is held; reads and writes go on.
pub(crate) struct Held<'a> {
    collection: &'a Collection,
    manifest: MutexGuard<'a, Manifest>,
}

/// What the log held at one moment.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Number of its last record.
    pub(crate) sequence: u64,
    /// Live rows.
    pub(crate) rows: u64,
    log: Vec<PathBuf>,
}

impl Collection {
    /// Keeps all files that make up the collection.
    pub(crate) fn hold(&self) -> Held<'_> {
        Held { collection: self, manifest: self.manifest.lock() }
    }
}

impl Held<'_> {
    /// Stops all writers of several collections for a moment and notes where their logs are. A collection whose log takes
    /// nothing more has no cut but an error.
    pub(crate) fn cut(all: &[Held<'_>]) -> Vec<Result<Cut>> {
        let mut writers: Vec<_> = all.iter().map(|held| held.collection.writer.lock()).collect();
        let cut = |(held, writer): (&Held<'_>, &mut MutexGuard<'_, Writer>)| {
            let rotated = writer.wal.rotate();
            held.collection.note_poison(writer);
            rotated?;
            let rows = held.collection.snapshot().live();
            Ok(Cut { sequence: writer.wal.last_sequence(), rows, log: writer.wal.finished() })
        };
        all.iter().zip(&mut writers).map(cut).collect()
    }

    /// Puts a copy as it was at the cut into `dir`; durable when it returns.
    pub(crate) fn copy_into(&self, cut: &Cut, dir: &Path) -> Result<()> {
        let (vfs, from) = (self.collection.shared.vfs.as_ref(), &self.collection.dir);
        make_folders(vfs, dir)?;
        for entry in self.manifest.segments() {
            link_segment(vfs, from, dir, entry)?;
        }
        for path in &cut.log {
            copy_file(vfs, path, vfs, &dir.join("wal").join(path.file_name().unwrap_or_default()))?;
        }
        sync_folders(vfs, dir)?;
        self.manifest.clone().store(vfs, dir)
    }
}

/// Copies the folder of a collection that nobody has open, under another name for it. Durable when it returns.
pub(crate) fn copy_folder(
    from_vfs: &dyn Vfs,
    from: &Path,
    vfs: &dyn Vfs,
    to: &Path,
    name: &str,
) -> Result<()> {
    let mut manifest = Manifest::load(from_vfs, from)?;
    make_folders(vfs, to)?;
    for folder in FOLDERS {
        for entry in from_vfs.list(&from.join(folder))?.iter().filter(|entry| !entry.is_dir) {
            copy_file(
                from_vfs,
                &from.join(folder).join(&entry.name),
                vfs,
                &to.join(folder).join(&entry.name),
            )?;
        }
    }
    sync_folders(vfs, to)?;
    name.clone_into(&mut manifest.definition_mut().name);
    manifest.store(vfs, to)
}

fn make_folders(vfs: &dyn Vfs, dir: &Path) -> Result<()> {
    for folder in FOLDERS {
        vfs.create_dir_all(&dir.join(folder))?;
    }
    Ok(())
}

fn sync_folders(vfs: &dyn Vfs, dir: &Path) -> Result<()> {
    for folder in FOLDERS {
        vfs.sync_dir(&dir.join(folder))?;
    }
    Ok(())
}

/// The truth of a segment under a second name. Its key order is derived: it comes along if it is there.
fn link_segment(vfs: &dyn Vfs, from: &Path, to: &Path, entry: &SegmentEntry) -> Result<()> {
    let (old, new) = (segment_paths(from, entry.id), segment_paths(to, entry.id));
    link_or_copy(vfs, &old.vectors, &new.vectors)?;
    link_or_copy(vfs, &old.columns, &new.columns)?;
    if let Some(number) = entry.deletes {
        link_or_copy(vfs, &old.deletes(number), &new.deletes(number))?;
    }
    match link_or_copy(vfs, &old.keys, &new.keys) {
        Err(error) if error.is_not_found() => Ok(()),
        other => Ok(other?),
    }
}

/// Gives a file that never changes a second name, or makes a copy where that can't be.
fn link_or_copy(vfs: &dyn Vfs, from: &Path, to: &Path) -> elanus_storage::Result<()> {
    match vfs.hard_link(from, to) {
        Err(error) if error.is_unlinkable() => copy_file(vfs, from, vfs, to).map(drop),
        other => other,
    }
}
