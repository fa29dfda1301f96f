//! Where broken files go: `quarantine/` in the data directory, under the path they had. Nothing is ever overwritten
//! there: a second file of one path gets a number.

use std::path::{Path, PathBuf};

use elanus_storage::{Vfs, copy_file};

use crate::error::Result;

/// Name of the folder in the data directory.
pub const QUARANTINE: &str = "quarantine";

/// The place for broken files, or nothing when repair was not asked for.
#[derive(Debug)]
pub struct Quarantine<'a> {
    vfs: &'a dyn Vfs,
    root: PathBuf,
    active: bool,
}

impl<'a> Quarantine<'a> {
    /// That of the data directory `root`; without `active` nothing is ever moved.
    pub fn new(vfs: &'a dyn Vfs, root: &Path, active: bool) -> Self {
        Self { vfs, root: root.to_owned(), active }
    }

    /// Whether repair was asked for.
    pub fn active(&self) -> bool {
        self.active
    }

    /// Moves a file or folder here, if repair was asked for. One that is not there is no error.
    ///
    /// # Errors
    /// `Io`.
    pub fn take(&self, path: &Path) -> Result<()> {
        if !self.active || !self.vfs.exists(path)? {
            return Ok(());
        }
        let target = self.place(path)?;
        self.vfs.rename(path, &target)?;
        self.sync(path, &target)
    }

    /// Puts a copy of a file here, if repair was asked for.
    ///
    /// # Errors
    /// `Io`.
    pub fn keep_copy(&self, path: &Path) -> Result<()> {
        if !self.active {
            return Ok(());
        }
        let target = self.place(path)?;
        copy_file(self.vfs, path, self.vfs, &target)?;
        self.sync(path, &target)
    }

    fn sync(&self, path: &Path, target: &Path) -> Result<()> {
        for folder in [target.parent(), path.parent()].into_iter().flatten() {
            self.vfs.sync_dir(folder)?;
        }
        Ok(())
    }

    /// A path that is free.
    fn place(&self, path: &Path) -> Result<PathBuf> {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        let wanted = self.root.join(QUARANTINE).join(below);
        if let Some(folder) = wanted.parent() {
            self.vfs.create_dir_all(folder)?;
        }
        let mut free = wanted.clone();
        let mut number = 1;
        while self.vfs.exists(&free)? {
            number += 1;
            let mut name = wanted.as_os_str().to_owned();
            name.push(format!(".{number}"));
            free = PathBuf::from(name);
        }
        Ok(free)
    }
}
