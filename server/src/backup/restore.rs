//! The way back: a whole backup into an empty place, or one collection of it into a running server.

use std::path::{Path, PathBuf};

use elanus_engine::{BackupInfo, Engine, EngineError};
use elanus_storage::{DiskVfs, Vfs};

use super::make::copy_tree;
use super::{Staging, archive, failed, is_archive};
use crate::check;
use crate::error::ApiError;
use crate::images::ImageService;

/// Makes `target`, which is not there or empty, the data directory that the backup `source` is. It is checked before it
/// appears. Blocking.
///
/// # Errors
/// 400 for a source that is no backup or a target that is taken; what the check finds; storage errors. The target is
/// then as it was.
pub(crate) fn restore_directory(source: &Path, target: &Path) -> Result<BackupInfo, ApiError> {
    if target.exists() && target.read_dir().map_or(true, |mut entries| entries.next().is_some()) {
        return Err(ApiError::invalid(format!("{} exists and is not empty", target.display())));
    }
    let mut name = target.as_os_str().to_owned();
    name.push(".restoring");
    let staging = PathBuf::from(name);
    if staging.exists() {
        return Err(ApiError::invalid(format!(
            "{} exists: another restore, or one that was stopped; remove it first",
            staging.display()
        )));
    }
    let restored = fill(source, &staging).and_then(|info| {
        require_sound(&staging)?;
        std::fs::remove_file(staging.join(elanus_engine::catalog::BACKUP_FILE))
            .and_then(|()| std::fs::rename(&staging, target))
            .map_err(|error| failed("rename", &staging, &error))?;
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DiskVfs.sync_dir(folder).map_err(EngineError::from)?;
        Ok(info)
    });
    if restored.is_err() {
        let _ = std::fs::remove_dir_all(&staging);
    }
    restored
}

fn fill(source: &Path, staging: &Path) -> Result<BackupInfo, ApiError> {
    if is_archive(source) {
        archive::unpack(source, staging)?;
        BackupInfo::load(&DiskVfs, staging).map_err(ApiError::from)
    } else {
        let info = BackupInfo::load(&DiskVfs, source)?;
        copy_tree(&DiskVfs, source, staging)?;
        Ok(info)
    }
}

fn require_sound(folder: &Path) -> Result<(), ApiError> {
    let report = check::examine(folder, false)?;
    match report.findings.iter().find(|f| f.severity == elanus_engine::check::Severity::Damage) {
        Some(finding) => Err(ApiError::invalid(format!("the backup is damaged: {}", finding.what))),
        None => Ok(()),
    }
}

/// Takes collection `name` of the backup `source` into a running engine as `new_name`; returns its rows. Blocking.
///
/// # Errors
/// 400 for a source that is no backup or has no such collection; 409 when the name is taken; what the check finds;
/// engine and storage errors.
pub(crate) fn restore_collection(
    engine: &Engine,
    images: &ImageService,
    root: &Path,
    source: &Path,
    name: &str,
    new_name: &str,
) -> Result<u64, ApiError> {
    if !source.is_absolute() {
        return Err(ApiError::invalid(format!("{} is no absolute path", source.display())));
    }
    let staging;
    let folder = if is_archive(source) {
        staging = Staging::new(root)?;
        archive::unpack(source, &staging.path)?;
        staging.path.as_path()
    } else {
        source
    };
    // From before the originals are there until their rows are.
    let _kept = images.keep_originals();
    images.take_originals(&folder.join("images"))?;
    let restored = engine.restore(&DiskVfs, folder, name, new_name);
    drop(_kept);
    // What the collection does not refer to goes again, also when it could not be restored.
    images.request_sweep();
    Ok(restored?.count())
}
