//! The real disk through `std::fs`.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::{DirEntry, LockGuard, Space, Vfs, VfsFile, VfsRead, parent};
use crate::error::{Result, StorageError};
use crate::mmap::Bytes;

/// What is stored is nobody's business but that of the user whom the program runs as; backups, too, which may lie
/// anywhere.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The operating system's files.
#[derive(Debug, Default, Clone, Copy)]
pub struct DiskVfs;

struct DiskFile {
    file: File,
    path: PathBuf,
}

#[derive(Debug)]
struct DiskLock {
    // The system gives the lock back when this is closed.
    _file: File,
}

impl LockGuard for DiskLock {}

fn wrap<T>(op: &'static str, path: &Path, result: io::Result<T>) -> Result<T> {
    result.map_err(|source| StorageError::io(op, path, source))
}

/// A thing that is not there counts as removed.
fn removed(op: &'static str, path: &Path, result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => wrap(op, path, other),
    }
}

/// After a sync that succeeded. When ext4 meets an error it turns read-only, and from then on its syncs say yes and do
/// nothing (`ext4_sync_file` in Linux): what was written before was not saved.
fn still_writable(file: &File) -> io::Result<()> {
    let flags = rustix::fs::fstatvfs(file)?.f_flag;
    if flags.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Err(io::ErrorKind::ReadOnlyFilesystem.into());
    }
    Ok(())
}

impl Vfs for DiskVfs {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let above = parent(path);
        if above != Path::new(".") {
            self.create_dir_all(above)?;
        }
        self.create_dir(path)?;
        self.sync_dir(above)
    }

    fn create_dir(&self, path: &Path) -> Result<()> {
        match DirBuilder::new().mode(FOLDER_MODE).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => wrap("create folder", path, other),
        }
    }

    fn create(&self, path: &Path) -> Result<Box<dyn VfsFile>> {
        let created = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(path);
        let file = wrap("create", path, created)?;
        Ok(Box::new(DiskFile { file, path: path.to_owned() }))
    }

    fn open_append(&self, path: &Path) -> Result<Box<dyn VfsFile>> {
        let opened = OpenOptions::new().create(true).append(true).mode(FILE_MODE).open(path);
        Ok(Box::new(DiskFile { file: wrap("open", path, opened)?, path: path.to_owned() }))
    }

    fn open_read(&self, path: &Path) -> Result<Box<dyn VfsRead>> {
        let file = wrap("open", path, File::open(path))?;
        Ok(Box::new(DiskFile { file, path: path.to_owned() }))
    }

    fn map(&self, path: &Path) -> Result<Bytes> {
        let file = wrap("open", path, File::open(path))?;
        wrap("map", path, Bytes::map(&file))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        wrap("rename", from, fs::rename(from, to))
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        wrap("link", from, fs::hard_link(from, to))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        removed("remove", path, fs::remove_file(path))
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        removed("remove folder", path, fs::remove_dir_all(path))
    }

    fn list(&self, path: &Path) -> Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in wrap("list", path, fs::read_dir(path))? {
            let entry = wrap("list", path, entry)?;
            let metadata = match entry.metadata() {
                // Removed between listing and looking: not there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => wrap("look at", &entry.path(), other)?,
            };
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry { name, is_dir: metadata.is_dir(), len: metadata.len() });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        wrap("look at", path, path.try_exists())
    }

    fn len(&self, path: &Path) -> Result<u64> {
        wrap("look at", path, fs::metadata(path)).map(|metadata| metadata.len())
    }

    fn sync_dir(&self, path: &Path) -> Result<()> {
        let folder = wrap("open folder", path, File::open(path))?;
        wrap("sync folder", path, folder.sync_all().and_then(|()| still_writable(&folder)))
    }

    fn space(&self, path: &Path) -> Result<Space> {
        let statistics = rustix::fs::statvfs(path).map_err(io::Error::from);
        let statistics = wrap("measure free space of", path, statistics)?;
        let bytes = |blocks: u64| blocks.saturating_mul(statistics.f_frsize);
        let reserved = statistics.f_bfree.saturating_sub(statistics.f_bavail);
        let total = bytes(statistics.f_blocks.saturating_sub(reserved));
        Ok(Space { free: bytes(statistics.f_bavail), total })
    }

    fn random(&self) -> u64 {
        // The standard library seeds each of these from the system's source of randomness.
        RandomState::new().build_hasher().finish()
    }

    fn lock(&self, path: &Path) -> Result<Box<dyn LockGuard>> {
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(FILE_MODE).open(path);
        let mut file = wrap("open", path, opened)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Who holds it is a courtesy: without it the refusal stands all the same.
                let _ = file.read_to_string(&mut owner);
                return Err(StorageError::Locked { path: path.to_owned(), owner: owner.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(StorageError::io("lock", path, error)),
        }
        let pid = format!("{}\n", std::process::id());
        let written = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| file.write_all(pid.as_bytes()));
        wrap("write", path, written)?;
        Ok(Box::new(DiskLock { _file: file }))
    }
}

impl VfsFile for DiskFile {
    fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        wrap("write", &self.path, self.file.write_all(bytes))
    }

    fn rewrite(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        // Not through this handle: one opened for appending writes at the end, whatever the offset says.
        let other = wrap("open", &self.path, OpenOptions::new().write(true).open(&self.path))?;
        let mut at = &other;
        let written = at.seek(SeekFrom::Start(offset)).and_then(|_| at.write_all(bytes));
        wrap("write", &self.path, written)
    }

    fn sync(&mut self) -> Result<()> {
        wrap("sync", &self.path, self.file.sync_data().and_then(|()| still_writable(&self.file)))
    }

    fn truncate(&mut self, len: u64) -> Result<()> {
        wrap("truncate", &self.path, self.file.set_len(len))?;
        wrap("seek in", &self.path, self.file.seek(SeekFrom::Start(len))).map(drop)
    }
}

impl VfsRead for DiskFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize> {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(&self.file, into, offset);
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(&self.file, into, offset);
        match read {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.read_at(offset, into),
            other => wrap("read", &self.path, other),
        }
    }

    fn len(&self) -> Result<u64> {
        wrap("look at", &self.path, self.file.metadata()).map(|metadata| metadata.len())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn files_and_folders_are_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/b");
        DiskVfs.create_dir_all(&folder).unwrap();
        drop(DiskVfs.create(&folder.join("created")).unwrap());
        drop(DiskVfs.open_append(&folder.join("log")).unwrap());
        let _lock = DiskVfs.lock(&folder.join("LOCK")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir.path().join("a")), mode(&folder)), (0o700, 0o700));
        for name in ["created", "log", "LOCK"] {
            assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
        }
    }
}
