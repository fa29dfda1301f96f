//! A weights file that is not whole yet. One process at a time writes it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
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
        Self::lock(folder.join(format!("{}-{purpose}.part", network.architecture())), |path| {
            options().open(path)
        })
    }

    fn lock(path: PathBuf, mut open: impl FnMut(&Path) -> io::Result<File>) -> Result<Self> {
        loop {
            let file = open(&path).map_err(at(&path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(ModelError::Busy { path }),
                Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
            }
            // Whoever had the lock may have given the file its final name since it was opened here: it is no part any more.
            if is_at(&file, &path).map_err(at(&path))? {
                return Ok(Self { path, file });
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> Result<u64> {
        self.file.metadata().map(|metadata| metadata.len()).map_err(at(&self.path))
    }

    /// Leaves out what comes after the first `length` bytes, and goes to the end.
    pub(super) fn cut(&mut self, length: u64) -> Result<()> {
        let cut = self.file.set_len(length).and_then(|()| self.file.seek(SeekFrom::End(0)));
        cut.map(drop).map_err(at(&self.path))
    }

    /// Makes it empty.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(at(&self.path))
    }

    /// Adds bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(at(&self.path))
    }

    /// Makes what was added durable.
    pub(super) fn sync(&mut self) -> Result<()> {
        self.file.sync_all().map_err(at(&self.path))
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

/// Whether the file still has this name.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let there = match std::fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        there => there?,
    };
    Ok(is_same(&file.metadata()?, &there))
}

#[cfg(unix)]
fn is_same(one: &std::fs::Metadata, other: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Elsewhere a file that is open can't be renamed.
#[cfg(not(unix))]
fn is_same(_: &std::fs::Metadata, _: &std::fs::Metadata) -> bool {
    true
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_was_finished_before_it_could_be_locked_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let finished = folder.path().join("finished");
        let path = folder.path().join("vgg16-pull.part");
        std::fs::write(&path, b"all of it").unwrap();
        // Another process gives the file its name between the opening and the lock.
        let open = |path: &Path| {
            let file = options().open(path);
            if !finished.exists() {
                std::fs::rename(path, &finished)?;
            }
            file
        };
        let mut part = Part::lock(path.clone(), open).unwrap();
        part.write(b"other").unwrap();
        part.clear().unwrap();
        assert_eq!(std::fs::read(&finished).unwrap(), b"all of it");
        assert!(path.exists() && part.length().unwrap() == 0);
        let second = Part::lock(path, |path| options().open(path));
        assert!(matches!(second, Err(ModelError::Busy { .. })));
    }
}
