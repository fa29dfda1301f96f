//! The only door to the disk. Each method says what is durable when it returns; nothing above this trait calls the
//! operating system about files. The real disk is [`DiskVfs`]; tests put failing doors in front of it.

mod disk;
#[cfg(feature = "sim")]
pub mod sim;

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
    /// Makes a folder where it is missing, below one that is there. Durable after [`Vfs::sync_dir`] of the folder above:
    /// for several names that only count together, which one sync makes durable.
    ///
    /// # Errors
    /// `Io`.
    fn create_dir(&self, path: &Path) -> Result<()>;
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
    /// Opens a file to read parts of it, without mapping it.
    ///
    /// # Errors
    /// `Io`; a missing file is one with [`is_not_found`](crate::StorageError::is_not_found).
    fn open_read(&self, path: &Path) -> Result<Box<dyn VfsRead>>;
    /// The whole content of a file.
    ///
    /// # Errors
    /// As [`Vfs::open_read`].
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let file = self.open_read(path)?;
        let mut bytes = vec![0; file.len()? as usize];
        let read = read_full_at(file.as_ref(), 0, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }
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
    /// Gives a file that will never change again a second name. Durable after [`Vfs::sync_dir`] of the folder of `to`.
    ///
    /// # Errors
    /// `Io`, for example because the two lie on different disks ([`StorageError::is_unlinkable`]).
    ///
    /// [`StorageError::is_unlinkable`]: crate::StorageError::is_unlinkable
    fn hard_link(&self, from: &Path, to: &Path) -> Result<()>;
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
    /// The disk under `path`.
    ///
    /// # Errors
    /// `Io`.
    fn space(&self, path: &Path) -> Result<Space>;
    /// A number that nobody outside can foresee.
    fn random(&self) -> u64;
    /// Takes an exclusive lock, held until the guard is dropped or the process ends. The file then holds the pid.
    ///
    /// # Errors
    /// `Locked` when somebody has it.
    fn lock(&self, path: &Path) -> Result<Box<dyn LockGuard>>;
}

/// Room on a disk, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this user may still write.
    pub free: u64,
    /// What the disk holds at most.
    pub total: u64,
}

/// A file being read.
pub trait VfsRead: Send + Sync {
    /// Reads from `offset` on and returns how many bytes came, as the system does: maybe fewer than asked for; 0 at the
    /// end.
    ///
    /// # Errors
    /// `Io`.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize>;
    /// Bytes in the file now.
    ///
    /// # Errors
    /// `Io`.
    fn len(&self) -> Result<u64>;
    /// Whether it holds nothing now.
    ///
    /// # Errors
    /// `Io`.
    fn is_empty(&self) -> Result<bool> {
        self.len().map(|len| len == 0)
    }
}

/// Reads until `into` is full or the file ends; returns how many bytes came.
///
/// # Errors
/// `Io`.
pub fn read_full_at(file: &dyn VfsRead, offset: u64, into: &mut [u8]) -> Result<usize> {
    let mut read = 0;
    while read < into.len() {
        match file.read_at(offset + read as u64, &mut into[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

/// Copies a file that no longer changes; durable when it returns, its name after [`Vfs::sync_dir`]. Returns its length
/// and CRC32C.
///
/// # Errors
/// `Io`.
pub fn copy_file(from_vfs: &dyn Vfs, from: &Path, to_vfs: &dyn Vfs, to: &Path) -> Result<(u64, u32)> {
    let source = from_vfs.open_read(from)?;
    let mut target = to_vfs.create(to)?;
    let (mut offset, mut crc) = (0u64, 0);
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = read_full_at(source.as_ref(), offset, &mut buffer)?;
        if read == 0 {
            break;
        }
        crc = crc32c::crc32c_append(crc, &buffer[..read]);
        target.write_all(&buffer[..read])?;
        offset += read as u64;
    }
    target.sync()?;
    Ok((offset, crc))
}

const COPY_BYTES: usize = 1 << 20;

/// A file being written.
pub trait VfsFile: Send {
    /// Appends bytes. Not durable before [`VfsFile::sync`].
    ///
    /// # Errors
    /// `Io`; a part may have been written.
    fn write_all(&mut self, bytes: &[u8]) -> Result<()>;
    /// Writes over bytes that are there. The end of the file, where [`VfsFile::write_all`] goes on, stays where it is.
    ///
    /// # Errors
    /// `Io`.
    fn rewrite(&mut self, offset: u64, bytes: &[u8]) -> Result<()>;
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
/// `Io`; then the old content is still there, unless only the sync of the folder failed: then the new one is there and
/// the old one may be after a crash.
pub fn write_atomic(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(vfs, path)?;
    file.write(bytes)?;
    file.finish().map(drop)
}

/// A file that appears at its place whole, or not at all. Dropped before [`AtomicFile::finish`], it leaves nothing.
pub struct AtomicFile<'a> {
    vfs: &'a dyn Vfs,
    file: Box<dyn VfsFile>,
    path: PathBuf,
    temporary: PathBuf,
    placed: bool,
    len: u64,
    crc: u32,
}

impl<'a> AtomicFile<'a> {
    /// Starts a file that will lie at `path`.
    ///
    /// # Errors
    /// `Io`.
    pub fn create(vfs: &'a dyn Vfs, path: &Path) -> Result<Self> {
        let temporary = temporary_path(path);
        let file = vfs.create(&temporary)?;
        Ok(Self { vfs, file, path: path.to_owned(), temporary, placed: false, len: 0, crc: 0 })
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// `Io`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes)?;
        self.len += bytes.len() as u64;
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        Ok(())
    }

    /// Syncs, renames into place, syncs the folder. Returns length and CRC32C of the whole.
    ///
    /// # Errors
    /// As [`write_atomic`].
    pub fn finish(mut self) -> Result<(u64, u32)> {
        self.file.sync()?;
        self.vfs.rename(&self.temporary, &self.path)?;
        self.placed = true;
        self.vfs.sync_dir(parent(&self.path))?;
        Ok((self.len, self.crc))
    }
}

impl Drop for AtomicFile<'_> {
    fn drop(&mut self) {
        if !self.placed {
            // Best effort: what stays is swept at the next start.
            let _ = self.vfs.remove_file(&self.temporary);
        }
    }
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
