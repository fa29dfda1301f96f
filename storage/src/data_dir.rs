//! The data directory: one process at a time, one format version. Whoever holds a [`DataDir`] owns everything below it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Result, StorageError};
use crate::vfs::{DiskVfs, LockGuard, Vfs, sweep_temporary, write_atomic};

const LOCK: &str = "LOCK";
const FORMAT: &str = "FORMAT";
/// Folder that may be there before anything else: weights files are put there by hand.
const MODELS: &str = "models";
const FORMAT_PREFIX: &str = "elanus data format ";
/// Version of the directory's layout.
pub const FORMAT_VERSION: u32 = 1;

/// An open data directory, locked until dropped.
#[derive(Debug)]
pub struct DataDir {
    vfs: Arc<dyn Vfs>,
    root: PathBuf,
    /// None where the disk can't be written to: then nobody works on it.
    _lock: Option<Box<dyn LockGuard>>,
}

impl DataDir {
    /// The door to its files.
    pub fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.vfs
    }

    /// Its path.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Opens or makes a data directory on the real disk.
///
/// # Errors
/// As [`open_on`].
pub fn open(root: &Path) -> Result<DataDir> {
    open_on(Arc::new(DiskVfs), root)
}

/// Opens or makes a data directory.
///
/// # Errors
/// `Locked` when another process has it, `UnsupportedVersion` when a newer program made it, `NotADataDir` when it holds
/// something else, `Corrupt` when its stamp is damaged, `Io`.
pub fn open_on(vfs: Arc<dyn Vfs>, root: &Path) -> Result<DataDir> {
    vfs.create_dir_all(root)?;
    let lock = vfs.lock(&root.join(LOCK))?;
    let stamp = root.join(FORMAT);
    if vfs.exists(&stamp)? {
        check_stamp(&stamp, &vfs.read(&stamp)?)?;
    } else {
        refuse_foreign(vfs.as_ref(), root)?;
        self::stamp(vfs.as_ref(), root)?;
    }
    sweep_temporary(vfs.as_ref(), root)?;
    Ok(DataDir { vfs, root: root.to_owned(), _lock: Some(lock) })
}

/// Makes a folder that is not in use into an empty data directory, without taking it.
///
/// # Errors
/// `Io`.
pub fn stamp(vfs: &dyn Vfs, root: &Path) -> Result<()> {
    vfs.create_dir_all(root)?;
    write_atomic(vfs, &root.join(FORMAT), format!("{FORMAT_PREFIX}{FORMAT_VERSION}\n").as_bytes())
}

/// Takes a data directory to examine it: it must be there, and nothing in it is changed.
///
/// # Errors
/// As [`open_on`]; `NotADataDir` when there is none.
pub fn open_to_examine(vfs: Arc<dyn Vfs>, root: &Path) -> Result<DataDir> {
    let stamp = root.join(FORMAT);
    if !vfs.exists(&stamp)? {
        let reason = "no Elanus data directory".to_owned();
        return Err(StorageError::NotADataDir { path: root.to_owned(), reason });
    }
    let lock = match vfs.lock(&root.join(LOCK)) {
        Err(StorageError::Io { source, .. }) if source.kind() == ErrorKind::ReadOnlyFilesystem => None,
        other => Some(other?),
    };
    check_stamp(&stamp, &vfs.read(&stamp)?)?;
    Ok(DataDir { vfs, root: root.to_owned(), _lock: lock })
}

/// A folder without our stamp is only taken when it is empty: it may hold somebody's files.
fn refuse_foreign(vfs: &dyn Vfs, root: &Path) -> Result<()> {
    let ours = [LOCK, FORMAT, "FORMAT.tmp", MODELS];
    match vfs.list(root)?.iter().find(|entry| !ours.contains(&entry.name.as_str())) {
        Some(foreign) => {
            let reason = format!("no Elanus data directory, and not empty: it holds {:?}", foreign.name);
            Err(StorageError::NotADataDir { path: root.to_owned(), reason })
        }
        None => Ok(()),
    }
}

fn check_stamp(path: &Path, bytes: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    match text.strip_prefix(FORMAT_PREFIX).and_then(|version| version.trim().parse().ok()) {
        Some(FORMAT_VERSION) => Ok(()),
        Some(found) => {
            Err(StorageError::UnsupportedVersion { path: path.to_owned(), found, supported: FORMAT_VERSION })
        }
        None => Err(StorageError::corrupt(path, 0, "no stamp of an Elanus data directory")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(dir.path()).unwrap();
        let refused = open(dir.path()).unwrap_err();
        assert!(
            matches!(refused, StorageError::Locked { owner: Some(pid), .. } if pid == std::process::id()),
            "{refused}"
        );
        drop(first);
        open(dir.path()).unwrap();
    }

    #[test]
    fn a_folder_with_somebodys_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("thesis.tmp"), b"years of work").unwrap();
        assert!(matches!(open(dir.path()), Err(StorageError::NotADataDir { .. })));
        assert_eq!(std::fs::read(dir.path().join("thesis.tmp")).unwrap(), b"years of work");
    }

    #[test]
    fn another_format_is_refused_and_left_overs_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()).unwrap());
        std::fs::write(dir.path().join("catalog.tmp"), b"half").unwrap();
        drop(open(dir.path()).unwrap());
        assert!(!dir.path().join("catalog.tmp").exists());
        std::fs::write(dir.path().join(FORMAT), b"elanus data format 2\n").unwrap();
        assert!(matches!(open(dir.path()), Err(StorageError::UnsupportedVersion { found: 2, .. })));
        std::fs::write(dir.path().join(FORMAT), b"a diary").unwrap();
        assert!(matches!(open(dir.path()), Err(StorageError::Corrupt { .. })));
    }
}
