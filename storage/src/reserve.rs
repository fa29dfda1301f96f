//! A file without content that matters, for the moment when the disk has not a byte left: removing it makes room for the
//! few bytes with which rows are deleted and collections dropped, which is how room is made. It is laid down again when
//! there is plenty.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::Result;
use crate::vfs::{AtomicFile, Vfs};

const PIECE: usize = 1 << 20;
/// It is laid down again when so many times its size is free.
const PLENTY: u64 = 8;

/// The reserve of one data directory.
#[derive(Debug)]
pub struct Reserve {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    bytes: u64,
    /// Whether the file is there.
    held: Mutex<bool>,
}

impl Reserve {
    /// That of the file `path`, which is made when there is room.
    pub fn new(vfs: Arc<dyn Vfs>, path: PathBuf, bytes: u64) -> Self {
        let held = vfs.len(&path).is_ok_and(|len| len == bytes);
        let reserve = Self { vfs, path, bytes, held: Mutex::new(held) };
        reserve.replenish();
        reserve
    }

    /// Removes the file; false when there is none.
    pub fn release(&self) -> bool {
        let mut held = self.held.lock();
        if !*held {
            return false;
        }
        *held = false;
        match self.vfs.remove_file(&self.path) {
            Ok(()) => {
                tracing::warn!("the disk is full: the reserve is used to delete and drop");
                true
            }
            Err(error) => {
                tracing::error!(%error, "the disk is full and the reserve can't be removed");
                false
            }
        }
    }

    /// Bytes that it takes now.
    pub fn bytes(&self) -> u64 {
        if *self.held.lock() { self.bytes } else { 0 }
    }

    /// Makes the file again if there is plenty of room.
    pub fn replenish(&self) {
        let mut held = self.held.lock();
        if *held || self.bytes == 0 {
            return;
        }
        let folder = self.path.parent().unwrap_or(&self.path);
        let plenty = self.vfs.space(folder).is_ok_and(|space| space.free >= self.bytes * PLENTY);
        // Without it nothing but the way out of a full disk is lost.
        *held = plenty && self.write().is_ok();
    }

    fn write(&self) -> Result<()> {
        let mut file = AtomicFile::create(self.vfs.as_ref(), &self.path)?;
        let mut left = self.bytes;
        while left > 0 {
            let piece = left.min(PIECE as u64) as usize;
            file.write(&vec![0xe1; piece])?;
            left -= piece as u64;
        }
        file.finish().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::DiskVfs;

    #[test]
    fn it_is_used_once_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("RESERVE");
        let reserve = Reserve::new(Arc::new(DiskVfs), path.clone(), 5000);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 5000);
        assert!(reserve.release() && !path.exists());
        assert!(!reserve.release());
        reserve.replenish();
        assert!(path.exists() && reserve.release());
    }
}
