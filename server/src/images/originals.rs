//! Originals on their way into a backup and back.

use std::path::Path;

use elanus_engine::{EngineError, Result};
use elanus_storage::{Digest, DiskVfs, Vfs, copy_file};

use super::ImageService;
use super::sweep::KeepAll;
use crate::error::ApiError;

impl ImageService {
    /// No original is removed while this is held.
    pub(crate) fn keep_originals(&self) -> KeepAll<'_> {
        self.sweep_gate.keep_all()
    }

    /// Gives every original a second name below `folder`, or makes copies where the disk has no hard links. Durable when
    /// it returns. Blocking.
    ///
    /// # Errors
    /// Storage errors.
    pub(crate) fn link_originals(&self, folder: &Path) -> Result<()> {
        let vfs = DiskVfs;
        vfs.create_dir_all(folder)?;
        let mut current = None;
        for digest in self.originals.list()? {
            let name = digest.to_string();
            let below = folder.join(&name[..2]);
            if current.as_ref() != Some(&below) {
                if let Some(done) = current.replace(below.clone()) {
                    vfs.sync_dir(&done)?;
                }
                vfs.create_dir_all(&below)?;
            }
            let (from, to) = (self.originals.path_of(&digest), below.join(name));
            match vfs.hard_link(&from, &to) {
                Err(error) if error.is_unlinkable() => copy_file(&vfs, &from, &vfs, &to).map(drop),
                other => other,
            }?;
        }
        Ok(current.map_or(Ok(()), |done| vfs.sync_dir(&done))?)
    }

    /// Takes over all originals below `folder`, each checked against its name. Blocking.
    ///
    /// # Errors
    /// 400 for a file that is not what its name says; quota and storage errors.
    pub(crate) fn take_originals(&self, folder: &Path) -> Result<(), ApiError> {
        let vfs = DiskVfs;
        if !vfs.exists(folder)? {
            return Ok(());
        }
        for below in vfs.list(folder)?.iter().filter(|entry| entry.is_dir) {
            for entry in vfs.list(&folder.join(&below.name))? {
                let Ok(digest) = entry.name.parse::<Digest>() else { continue };
                if self.originals.contains(&digest)? {
                    continue;
                }
                self.admit(entry.len)?;
                let path = folder.join(&below.name).join(&entry.name);
                let bytes = vfs.read(&path)?;
                if Digest::of(&bytes) != digest {
                    let reason =
                        format!("the backup is damaged: {} is not what its name says", path.display());
                    return Err(ApiError::invalid(reason));
                }
                self.originals.put_named(&[(digest, &bytes)])?;
            }
        }
        Ok(())
    }

    /// Asks whether so many bytes of originals may come.
    ///
    /// # Errors
    /// `QuotaExceeded`.
    pub(super) fn admit(&self, bytes: u64) -> Result<(), EngineError> {
        Ok(self.collections.engine().quota().admit(bytes)?)
    }
}
