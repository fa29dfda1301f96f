//! A weights file that is not whole yet. One process at a time writes it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use elanus_embed::Network;

use super::{ModelError, Result, at};

/// An open, locked `.part` file of the folder.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    /// Opens what an earlier try has left, or makes an empty one, and the folder if need be.
    ///
    /// # Errors
    /// `Busy`, and what the disk says.
    pub(super) fn open(folder: &Path, network: Network, purpose: &str) -> Result<Self> {
        make(folder).map_err(at(folder))?;
        let path = folder.join(format!("{}-{purpose}.part", network.architecture()));
        let file = options().open(&path).map_err(at(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { path, file }),
            Err(TryLockError::WouldBlock) => Err(ModelError::Busy { path }),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Goes to its end, and says how many bytes are there.
    pub(super) fn seek_end(&mut self) -> Result<u64> {
        self.file.seek(SeekFrom::End(0)).map_err(at(&self.path))
    }

    /// Makes it empty.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(at(&self.path))
    }

    /// Makes it durable under another name of the same folder.
    pub(super) fn rename(&mut self, to: &Path) -> Result<()> {
        self.file.sync_all().and_then(|()| std::fs::rename(&self.path, to)).map_err(at(to))?;
        let folder = to.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
    }

    /// Removes it. Nobody is told if that fails: the next try begins with an empty one.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Makes the folder if it is not there; as all of a data directory, it is for nobody but its owner.
fn make(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.read(true).write(true).create(true).truncate(false);
    options
}
