//! Making a backup: collections as they are at one moment, then the originals that their rows refer to.

use std::path::Path;

use elanus_engine::catalog::BACKUP_FILE;
use elanus_engine::{BackupInfo, Engine};
use elanus_storage::{DiskVfs, Resource, StorageError, Vfs, copy_file};

use super::{Staging, archive, failed, is_archive, one_at_a_time};
use crate::error::ApiError;
use crate::images::ImageService;

/// Bytes that a copy may need beyond what it copies.
const SPARE: u64 = 64 << 20;

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
    let _one_at_a_time = one_at_a_time()?;
    check_target(root, target)?;
    if is_archive(target) {
        require_room(engine, target)?;
    }
    let staging = Staging::new(root)?;
    // Rows of the copy refer to originals: none may be swept until it has them.
    let kept = images.keep_originals();
    let info = engine.backup(&staging.path, &mut |dir| images.link_originals(dir))?;
    drop(kept);
    if is_archive(target) {
        archive::pack(&staging.path, target)?;
    } else {
        publish(engine, &staging.path, target)?;
    }
    tracing::info!(target = %target.display(), collections = info.collections.len(), "backup made");
    Ok(info)
}

/// Whether a copy of everything fits onto the disk of `target`.
fn require_room(engine: &Engine, target: &Path) -> Result<(), ApiError> {
    let there = target.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/"));
    let space = DiskVfs.space(there)?;
    let (used, limit) = (engine.data_bytes().saturating_add(SPARE), space.free);
    if used > limit {
        return Err(StorageError::QuotaExceeded { resource: Resource::Disk, used, limit }.into());
    }
    Ok(())
}

fn check_target(root: &Path, target: &Path) -> Result<(), ApiError> {
    if !target.is_absolute() {
        return Err(ApiError::invalid(format!("{} is no absolute path", target.display())));
    }
    let there = target.ancestors().find_map(|path| path.canonicalize().ok());
    if let (Some(there), Ok(root)) = (there, root.canonicalize())
        && there.starts_with(root)
    {
        return Err(ApiError::invalid("a backup can't lie in the data directory"));
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
fn publish(engine: &Engine, from: &Path, target: &Path) -> Result<(), ApiError> {
    let vfs = DiskVfs;
    let folder = target.parent().unwrap_or(Path::new("/"));
    vfs.create_dir_all(folder)?;
    match std::fs::rename(from, target) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            require_room(engine, target)?;
            let copied = copy_backup(&vfs, from, target);
            if copied.is_err() {
                let _ = std::fs::remove_dir_all(target);
            }
            copied?;
        }
        Err(error) => return Err(failed("rename", from, &error)),
    }
    Ok(vfs.sync_dir(folder)?)
}

/// Copies a backup. The file that says that it is one comes last, when all else is durable.
pub(super) fn copy_backup(vfs: &dyn Vfs, from: &Path, to: &Path) -> Result<(), ApiError> {
    copy_tree(vfs, from, to, &[BACKUP_FILE])?;
    copy_file(vfs, &from.join(BACKUP_FILE), vfs, &to.join(BACKUP_FILE))?;
    Ok(vfs.sync_dir(to)?)
}

/// Copies a folder with all it holds but what is `left_out`; durable when it returns.
fn copy_tree(vfs: &dyn Vfs, from: &Path, to: &Path, left_out: &[&str]) -> Result<(), ApiError> {
    vfs.create_dir_all(to)?;
    for entry in vfs.list(from)?.into_iter().filter(|entry| !left_out.contains(&entry.name.as_str())) {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir {
            copy_tree(vfs, &from, &to, &[])?;
        } else {
            copy_file(vfs, &from, vfs, &to)?;
        }
    }
    Ok(vfs.sync_dir(to)?)
}
