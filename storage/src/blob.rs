//! Originals by content: `<root>/<aa>/<sha256>`, where `aa` are the first two digits. A name is a digest and nothing
//! else, so no client's file name ever becomes a path, equal files are stored once, and a file can be checked against
//! its own name.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::error::Result;
use crate::mmap::Bytes;
use crate::vfs::{TEMPORARY_SUFFIX, Vfs, sweep_temporary};

/// SHA-256 of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// That of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 digest: expected 64 lower-case hexadecimal digits")]
pub struct InvalidDigest;

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(InvalidDigest);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

fn nibble(digit: u8) -> Result<u8, InvalidDigest> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(InvalidDigest),
    }
}

/// A folder of originals.
#[derive(Debug)]
pub struct BlobStore {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
    /// Makes names of temporary files unique, so that two writers of one content don't share one.
    writes: AtomicU64,
    bytes: AtomicU64,
    /// Folders, by first byte of the digest, whose names this process has made durable.
    folders: [AtomicBool; 256],
}

impl BlobStore {
    /// Opens or makes the folder and sweeps what a crash left half-written.
    ///
    /// # Errors
    /// `Io`.
    pub fn open(vfs: Arc<dyn Vfs>, root: &Path) -> Result<Self> {
        vfs.create_dir_all(root)?;
        let mut bytes = 0;
        for entry in vfs.list(root)?.iter().filter(|entry| entry.is_dir) {
            let folder = root.join(&entry.name);
            sweep_temporary(vfs.as_ref(), &folder)?;
            bytes += vfs.list(&folder)?.iter().map(|file| file.len).sum::<u64>();
        }
        let folders = std::array::from_fn(|_| AtomicBool::new(false));
        Ok(Self {
            vfs,
            root: root.to_owned(),
            writes: AtomicU64::new(0),
            bytes: AtomicU64::new(bytes),
            folders,
        })
    }

