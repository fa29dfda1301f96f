//! The only door to the disk. Each method says what is durable when it returns; nothing above this trait calls the
//! operating system about files. The real disk is [`DiskVfs`]; tests put failing doors in front of it.

mod disk;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

pub use disk::DiskVfs;

use crate::error::Result;
use crate::mmap::Bytes;

/// Files end in this while they are being written; what still does after a crash is swept.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// Last part of the path; names that are not UTF-8 are left out of listings (this crate makes none).
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Bytes in the file.
    pub len: u64,
}

/// Files and folders.
pub trait Vfs: Send + Sync + Debug {
    /// Makes a folder and its parents where missing. Durable: every parent it added to is synced.
    ///
    /// # Errors
    /// `Io`, as all methods.
    fn create_dir_all(&self, path: &Path) -> Result<()>;
    /// Makes an empty file, or empties an existing one. Not durable before [`VfsFile::sync`] and [`Vfs::sync_dir`].
    ///
    /// # Errors
    /// `Io`.
    fn create(&self, path: &Path) -> Result<Box<dyn VfsFile>>;
    /// Opens a file to write at its end, making it where missing. Not durable, as [`Vfs::create`].
    ///
    /// # Errors
    /// `Io`.
    fn open_append(&self, path: &Path) -> Result<Box<dyn VfsFile>>;
    /// The whole content of a file.
    ///
    /// # Errors
    /// `Io`; a missing file is one with [`is_not_found`](crate::StorageError::is_not_found).
    fn read(&self, path: &Path) -> Result<Vec<u8>>;
    /// Maps a file that will never change again. It may be removed while mapped.
    ///
    /// # Errors
    /// `Io`.
    fn map(&self, path: &Path) -> Result<Bytes>;
    /// Renames a file over another one, atomically for readers. Durable after [`Vfs::sync_dir`] of the folder.
    ///
    /// # Errors
    /// `Io`.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Removes a file. Durable after [`Vfs::sync_dir`]. A file that is not there is no error.
    ///
    /// # Errors
    /// `Io`.
    fn remove_file(&self, path: &Path) -> Result<()>;
    /// Removes a folder with all it holds. A folder that is not there is no error. Not atomic: a crash may leave a part.
    ///
    /// # Errors
    /// `Io`.
    fn remove_dir_all(&self, path: &Path) -> Result<()>;
    /// Names in a folder, sorted.
    ///
    /// # Errors
    /// `Io`.
    fn list(&self, path: &Path) -> Result<Vec<DirEntry>>;
    /// Whether a file or folder is there.
    ///
    /// # Errors
    /// `Io`.
    fn exists(&self, path: &Path) -> Result<bool>;
    /// Bytes in a file.
    ///
    /// # Errors
    /// `Io`.
    fn len(&self, path: &Path) -> Result<u64>;
    /// Makes names added to, renamed in and removed from a folder durable.
    ///
    /// # Errors
    /// `Io`.
    fn sync_dir(&self, path: &Path) -> Result<()>;
    /// Bytes that this user may still write to the disk under `path`.
    ///
    /// # Errors
    /// `Io`.
    fn free_space(&self, path: &Path) -> Result<u64>;
    /// Takes an exclusive lock, held until the guard is dropped or the process ends. The file then holds the pid.
    ///
    /// # Errors
    /// `Locked` when somebody has it.
    fn lock(&self, path: &Path) -> Result<Box<dyn LockGuard>>;
}

/// A file being written.
pub trait VfsFile: Send {
    /// Appends bytes. Not durable before [`VfsFile::sync`].
    ///
    /// # Errors
    /// `Io`; a part may have been written.
    fn write_all(&mut self, bytes: &[u8]) -> Result<()>;
    /// Makes all bytes written so far durable, and the length. After an error nothing is known about them.
    ///
    /// # Errors
    /// `Io`.
    fn sync(&mut self) -> Result<()>;
    /// Cuts the file, or what follows `len` of it. Durable after [`VfsFile::sync`].
    ///
    /// # Errors
    /// `Io`.
    fn truncate(&mut self, len: u64) -> Result<()>;
}

/// Gives a lock back when dropped.
pub trait LockGuard: Send + Sync + Debug {}

/// Writes a whole file so that after a crash either the old content or the new one is there, never a mixture. Durable
/// when it returns.
///
/// # Errors
/// `Io`; then the old content is still there.
pub fn write_atomic(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_path(path);
    let written = write_and_rename(vfs, &temporary, path, bytes);
    if written.is_err() {
        // Best effort: what stays is swept at the next start, and the first error says more than this one.
        let _ = vfs.remove_file(&temporary);
    }
    written
}

fn write_and_rename(vfs: &dyn Vfs, temporary: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = vfs.create(temporary)?;
    file.write_all(bytes)?;
    file.sync()?;
    drop(file);
    vfs.rename(temporary, path)?;
    vfs.sync_dir(parent(path))
}

/// Removes files in `dir` that a crash left half-written.
///
/// # Errors
/// `Io`.
pub fn sweep_temporary(vfs: &dyn Vfs, dir: &Path) -> Result<usize> {
    let mut swept = 0;
    for entry in vfs.list(dir)? {
        if !entry.is_dir && entry.name.ends_with(TEMPORARY_SUFFIX) {
            vfs.remove_file(&dir.join(&entry.name))?;
            swept += 1;
        }
    }
    Ok(swept)
}

pub(crate) fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TEMPORARY_SUFFIX);
    PathBuf::from(name)
}

pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
