//! Making a backup: collections as they are at one moment, then the originals that their rows refer to.

use std::path::Path;

use elanus_engine::{BackupInfo, Engine, EngineError};
use elanus_storage::{DiskVfs, Vfs, copy_file};

use super::{Staging, archive, failed, is_archive};
use crate::error::ApiError;
use crate::images::ImageService;

/// Puts a backup at `target`: a folder that is not there or empty, or a file that is not there and ends in `.tar`.
/// Durable when it returns. Blocking.
///
/// # Errors
/// 400 for a target that is taken or not absolute; engine and storage errors. Nothing is left at the target then.
pub(crate) fn make(
    engine: &Engine,
    images: &ImageService,
    root: &Path,
    target: &Path,
) -> Result<BackupInfo, ApiError> {
    check_target(target)?;
    let staging = Staging::new(root)?;
    // Rows of the copy refer to originals: none may be swept until it has them.
    let _kept = images.keep_originals();
    let info = engine.backup(&staging.path, &mut |dir| images.link_originals(&dir.join("images")))?;
    drop(_kept);
    if is_archive(target) {
        archive::pack(&staging.path, target)?;
    } else {
        publish(&staging.path, target)?;
    }
    tracing::info!(target = %target.display(), collections = info.collections.len(), "backup made");
    Ok(info)
}

fn check_target(target: &Path) -> Result<(), ApiError> {
    if !target.is_absolute() {
        return Err(ApiError::invalid(format!("{} is no absolute path", target.display())));
    }
    let taken = if is_archive(target) {
        target.exists()
    } else {
        target.exists() && target.read_dir().map_or(true, |mut entries| entries.next().is_some())
    };
    if taken {
        return Err(ApiError::invalid(format!("{} exists already", target.display())));
    }
    Ok(())
}

/// Moves a finished folder to its place; copies it where the place is on another disk.
fn publish(from: &Path, target: &Path) -> Result<(), ApiError> {
    let vfs = DiskVfs;
    let folder = target.parent().unwrap_or(Path::new("/"));
    vfs.create_dir_all(folder).map_err(EngineError::from)?;
    match std::fs::rename(from, target) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            let copied = copy_tree(&vfs, from, target);
            if copied.is_err() {
                let _ = std::fs::remove_dir_all(target);
            }
            copied?;
        }
        Err(error) => return Err(failed("rename", from, &error)),
    }
    Ok(vfs.sync_dir(folder).map_err(EngineError::from)?)
}

/// Copies a folder with all it holds; durable when it returns.
pub(super) fn copy_tree(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<(), ApiError> {
    vfs.create_dir_all(to).map_err(EngineError::from)?;
    for entry in vfs.list(from).map_err(EngineError::from)? {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir {
            copy_tree(vfs, &from, &to)?;
        } else {
            copy_file(vfs, &from, vfs, &to).map_err(EngineError::from)?;
        }
    }
    Ok(vfs.sync_dir(to).map_err(EngineError::from)?)
}
