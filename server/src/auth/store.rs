//! Users, roles and groups as they are, and the one file that keeps them: `auth` in the data directory, replaced as a
//! whole and durable before a change is told as done. Readers hold a table that never changes under them; writers take
//! turns, and a table that could not be stored never counts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elanus_storage::manifest::{self, Manifest};
use elanus_storage::{StorageError, Vfs};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::error::{AuthError, Result};
use super::privilege::{ObjectType, Privilege};

/// Name of the file in the data directory.
const FILE: &str = "auth";
/// Version of what the file holds.
const FORMAT: u32 = 1;
/// The user who may do everything, whatever roles it has.
pub(crate) const ROOT: &str = "root";
/// The role whose holders may do everything.
pub(super) const ADMIN: &str = "admin";
/// The role that everybody has.
pub(super) const PUBLIC: &str = "public";
/// All databases, all collections, all users, or all privileges.
pub(super) const ANY: &str = "*";

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct User {
    /// The hash of the password, with its parameters and salt.
    pub(super) hash: String,
    pub(super) roles: BTreeSet<String>,
    #[serde(default)]
    pub(super) description: String,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Role {
    pub(super) grants: Vec<Grant>,
    #[serde(default)]
    pub(super) description: String,
}

/// What a role may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// What the privilege is about.
    pub object_type: ObjectType,
    /// Name of a collection or user, or `*`.
    pub object_name: String,
    /// A privilege, a group of privileges, or `*`.
    pub privilege: String,
    /// A database, or `*`.
    pub db_name: String,
    /// Who granted it.
    pub grantor: String,
}

impl Grant {
    /// Whether it gives the same right, whoever granted it.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let right = |grant: &Self| {
            (grant.object_type, grant.object_name.clone(), grant.privilege.clone(), grant.db_name.clone())
        };
        right(self) == right(other)
    }
}

/// Everything that is known of users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Table {
    format: u32,
    pub(super) users: BTreeMap<String, User>,
    pub(super) roles: BTreeMap<String, Role>,
    /// Groups of privileges that users made; the built-in ones are not here.
    pub(super) groups: BTreeMap<String, BTreeSet<String>>,
}

impl Table {
    /// As Milvus begins: root with the role admin, and a role public that may look at what collections there are.
    pub(super) fn new(root_hash: String) -> Self {
        let root = User { hash: root_hash, roles: [ADMIN.to_owned()].into(), description: String::new() };
        let looks = [Privilege::DescribeCollection, Privilege::ListAliases, Privilege::IndexDetail];
        let public = looks.map(|privilege| Grant {
            object_type: privilege.object(),
            object_name: ANY.into(),
            privilege: privilege.name().into(),
            db_name: ANY.into(),
            grantor: ROOT.into(),
        });
        let public = Role { grants: public.into(), description: String::new() };
        Self {
            format: FORMAT,
            users: [(ROOT.to_owned(), root)].into(),
            roles: [(ADMIN.to_owned(), Role::default()), (PUBLIC.to_owned(), public)].into(),
            groups: BTreeMap::new(),
        }
    }
}

/// The table and its file.
#[derive(Debug)]
pub(super) struct Store {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    /// Of what is in the file; 0 as long as there is none.
    generation: Mutex<u64>,
    table: RwLock<Arc<Table>>,
}

impl Store {
    /// Reads the file, or begins with `first` where there is none. Nothing is written before the first change.
    ///
    /// # Errors
    /// `Storage` when the file is damaged or cannot be read, and what `first` says.
    pub(super) fn open(
        vfs: &Arc<dyn Vfs>,
        root: &Path,
        first: impl FnOnce() -> Result<Table>,
    ) -> Result<Self> {
        let path = root.join(FILE);
        let (generation, table) = match manifest::adopt(vfs.as_ref(), &path)? {
            Some(stored) => (stored.generation, parse(&path, &stored)?),
            None => (0, first()?),
        };
        let (generation, table) = (Mutex::new(generation), RwLock::new(Arc::new(table)));
        Ok(Self { vfs: Arc::clone(vfs), path, generation, table })
    }

    /// Reads the file of a directory that no server uses, to see whether it can be read.
    ///
    /// # Errors
    /// `Storage` when it is damaged.
    pub(super) fn examine(vfs: &dyn Vfs, root: &Path) -> Result<()> {
        let path = root.join(FILE);
        match manifest::load(vfs, &path)? {
            Some(stored) => parse(&path, &stored).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The table as it is now.
    pub(super) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read())
    }

