//! Originals and reductions on their way into a backup and back.

use std::collections::BTreeMap;
use std::path::Path;

use elanus_engine::{EngineError, Result};
use elanus_storage::{BlobStore, Digest, DiskVfs, Vfs, copy_file};

use super::ImageService;
use super::reductions::FOLDER;
use super::sweep::KeepAll;
use crate::error::ApiError;

impl ImageService {
    /// No original and no reduction is removed while this is held.
    pub(crate) fn keep_originals(&self) -> KeepAll<'_> {
        self.sweep_gate.keep_all()
    }

    /// Gives every original and every reduction a second name in the backup `root`, or makes copies where the disk has no
    /// hard links; says how many of each there are, by their folder. Durable when it returns. Blocking.
    ///
    /// # Errors
    /// Storage errors.
    pub(crate) fn link_originals(&self, root: &Path) -> Result<BTreeMap<String, u64>> {
        let linked =
            |(name, store): (&str, &BlobStore)| Ok((name.to_owned(), link_all(store, &root.join(name))?));
        self.stores().into_iter().map(linked).collect()
    }

    /// Takes over all originals and reductions of the backup `root`, each checked against its name. Blocking.
    ///
    /// # Errors
    /// 400 for a file that is not what its name says; quota and storage errors.
    pub(crate) fn take_originals(&self, root: &Path) -> Result<(), ApiError> {
        self.stores().into_iter().try_for_each(|(name, store)| self.take_all(store, &root.join(name)))
    }

    /// What is named by content, by the folder that it is in.
    fn stores(&self) -> [(&'static str, &BlobStore); 2] {
        [("images", &self.originals), (FOLDER, &self.reductions)]
    }

    fn take_all(&self, store: &BlobStore, folder: &Path) -> Result<(), ApiError> {
        let vfs = DiskVfs;
        if !vfs.exists(folder)? {
            return Ok(());
        }
        for below in vfs.list(folder)?.iter().filter(|entry| entry.is_dir) {
            for entry in vfs.list(&folder.join(&below.name))? {
                let Ok(digest) = entry.name.parse::<Digest>() else { continue };
                if store.contains(&digest)? {
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
                store.put_named(&[(digest, &bytes)])?;
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

fn link_all(store: &BlobStore, folder: &Path) -> Result<u64> {
    let vfs = DiskVfs;
    vfs.create_dir_all(folder)?;
    let (mut current, all) = (None, store.list()?);
    for digest in &all {
        let name = digest.to_string();
        let below = folder.join(&name[..2]);
        if current.as_ref() != Some(&below) {
            if let Some(done) = current.replace(below.clone()) {
                vfs.sync_dir(&done)?;
            }
            vfs.create_dir_all(&below)?;
        }
        let (from, to) = (store.path_of(digest), below.join(name));
        match vfs.hard_link(&from, &to) {
            Err(error) if error.is_unlinkable() => copy_file(&vfs, &from, &vfs, &to).map(drop),
            other => other,
        }?;
    }
    current.map_or(Ok(()), |done| vfs.sync_dir(&done))?;
    Ok(all.len() as u64)
}
