//! The way back: a whole backup into an empty place, or one collection of it into a running server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elanus_engine::check::Severity;
use elanus_engine::{BackupInfo, Engine, EngineError};
use elanus_storage::data_dir::{self, DataDir};
use elanus_storage::{BlobStore, DiskVfs, StorageError, Vfs};

use super::make::copy_backup;
use super::{Staging, archive, failed, is_archive, one_at_a_time};
use crate::check;
use crate::error::ApiError;
use crate::images::ImageService;

/// A backup that became a data directory.
#[derive(Debug)]
pub(crate) struct Restored {
    /// What it holds.
    pub(crate) info: BackupInfo,
    /// What its rows name and it does not hold, a sentence each.
    pub(crate) missing: Vec<String>,
}

/// Makes `target`, which is not there or empty, the data directory that the backup `source` is. It is checked before it
/// appears. Blocking.
///
/// # Errors
/// 400 for a source that is no backup or a target that is taken; what the check finds; storage errors. The target is
/// then as it was.
pub(crate) fn restore_directory(source: &Path, target: &Path) -> Result<Restored, ApiError> {
    // Without a slash at its end, so that the folder beside it is beside it.
    let target: &Path = &target.components().collect::<PathBuf>();
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
        let missing = require_sound(&staging, &info)?;
        std::fs::remove_file(staging.join(elanus_engine::catalog::BACKUP_FILE))
            .and_then(|()| std::fs::rename(&staging, target))
            .map_err(|error| failed("rename", &staging, &error))?;
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        DiskVfs.sync_dir(folder)?;
        Ok(Restored { info, missing })
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
        let _nobody_changes_it = lock(source)?;
        copy_backup(&DiskVfs, source, staging)?;
        Ok(info)
    }
}

/// Keeps servers away from a backup folder while it is read. One on a disk that can't be written to needs none.
fn lock(source: &Path) -> Result<Option<DataDir>, ApiError> {
    match data_dir::open_to_examine(Arc::new(DiskVfs), source) {
        Ok(held) => Ok(Some(held)),
        Err(error @ StorageError::Locked { .. }) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Whether the folder is whole and holds what the backup says. What its rows only name, and the server that was backed up
/// did not have, is no reason to keep everything else from coming back: it is told.
fn require_sound(folder: &Path, info: &BackupInfo) -> Result<Vec<String>, ApiError> {
    let report = check::examine(folder, false)?;
    let damaged = |what: String| Err(ApiError::invalid(format!("the backup is damaged: {what}")));
    if let Some(finding) = report.findings.iter().find(|f| f.severity == Severity::Damage) {
        return damaged(format!("{}: {}", finding.path.display(), finding.what));
    }
    let described: BTreeMap<String, u64> =
        info.collections.iter().map(|c| (c.name.clone(), c.rows)).collect();
    if report.rows_of != described {
        return damaged(format!("it should hold {described:?} and holds {:?}", report.rows_of));
    }
    for (name, files) in &info.files {
        let found = BlobStore::open(Arc::new(DiskVfs), &folder.join(name))?.list()?.len() as u64;
        if found < *files {
            return damaged(format!("{name} holds {found} files of {files}"));
        }
    }
    let missing = report.findings.into_iter().filter(|f| f.severity == Severity::Missing);
    let below = |path: &Path| path.strip_prefix(folder).unwrap_or(path).display().to_string();
    Ok(missing.map(|finding| format!("{}: {}", below(&finding.path), finding.what)).collect())
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
    let _one_at_a_time = one_at_a_time()?;
    let (staging, _nobody_changes_it);
    let folder = if is_archive(source) {
        let len = std::fs::metadata(source).map_err(|error| failed("look at", source, &error))?.len();
        engine.quota().admit(len)?;
        staging = Staging::new(root)?;
        archive::unpack(source, &staging.path)?;
        staging.path.as_path()
    } else {
        _nobody_changes_it = lock(source)?;
        source
    };
    let info = BackupInfo::load(&DiskVfs, folder)?;
    if !info.collections.iter().any(|collection| collection.name == name) {
        return Err(ApiError::invalid(format!("the backup holds no collection {name}")));
    }
    if engine.names().iter().any(|taken| taken == new_name) {
        return Err(EngineError::CollectionExists { name: new_name.to_owned() }.into());
    }
    // From before the originals are there until their rows are.
    let kept = images.keep_originals();
    images.take_originals(folder)?;
    let restored = engine.restore(&DiskVfs, folder, name, new_name);
    drop(kept);
    // What the collection does not refer to goes again, also when it could not be restored.
    images.request_sweep();
    Ok(restored?.count())
}
