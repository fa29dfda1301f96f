//! A door to the disk that fails on command: syncs that fail, and a disk that fills up. It counts syncs of folders.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use elanus_storage::{
    Bytes, DirEntry, DiskVfs, LockGuard, Result, Space, StorageError, Vfs, VfsFile, VfsRead,
};

#[derive(Debug)]
struct Faults {
    syncs_fail: AtomicBool,
    room: AtomicU64,
    folder_syncs: AtomicU64,
}

#[derive(Debug, Clone)]
pub(crate) struct FaultyVfs {
    faults: Arc<Faults>,
}

impl Default for FaultyVfs {
    fn default() -> Self {
        Self {
            faults: Arc::new(Faults {
                syncs_fail: AtomicBool::new(false),
                room: AtomicU64::new(u64::MAX),
                folder_syncs: AtomicU64::new(0),
            }),
        }
    }
}

impl FaultyVfs {
    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.faults.syncs_fail.store(fail, Ordering::SeqCst);
    }

    /// How many bytes each write may still put down before the disk is full.
    pub(crate) fn leave_room(&self, bytes: u64) {
        self.faults.room.store(bytes, Ordering::SeqCst);
    }

    /// How often folders were synced through this door itself.
    pub(crate) fn folder_syncs(&self) -> u64 {
        self.faults.folder_syncs.load(Ordering::SeqCst)
    }

    fn wrap(&self, file: Box<dyn VfsFile>) -> Box<dyn VfsFile> {
        Box::new(FaultyFile { file, faults: Arc::clone(&self.faults) })
    }
}

struct FaultyFile {
    file: Box<dyn VfsFile>,
    faults: Arc<Faults>,
}

impl VfsFile for FaultyFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let room = usize::try_from(self.faults.room.load(Ordering::SeqCst)).unwrap();
        if bytes.len() <= room {
            return self.file.write_all(bytes);
        }
        self.file.write_all(&bytes[..room])?;
        Err(StorageError::io("write", Path::new("faulty"), io::ErrorKind::StorageFull.into()))
    }

    fn sync(&mut self) -> Result<()> {
        if self.faults.syncs_fail.load(Ordering::SeqCst) {
            return Err(StorageError::io("sync", Path::new("faulty"), io::Error::other("the disk says no")));
        }
        self.file.sync()
    }

    fn truncate(&mut self, len: u64) -> Result<()> {
        self.file.truncate(len)
    }

    fn rewrite(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file.rewrite(offset, bytes)
    }
}

impl Vfs for FaultyVfs {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        DiskVfs.create_dir_all(path)
    }
    fn create_dir(&self, path: &Path) -> Result<()> {
        DiskVfs.create_dir(path)
    }
    fn create(&self, path: &Path) -> Result<Box<dyn VfsFile>> {
        DiskVfs.create(path).map(|file| self.wrap(file))
    }
    fn open_append(&self, path: &Path) -> Result<Box<dyn VfsFile>> {
        DiskVfs.open_append(path).map(|file| self.wrap(file))
    }
    fn open_read(&self, path: &Path) -> Result<Box<dyn VfsRead>> {
        DiskVfs.open_read(path)
    }
    fn map(&self, path: &Path) -> Result<Bytes> {
        DiskVfs.map(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        DiskVfs.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> Result<()> {
        DiskVfs.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        DiskVfs.remove_dir_all(path)
    }
    fn list(&self, path: &Path) -> Result<Vec<DirEntry>> {
        DiskVfs.list(path)
    }
    fn exists(&self, path: &Path) -> Result<bool> {
        DiskVfs.exists(path)
    }
    fn len(&self, path: &Path) -> Result<u64> {
        DiskVfs.len(path)
    }
    fn sync_dir(&self, path: &Path) -> Result<()> {
        self.faults.folder_syncs.fetch_add(1, Ordering::SeqCst);
        DiskVfs.sync_dir(path)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        DiskVfs.hard_link(from, to)
    }
    fn space(&self, path: &Path) -> Result<Space> {
        DiskVfs.space(path)
    }
    fn random(&self) -> u64 {
        DiskVfs.random()
    }
    fn lock(&self, path: &Path) -> Result<Box<dyn LockGuard>> {
        DiskVfs.lock(path)
    }
}
