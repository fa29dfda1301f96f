//! Backups: a running engine puts a copy of itself, as it was at one moment, into a folder; the folder is a data
//! directory like any other. One collection of such a folder can be taken back into a running engine, under any name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use elanus_storage::{StorageError, Vfs, data_dir, write_atomic};
use serde::{Deserialize, Serialize};

use super::Engine;
use super::file::{CatalogFile, collection_folder};
use super::slots::Slot;
use crate::check;
use crate::collection::{Collection, copy_folder};
use crate::error::{EngineError, Result};
use crate::schema::check_collection_name;

/// Name of the file that says what a backup holds. It is written last: a folder without it is no backup.
pub const BACKUP_FILE: &str = "BACKUP";
const BACKUP_FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupInfo {
    /// Version of this description.
    pub format: u32,
    /// When the copy was made, in seconds since 1970.
    pub created: u64,
    /// Its collections.
    pub collections: Vec<BackupCollection>,
    /// How many files it holds that rows and collections name, by their folder. None in a backup of an older program.
    #[serde(default)]
    pub files: BTreeMap<String, u64>,
    /// Collections that could not be read and are not in it, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// One collection of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupCollection {
    /// Name.
    pub name: String,
    /// Live rows.
    pub rows: u64,
    /// Number of the last log record that is in it.
    pub sequence: u64,
}

impl BackupCollection {
    /// Gives back what was restored, if it is what the backup says it holds.
    fn require(&self, restored: Collection) -> Result<Collection> {
        // Rows that have lived too long since are in the backup all the same.
        match restored.snapshot().live() {
            rows if rows == self.rows => Ok(restored),
            rows => Err(EngineError::invalid(format!(
                "the backup is damaged: collection {} has {rows} rows instead of {}",
                self.name, self.rows
            ))),
        }
    }
}

impl BackupInfo {
    /// Reads what the backup in `dir` holds.
    ///
    /// # Errors
    /// `InvalidParameter` when there is no finished backup; storage errors.
    pub fn load(vfs: &dyn Vfs, dir: &Path) -> Result<Self> {
        let path = dir.join(BACKUP_FILE);
        let bytes = match vfs.read(&path) {
            Err(error) if error.is_not_found() => {
                return Err(EngineError::invalid(format!("{} holds no finished backup", dir.display())));
            }
            other => other?,
        };
        let corrupt = |reason: String| StorageError::Corrupt { path: path.clone(), offset: 0, reason };
        let info: Self = serde_json::from_slice(&bytes).map_err(|e| corrupt(e.to_string()))?;
        if info.format != BACKUP_FORMAT {
            let (found, supported) = (info.format, BACKUP_FORMAT);
            return Err(StorageError::UnsupportedVersion { path, found, supported }.into());
        }
        Ok(info)
    }
}

fn check_free(catalog: &CatalogFile, name: &str) -> Result<()> {
    if catalog.collections.contains_key(name) {
        return Err(EngineError::CollectionExists { name: name.to_owned() });
    }
    if catalog.aliases.contains_key(name) {
        return Err(EngineError::AliasConflict(format!("the name {name} is taken by an alias")));
    }
    Ok(())
}

impl Engine {
    /// Fills `dir`, a folder that is not there or empty, with a copy of all collections as they are at one moment:
    /// exactly the rows acknowledged then. Writers stop only for that moment. `finish` adds what else belongs to the
    /// copy before it counts as finished, and says how many files that are, by their folder; it runs after the moment.
    ///
    /// # Errors
    /// `InvalidParameter` for a folder that is not empty; storage errors; what `finish` returns. The folder is then
    /// removed again.
    pub fn backup(
        &self,
        dir: &Path,
        finish: &mut dyn FnMut(&Path) -> Result<BTreeMap<String, u64>>,
    ) -> Result<BackupInfo> {
        let vfs = self.vfs();
        if vfs.exists(dir)? && !vfs.list(dir)?.is_empty() {
            return Err(EngineError::invalid(format!("{} is not empty", dir.display())));
        }
        let copied = self.copy_all(dir).and_then(|mut info| {
            info.files = finish(dir)?;
            let text = serde_json::to_vec_pretty(&info)
                .map_err(|e| EngineError::Internal(format!("backup: {e}")))?;
            write_atomic(vfs, &dir.join(BACKUP_FILE), &text)?;
            Ok(info)
        });
        if copied.is_err()
            && let Err(error) = vfs.remove_dir_all(dir)
        {
            tracing::warn!(%error, "an unfinished backup is left");
        }
        copied
    }