    /// Changes the table; durable when it returns. A change that changes nothing writes nothing. Blocking.
    ///
    /// # Errors
    /// The change's own, and `Storage`; the table is then as before.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Table) -> Result<T>) -> Result<T> {
        let mut generation = self.generation.lock();
        let before = self.table();
        let mut after = Table::clone(&before);
        let outcome = change(&mut after)?;
        if after != *before {
            self.write(&mut generation, after)?;
        }
        Ok(outcome)
    }

    /// Writes the table if it is in no file yet. Blocking.
    ///
    /// # Errors
    /// `Storage`.
    pub(super) fn keep(&self) -> Result<()> {
        let mut generation = self.generation.lock();
        if *generation > 0 {
            return Ok(());
        }
        let table = Table::clone(&self.table());
        self.write(&mut generation, table)
    }

    fn write(&self, generation: &mut u64, table: Table) -> Result<()> {
        let payload = serde_json::to_vec(&table).map_err(|e| AuthError::Internal(e.to_string()))?;
        manifest::store(self.vfs.as_ref(), &self.path, *generation + 1, &payload)?;
        *generation += 1;
        *self.table.write() = Arc::new(table);
        Ok(())
    }
}

fn parse(path: &Path, stored: &Manifest) -> Result<Table> {
    #[derive(Deserialize)]
    struct Stamp {
        format: u32,
    }
    let damaged = |e: serde_json::Error| {
        let reason = format!("no list of users: {e}");
        StorageError::Corrupt { path: path.to_owned(), offset: 0, reason }
    };
    let Stamp { format } = serde_json::from_slice(&stored.payload).map_err(damaged)?;
    if format != FORMAT {
        let (path, found, supported) = (path.to_owned(), format, FORMAT);
        return Err(StorageError::UnsupportedVersion { path, found, supported }.into());
    }
    Ok(serde_json::from_slice(&stored.payload).map_err(damaged)?)
}

#[cfg(test)]
mod tests {
    use elanus_storage::DiskVfs;

    use super::*;

    fn open(root: &Path) -> Result<Store> {
        let vfs: Arc<dyn Vfs> = Arc::new(DiskVfs);
        Store::open(&vfs, root, || Ok(Table::new("hash".into())))
    }

    #[test]
    fn a_change_is_there_after_reopening_and_a_refused_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        assert!(!folder.path().join(FILE).exists());
        store.keep().unwrap();
        store.change(|table| Ok(table.roles.insert("reader".into(), Role::default()))).unwrap();
        let refused = store.change(|table| -> Result<()> {
            table.roles.clear();
            Err(AuthError::Invalid("no".into()))
        });
        assert!(refused.is_err() && store.table().roles.len() == 3);
        assert_eq!(*open(folder.path()).unwrap().table(), *store.table());
        assert_eq!(*store.generation.lock(), 2);
        store.change(|_| Ok(())).unwrap();
        assert_eq!(*store.generation.lock(), 2, "nothing changed, nothing written");
    }

    #[test]
    fn a_damaged_or_newer_file_is_told_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        Store::examine(&DiskVfs, folder.path()).unwrap();
        open(folder.path()).unwrap().keep().unwrap();
        Store::examine(&DiskVfs, folder.path()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in [0, 20, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let error = open(folder.path()).unwrap_err().to_string();
            assert!(error.contains("auth"), "{error}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
            assert!(Store::examine(&DiskVfs, folder.path()).is_err());
        }
        manifest::store(&DiskVfs, &path, 1, b"{\"format\":1}").unwrap();
        assert!(open(folder.path()).unwrap_err().to_string().contains("no list of users"));
        manifest::store(&DiskVfs, &path, 1, b"{\"format\":2}").unwrap();
        assert!(matches!(
            open(folder.path()),
            Err(AuthError::Storage(StorageError::UnsupportedVersion { found: 2, .. }))
        ));
    }

    #[test]
    fn a_table_that_cannot_be_stored_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).unwrap();
        std::fs::remove_dir_all(folder.path()).unwrap();
        let outcome = store.change(|table| Ok(table.roles.insert("reader".into(), Role::default())));
        assert!(matches!(outcome, Err(AuthError::Storage(_))));
        assert_eq!(store.table().roles.len(), 2);
    }
}
