//! Thumbnails: small JPEG files named by the content of their original. They are derived data: written without waiting
//! for the disk, made again when one is missing or empty, and removed with their original.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use elanus_storage::{Digest, StorageError, TEMPORARY_SUFFIX, Vfs, sweep_temporary};

/// The folder of thumbnails.
#[derive(Debug)]
pub(crate) struct Thumbnails {
    vfs: Arc<dyn Vfs>,
    folder: PathBuf,
    next_temporary: AtomicU64,
}

impl Thumbnails {
    /// Thumbnails below `folder`, which is made with the first of them.
    pub(crate) fn new(vfs: Arc<dyn Vfs>, folder: PathBuf) -> Self {
        Self { vfs, folder, next_temporary: AtomicU64::new(0) }
    }

    /// Removes what nobody else would: files that a crash left half-written, and thumbnails that were made while their
    /// original was removed. To be called before there are others; a failure is logged.
    pub(crate) fn tidy(&self, originals: &[Digest]) {
        let originals: HashSet<&Digest> = originals.iter().collect();
        if let Err(error) = self.remove_orphans(&originals) {
            tracing::warn!(%error, "unused thumbnails could not be removed");
        }
    }

    fn remove_orphans(&self, originals: &HashSet<&Digest>) -> Result<(), StorageError> {
        if !self.vfs.exists(&self.folder)? {
            return Ok(());
        }
        for below in self.vfs.list(&self.folder)?.iter().filter(|entry| entry.is_dir) {
            let folder = self.folder.join(&below.name);
            sweep_temporary(self.vfs.as_ref(), &folder)?;
            for entry in self.vfs.list(&folder)? {
                let content = entry.name.strip_suffix(".jpg").and_then(|name| name.parse::<Digest>().ok());
                if content.is_some_and(|content| !originals.contains(&content)) {
                    self.vfs.remove_file(&folder.join(&entry.name))?;
                }
            }
        }
        Ok(())
    }

    /// The stored thumbnail; `None` when it has to be made.
    pub(crate) fn read(&self, content: &Digest) -> Option<Vec<u8>> {
        // A power loss can leave a file whose name was written and whose content was not.
        self.vfs.read(&self.path(content)).ok().filter(|jpeg| is_whole_jpeg(jpeg))
    }

    /// Whether a file is there; its content is looked at when it is read.
    pub(crate) fn contains(&self, content: &Digest) -> bool {
        self.vfs.exists(&self.path(content)).unwrap_or(false)
    }

    /// Stores one. A failure is logged and nothing else: it can be made again.
    pub(crate) fn write(&self, content: &Digest, jpeg: &[u8]) {
        let path = self.path(content);
        if let Err(error) = self.replace(&path, jpeg) {
            tracing::warn!(%error, "a thumbnail could not be stored");
        }
    }

    /// Removes one, if it is there.
    pub(crate) fn remove(&self, content: &Digest) {
        if let Err(error) = self.vfs.remove_file(&self.path(content)) {
            tracing::warn!(%error, "a thumbnail could not be removed");
        }
    }

    /// Written beside and renamed, so that nobody reads half of it; not synced.
    fn replace(&self, path: &Path, jpeg: &[u8]) -> Result<(), StorageError> {
        if let Some(folder) = path.parent() {
            self.vfs.create_dir_all(folder)?;
        }
        let number = self.next_temporary.fetch_add(1, Ordering::Relaxed);
        let temporary = path.with_extension(format!("{number}{TEMPORARY_SUFFIX}"));
        let mut file = self.vfs.create(&temporary)?;
        let written = file.write_all(jpeg).and_then(|()| self.vfs.rename(&temporary, path));
        if written.is_err() {
            // Best effort: the first error says more than this one.
            let _ = self.vfs.remove_file(&temporary);
        }
        written
    }

    fn path(&self, content: &Digest) -> PathBuf {
        let name = content.to_string();
        let folder = name.get(..2).unwrap_or_default();
        self.folder.join(folder).join(format!("{name}.jpg"))
    }
}

/// From the start to the end marker of a JPEG.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0xff, 0xd8]) && bytes.ends_with(&[0xff, 0xd9])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_thumbnail_counts_as_missing() {
        let folder = tempfile::tempdir().unwrap();
        let thumbs = Thumbnails::new(Arc::new(elanus_storage::DiskVfs), folder.path().join("thumbs"));
        let content = Digest::of(b"a photo");
        assert_eq!(thumbs.read(&content), None);
        let jpeg = [0xff, 0xd8, 1, 2, 3, 0xff, 0xd9];
        thumbs.write(&content, &jpeg);
        assert_eq!(thumbs.read(&content).unwrap(), jpeg);
        for damaged in [&[][..], &jpeg[..4], &[0; 7]] {
            std::fs::write(thumbs.path(&content), damaged).unwrap();
            assert_eq!(thumbs.read(&content), None);
        }
        thumbs.remove(&content);
        thumbs.remove(&content);
        assert!(!thumbs.contains(&content));
    }

    #[test]
    fn a_start_leaves_thumbnails_of_originals_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let thumbs = Thumbnails::new(Arc::new(elanus_storage::DiskVfs), folder.path().join("thumbs"));
        thumbs.tidy(&[]);
        let [kept, gone] = [Digest::of(b"kept"), Digest::of(b"gone")];
        thumbs.write(&kept, b"x");
        thumbs.write(&gone, b"x");
        let half = thumbs.path(&kept).with_extension(format!("0{TEMPORARY_SUFFIX}"));
        std::fs::write(&half, b"x").unwrap();
        thumbs.tidy(&[kept]);
        assert_eq!([thumbs.contains(&kept), thumbs.contains(&gone), half.exists()], [true, false, false]);
    }
}
