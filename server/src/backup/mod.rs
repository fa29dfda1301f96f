//! Backups of a running server, and the way back. A backup is a complete data directory in a folder, or the same in one
//! archive file (tar). It is put together beside the data, by hard links where the disk allows it, and then moved,
//! copied or packed to where it is wanted; writers stop only for a moment. Nobody but the user whom the program runs as
//! can read it, wherever it lies.
//!
//! The command line asks a running server on its admin port ([`api`]); a server that does not run needs none.

mod api;
mod archive;
mod make;
mod request;
mod restore;

use std::path::{Path, PathBuf};

pub(crate) use api::{ADMIN_HEADER, routes};
pub(crate) use make::make;
pub(crate) use request::{BackupRequest, RestoreRequest};
pub(crate) use restore::{Restored, restore_collection, restore_directory};

use elanus_storage::{DiskVfs, Vfs as _};
use parking_lot::{Mutex, MutexGuard};

use crate::error::ApiError;

/// Folder in the data directory for what is being put together; emptied at each start.
const STAGING: &str = "staging";

/// Two at once would double what they need, and could mix at one target.
fn one_at_a_time() -> Result<MutexGuard<'static, ()>, ApiError> {
    static RUNNING: Mutex<()> = Mutex::new(());
    RUNNING.try_lock().ok_or_else(|| ApiError::unavailable("another backup or restore is under way"))
}

/// Whether a backup is one archive file, by its name.
fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tar"))
}

/// A fresh path for one backup or restore; what lies there is removed when this is dropped.
struct Staging {
    path: PathBuf,
}

impl Staging {
    fn new(root: &Path) -> Result<Self, ApiError> {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = root.join(STAGING);
        DiskVfs.create_dir_all(&folder)?;
        Ok(Self { path: folder.join(format!("{}-{number}", std::process::id())) })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Best effort: what stays is removed at the next start.
        let _ = std::fs::remove_dir_all(&self.path);
        let _ = self.path.parent().map(std::fs::remove_dir);
    }
}

/// Removes what an earlier process left in the middle.
pub(crate) fn sweep_staging(root: &Path) {
    let folder = root.join(STAGING);
    if folder.exists()
        && let Err(error) = std::fs::remove_dir_all(&folder)
    {
        tracing::warn!(%error, folder = %folder.display(), "an unfinished backup could not be removed");
    }
}

fn failed(what: &'static str, path: &Path, error: &std::io::Error) -> ApiError {
    let copy = std::io::Error::new(error.kind(), error.to_string());
    elanus_storage::StorageError::io(what, path, copy).into()
}
