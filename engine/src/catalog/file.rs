//! The catalog file: names and numbers of the collections, replaced as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use elanus_storage::manifest::{self, Manifest as Stored};
use elanus_storage::{StorageError, Vfs};
use serde::{Deserialize, Serialize};

use super::names::Database;
use crate::collection::DEFAULT_DATABASE;
use crate::error::{EngineError, Result};

/// Databases and aliases, for readers that do not wait for changes of the catalog.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) databases: BTreeMap<String, Database>,
    pub(super) aliases: BTreeMap<String, String>,
}

/// Its name in the data directory.
pub(crate) const CATALOG: &str = "catalog";
const COLLECTIONS: &str = "collections";

/// Numbers that are counted up stay far from their end.
const MOST: u64 = 1 << 62;

/// What it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CatalogFile {
    pub(crate) next_id: u64,
    /// By their names inside of the engine.
    pub(crate) collections: BTreeMap<String, u64>,
    /// Beside the default one; that one is here when it has properties.
    #[serde(default)]
    pub(crate) databases: BTreeMap<String, Database>,
    /// From alias to collection, by their names inside of the engine.
    #[serde(default)]
    pub(crate) aliases: BTreeMap<String, String>,
}

impl Default for CatalogFile {
    fn default() -> Self {
        Self {
            next_id: 1,
            collections: BTreeMap::new(),
            databases: BTreeMap::new(),
            aliases: BTreeMap::new(),
        }
    }
}

/// Where collection `id` lies.
pub(crate) fn collection_folder(root: &Path, id: u64) -> PathBuf {
    root.join(COLLECTIONS).join(format!("{id:08}"))
}

impl CatalogFile {
    /// # Errors
    /// `DatabaseNotFound`.
    pub(super) fn check_database(&self, name: &str) -> Result<()> {
        if name == DEFAULT_DATABASE || self.databases.contains_key(name) {
            return Ok(());
        }
        Err(EngineError::DatabaseNotFound { name: name.to_owned() })
    }

    pub(super) fn names(&self) -> Names {
        Names { databases: self.databases.clone(), aliases: self.aliases.clone() }
    }

    /// Generation and content, for whoever acts on it. Where nothing was ever stored an empty one is, so that a catalog
    /// that is missing later is known to be lost.
    pub(super) fn adopt(vfs: &dyn Vfs, root: &Path) -> Result<(u64, Self)> {
        let (generation, file) = Self::read(vfs, root, manifest::adopt(vfs, &root.join(CATALOG))?)?;
        if generation > 0 {
            return Ok((generation, file));
        }
        file.store(vfs, root, 1)?;
        Ok((1, file))
    }

    /// The same for whoever only looks.
    pub(crate) fn load(vfs: &dyn Vfs, root: &Path) -> Result<(u64, Self)> {
        Self::read(vfs, root, manifest::load(vfs, &root.join(CATALOG))?)
    }

    fn read(vfs: &dyn Vfs, root: &Path, stored: Option<Stored>) -> Result<(u64, Self)> {
        let path = root.join(CATALOG);
        let Some(stored) = stored else {
            if has_collections(vfs, root)? {
                let reason = "it is missing, and there are collections".to_owned();
                return Err(StorageError::Corrupt { path, offset: 0, reason }.into());
            }
            return Ok((0, Self::default()));
        };
        let corrupt = |reason: String| StorageError::Corrupt { path: path.clone(), offset: 0, reason };
        let file: Self =
            serde_json::from_slice(&stored.payload).map_err(|e| corrupt(format!("payload: {e}")))?;
        let given_out = |id: &u64| *id < file.next_id;
        if file.next_id > MOST || stored.generation > MOST || !file.collections.values().all(given_out) {
            return Err(corrupt("a number that was not given out".into()).into());
        }
        Ok((stored.generation, file))
    }

    /// Replaces the file; durable when it returns.
    pub(crate) fn store(&self, vfs: &dyn Vfs, root: &Path, generation: u64) -> Result<()> {
        let payload = serde_json::to_vec(self).map_err(|e| EngineError::Internal(format!("catalog: {e}")))?;
        Ok(manifest::store(vfs, &root.join(CATALOG), generation, &payload)?)
    }

    /// Folders below `collections/` that this file does not name: of creations or drops that did not finish.
    pub(crate) fn strays(&self, vfs: &dyn Vfs, root: &Path) -> Result<Vec<PathBuf>> {
        let collections = root.join(COLLECTIONS);
        let alive =
            |path: &PathBuf| self.collections.values().any(|&id| *path == collection_folder(root, id));
        let entries = vfs.list(&collections)?;
        let folders = entries.iter().filter(|entry| entry.is_dir).map(|entry| collections.join(&entry.name));
        Ok(folders.filter(|path| !alive(path)).collect())
    }

    /// Removes them.
    pub(super) fn sweep_folders(&self, vfs: &dyn Vfs, root: &Path) -> Result<()> {
        vfs.create_dir_all(&root.join(COLLECTIONS))?;
        for stray in self.strays(vfs, root)? {
            vfs.remove_dir_all(&stray)?;
        }
        Ok(())
    }
}

fn has_collections(vfs: &dyn Vfs, root: &Path) -> Result<bool> {
    let folder = root.join(COLLECTIONS);
    if !vfs.exists(&folder)? {
        return Ok(false);
    }
    for entry in vfs.list(&folder)?.iter().filter(|entry| entry.is_dir) {
        if vfs.exists(&folder.join(&entry.name).join(crate::collection::MANIFEST))? {
            return Ok(true);
        }
    }
    Ok(false)
}