    /// Stores bytes under their digest; durable when it returns. Content that is there already is left alone.
    ///
    /// # Errors
    /// `Io`.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        self.put_named(&[(digest, bytes)])?;
        Ok(digest)
    }

    /// Stores several contents; folders are synced once for all of them.
    ///
    /// # Errors
    /// `Io`; some may be stored then, which does no harm.
    pub fn put_many(&self, contents: &[&[u8]]) -> Result<Vec<Digest>> {
        let named: Vec<(Digest, &[u8])> = contents.iter().map(|bytes| (Digest::of(bytes), *bytes)).collect();
        self.put_named(&named)?;
        Ok(named.into_iter().map(|(digest, _)| digest).collect())
    }

    /// As [`BlobStore::put_many`], for callers that have hashed already. The digests must be those of the bytes.
    ///
    /// # Errors
    /// `Io`.
    pub fn put_named(&self, contents: &[(Digest, &[u8])]) -> Result<()> {
        let mut folders = BTreeSet::new();
        for (digest, bytes) in contents {
            debug_assert_eq!(*digest, Digest::of(bytes));
            let path = self.path(digest);
            let folder = self.folder(digest);
            self.ensure_folder(digest)?;
            // The name may be there but not yet durable (another writer is between rename and sync): sync it anyway.
            if !self.vfs.exists(&path)? {
                self.write(&path, bytes)?;
            }
            folders.insert(folder);
        }
        folders.iter().try_for_each(|folder| self.vfs.sync_dir(folder))
    }

    /// The bytes of a digest; `None` when they are not here.
    ///
    /// # Errors
    /// `Io`.
    pub fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        match self.vfs.read(&self.path(digest)) {
            Err(error) if error.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    }

    /// The same, mapped: they take no memory of this process's own, however long they are held.
    ///
    /// # Errors
    /// `Io`.
    pub fn map(&self, digest: &Digest) -> Result<Option<Bytes>> {
        match self.vfs.map(&self.path(digest)) {
            Err(error) if error.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    }

    /// Whether a digest is here.
    ///
    /// # Errors
    /// `Io`.
    pub fn contains(&self, digest: &Digest) -> Result<bool> {
        self.vfs.exists(&self.path(digest))
    }

    /// Removes a digest; one that is not here is no error.
    ///
    /// # Errors
    /// `Io`.
    pub fn remove(&self, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        let len = match self.vfs.len(&path) {
            Err(error) if error.is_not_found() => return Ok(()),
            other => other?,
        };
        self.vfs.remove_file(&path)?;
        // Two removals of one content at a time may both count it: an estimate, made exact by the next start.
        let _ =
            self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| Some(n.saturating_sub(len)));
        Ok(())
    }

    /// Bytes of all contents, closely.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Where a digest's content lies, for those who link or map it.
    pub fn path_of(&self, digest: &Digest) -> PathBuf {
        self.path(digest)
    }

    /// All digests, ascending.
    ///
    /// # Errors
    /// `Io`.
    pub fn list(&self) -> Result<Vec<Digest>> {
        let mut digests = Vec::new();
        for folder in self.vfs.list(&self.root)?.iter().filter(|entry| entry.is_dir) {
            let entries = self.vfs.list(&self.root.join(&folder.name))?;
            digests.extend(entries.iter().filter_map(|entry| entry.name.parse::<Digest>().ok()));
        }
        digests.sort_unstable();
        Ok(digests)
    }

    /// Makes the folder of a digest, durably. One that is there already may have been made a moment ago by another
    /// writer, or by a process killed before it synced the root: its name is synced once by each process.
    fn ensure_folder(&self, digest: &Digest) -> Result<()> {
        let durable = &self.folders[usize::from(digest.0[0])];
        if !durable.load(Ordering::Acquire) {
            self.vfs.create_dir_all(&self.folder(digest))?;
            self.vfs.sync_dir(&self.root)?;
            durable.store(true, Ordering::Release);
        }
        Ok(())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}{TEMPORARY_SUFFIX}"));
        let temporary = PathBuf::from(name);
        let written = self.vfs.create(&temporary).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync()
        });
        let placed = written.and_then(|()| self.vfs.rename(&temporary, path));
        if placed.is_ok() {
            self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        } else {
            // Best effort: what stays is swept at the next start.
            let _ = self.vfs.remove_file(&temporary);
        }
        placed
    }

    fn folder(&self, digest: &Digest) -> PathBuf {
        self.root.join(format!("{:02x}", digest.0[0]))
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder(digest).join(digest.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::DiskVfs;

    #[test]
    fn content_is_stored_once_and_found_by_digest() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(Arc::new(DiskVfs), dir.path()).unwrap();
        let digest = store.put(b"one").unwrap();
        assert_eq!(store.put_many(&[b"one", b"two", b"one"]).unwrap()[0], digest);
        assert_eq!(store.list().unwrap().len(), 2);
        assert_eq!(store.get(&digest).unwrap().as_deref(), Some(&b"one"[..]));
        let mapped = store.map(&digest).unwrap().unwrap();
        store.remove(&digest).unwrap();
        store.remove(&digest).unwrap();
        assert!(mapped.is_mapped() && mapped[..] == *b"one", "a map outlives the name");
        assert_eq!(store.get(&digest).unwrap(), None);
        assert!(store.map(&digest).unwrap().is_none());
        assert!(!store.contains(&digest).unwrap());
    }

    #[test]
    fn left_overs_are_swept_and_are_no_content() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(Arc::new(DiskVfs), dir.path()).unwrap();
        let digest = store.put(b"one").unwrap();
        let folder = dir.path().join(&digest.to_string()[..2]);
        std::fs::write(folder.join(format!("{digest}.7.tmp")), b"half").unwrap();
        let store = BlobStore::open(Arc::new(DiskVfs), dir.path()).unwrap();
        assert_eq!(store.list().unwrap(), [digest]);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn digests_are_read_strictly() {
        let digest = Digest::of(b"x");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in ["", "../../../etc/passwd", &digest.to_string().to_uppercase(), &digest.to_string()[1..]]
        {
            assert_eq!(wrong.parse::<Digest>(), Err(InvalidDigest));
        }
    }
}
