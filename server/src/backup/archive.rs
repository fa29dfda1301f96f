//! A backup as one file: a plain tar archive, which any tool can look into. What is inside carries its own checksums.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use elanus_engine::catalog::BACKUP_FILE;
use elanus_storage::{DiskVfs, Vfs};

use super::failed;
use crate::error::ApiError;

const BUFFER: usize = 1 << 20;

/// Packs the folder `from` into the file `target`, which appears whole or not at all.
pub(super) fn pack(from: &Path, target: &Path) -> Result<(), ApiError> {
    let mut name = target.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    let packed = pack_into(from, &temporary)
        .and_then(|()| std::fs::rename(&temporary, target))
        .map_err(|error| failed("pack", target, &error));
    if packed.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    packed?;
    let folder = target.parent().unwrap_or(Path::new("/"));
    Ok(DiskVfs.sync_dir(folder)?)
}

fn pack_into(from: &Path, file: &Path) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut archive = tar::Builder::new(BufWriter::with_capacity(BUFFER, File::create(file)?));
    // Hard links to one file become two whole copies: an archive stands for itself.
    for entry in DiskVfs.list(from).map_err(std::io::Error::other)? {
        let path = from.join(&entry.name);
        if entry.is_dir {
            archive.append_dir_all(&entry.name, path)?;
        } else if entry.name != BACKUP_FILE {
            archive.append_path_with_name(path, &entry.name)?;
        }
    }
    // Last: an archive that was cut off holds no finished backup.
    archive.append_path_with_name(from.join(BACKUP_FILE), BACKUP_FILE)?;
    let mut writer = archive.into_inner()?;
    writer.flush()?;
    writer.get_ref().sync_all()
}

/// Unpacks the archive `file` into the folder `into`. Anything but files and folders below it is refused.
pub(super) fn unpack(file: &Path, into: &Path) -> Result<(), ApiError> {
    let unpacked = unpack_into(file, into);
    unpacked.map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::Other => {
            // Its own words quote what it found, which can be anything.
            ApiError::invalid(format!("{} is no whole archive of a backup", file.display()))
        }
        _ => failed("unpack", file, &error),
    })
}

fn unpack_into(file: &Path, into: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(into)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(BUFFER, File::open(file)?));
    let mut entries = 0;
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let refuse =
            |reason: &str| Err(std::io::Error::new(std::io::ErrorKind::InvalidData, reason.to_owned()));
        if !kind.is_file() && !kind.is_dir() {
            return refuse("it holds something that is neither file nor folder");
        }
        if !entry.unpack_in(into)? {
            return refuse("it holds a path that leads out of it");
        }
        entries += 1;
    }
    if entries == 0 {
        return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "it is empty"));
    }
    sync_tree(into)
}

/// Makes a folder with all it holds durable.
fn sync_tree(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path)?.sync_all()?;
        }
    }
    DiskVfs.sync_dir(folder).map_err(std::io::Error::other)
}
