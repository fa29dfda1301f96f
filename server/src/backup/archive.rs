//! A backup as one file: a plain tar archive, which any tool can look into. What is inside carries its own checksums.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use elanus_engine::catalog::BACKUP_FILE;
use elanus_storage::{DiskVfs, Vfs};

use super::failed;
use crate::error::ApiError;

const BUFFER: usize = 1 << 20;
/// Nobody else reads an archive, or what comes out of one.
const FILE_MODE: u32 = 0o600;
const OTHERS: u32 = 0o077;

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
        DiskVfs.create_dir_all(folder).map_err(std::io::Error::other)?;
    }
    let created = OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(file)?;
    // A file that an earlier attempt had left keeps the mode it had.
    created.set_permissions(Permissions::from_mode(FILE_MODE))?;
    let mut archive = tar::Builder::new(BufWriter::with_capacity(BUFFER, created));
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
    DiskVfs.create_dir_all(into).map_err(std::io::Error::other)?;
    let mut archive = tar::Archive::new(BufReader::with_capacity(BUFFER, File::open(file)?));
    archive.set_mask(OTHERS);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_reads_an_archive_or_what_comes_out_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        std::fs::create_dir_all(from.join("images")).unwrap();
        for name in [BACKUP_FILE, "images/one"] {
            std::fs::write(from.join(name), "x").unwrap();
            // As earlier versions left them.
            std::fs::set_permissions(from.join(name), Permissions::from_mode(0o644)).unwrap();
        }
        let (archive, into) = (dir.path().join("backups/a.tar"), dir.path().join("into"));
        pack(&from, &archive).unwrap();
        unpack(&archive, &into).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&archive), 0o600);
        assert_eq!((mode(&into), mode(&into.join("images"))), (0o700, 0o700));
        assert_eq!((mode(&into.join(BACKUP_FILE)), mode(&into.join("images/one"))), (0o600, 0o600));
    }
}