    fn copy_all(&self, dir: &Path) -> Result<BackupInfo> {
        let vfs = self.vfs();
        data_dir::stamp(vfs, dir)?;
        // Nothing is created or dropped while this is held.
        let catalog = self.catalog.lock();
        let mut open = self.slots.open();
        open.sort_by_key(|collection| collection.id());
        let held: Vec<_> = open.iter().map(|collection| collection.hold()).collect();
        let cuts = crate::collection::Held::cut(&held);
        let mut file = CatalogFile { collections: BTreeMap::new(), ..catalog.1.clone() };
        let mut info = BackupInfo {
            format: BACKUP_FORMAT,
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            collections: Vec::new(),
            files: BTreeMap::new(),
            left_out: Vec::new(),
        };
        for ((collection, held), cut) in open.iter().zip(&held).zip(&cuts) {
            let cut = match cut {
                Ok(cut) => cut,
                // Its reason is of its own log: the others go on.
                Err(error) => {
                    info.left_out.push((collection.name().to_owned(), error.to_string()));
                    continue;
                }
            };
            held.copy_into(cut, &collection_folder(dir, collection.id()))?;
            let name = collection.name().to_owned();
            file.collections.insert(name.clone(), collection.id());
            info.collections.push(BackupCollection { name, rows: cut.rows, sequence: cut.sequence });
        }
        drop(held);
        for name in catalog.1.collections.keys().filter(|name| !open.iter().any(|c| c.name() == *name)) {
            let failed = self.slots.failed().into_iter().find(|(other, _)| other == name);
            let reason = failed.map_or_else(|| "it was still being loaded".to_owned(), |(_, reason)| reason);
            info.left_out.push((name.clone(), reason));
        }
        let known = &file.collections;
        file.aliases.retain(|_, target| known.contains_key(target));
        drop(catalog);
        vfs.create_dir_all(&dir.join("collections"))?;
        file.store(vfs, dir, 1)?;
        Ok(info)
    }

    /// Takes collection `name` of the backup in `dir` into this engine as `new_name`. It is checked as
    /// [`crate::check`] does before it counts.
    ///
    /// # Errors
    /// `InvalidParameter` when there is no such backup or collection; `CollectionExists`, `AliasConflict`; `Corrupt`; `QuotaExceeded`;
    /// storage errors.
    pub fn restore(&self, from: &dyn Vfs, dir: &Path, name: &str, new_name: &str) -> Result<Arc<Collection>> {
        check_collection_name(new_name)?;
        let info = BackupInfo::load(from, dir)?;
        let (_, file) = CatalogFile::load(from, dir)?;
        let described = info.collections.iter().find(|c| c.name == name);
        let (Some(&old_id), Some(described)) = (file.collections.get(name), described) else {
            return Err(EngineError::invalid(format!("the backup holds no collection {name}")));
        };
        let source = collection_folder(dir, old_id);
        self.shared.quota.admit(check::folder_bytes(from, &source)?)?;
        let (id, folder) = {
            let mut catalog = self.catalog.lock();
            check_free(&catalog.1, new_name)?;
            self.check_room_for_one_more()?;
            self.new_folder(&mut catalog)?
        };
        // Others create and drop meanwhile: nobody else gets this number.
        let vfs = self.vfs();
        let opened = copy_folder(from, &source, vfs, &folder, new_name)
            .and_then(|()| check::require_sound(vfs, &folder))
            .and_then(|()| Collection::open(self.shared.clone(), &folder, id, new_name.to_owned()))
            .and_then(|collection| described.require(collection));
        let mut naming = false;
        let named = opened.and_then(|collection| {
            let mut catalog = self.catalog.lock();
            check_free(&catalog.1, new_name)?;
            naming = true;
            self.name(&mut catalog, new_name, id)?;
            let collection = Arc::new(collection);
            self.slots.put(new_name, Slot::Open(Arc::clone(&collection)));
            Ok(collection)
        });
        match named {
            Ok(collection) => Ok(collection),
            Err(error) => {
                // Best effort, and not where the catalog may name it after all: the next start sweeps what it does not.
                if !naming {
                    let _ = vfs.remove_dir_all(&folder);
                }
                Err(error)
            }
        }
    }
}
