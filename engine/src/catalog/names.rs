//! Databases and aliases: names for groups of collections, and further names for one. They live in the catalog file and
//! change with it. Inside of the engine a collection of another database than the default one is called
//! `database/name`; no name that a client may give holds a `/`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::slots::opened;
use super::{CatalogFile, Engine};
use crate::collection::{Collection, DEFAULT_DATABASE, now_ms};
use crate::error::{EngineError, Result};
use crate::limits;
use crate::schema::{check_alias_name, check_collection_name, check_database_name};

/// A database beside the default one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Database {
    /// Number; the default one's is 1.
    pub id: u64,
    /// Free key-value pairs.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// When it was made, in milliseconds since 1970; 0: not known.
    #[serde(default)]
    pub created_ms: u64,
}

/// The name of a collection inside of the engine.
pub fn qualified(database: &str, name: &str) -> String {
    if database.is_empty() || database == DEFAULT_DATABASE {
        return name.to_owned();
    }
    format!("{database}/{name}")
}

/// Database and name of a collection, from its name inside of the engine.
pub fn split(qualified: &str) -> (&str, &str) {
    qualified.split_once('/').unwrap_or((DEFAULT_DATABASE, qualified))
}

impl Engine {
    /// A collection by the name or an alias that a client gave.
    ///
    /// # Errors
    /// `DatabaseNotFound`; what [`Engine::collection`] returns.
    pub fn collection_in(&self, database: &str, name: &str) -> Result<Arc<Collection>> {
        self.check_database(database)?;
        let not_found =
            || EngineError::CollectionNotFound { database: database.to_owned(), name: name.to_owned() };
        if name.contains('/') {
            return Err(not_found());
        }
        let known = qualified(database, name);
        match self.collection(&known) {
            Err(EngineError::CollectionNotFound { .. }) => {
                let target = self.names.read().aliases.get(&known).cloned();
                self.collection(&target.ok_or_else(not_found)?)
            }
            other => other,
        }
    }

    /// The own name of the collection that a client means by a name or an alias; the name itself where there is neither.
    /// Waits for nothing and opens nothing.
    pub fn own_name(&self, database: &str, name: &str) -> String {
        let known = qualified(database, name);
        if self.slots.has(&known) {
            return name.to_owned();
        }
        let names = self.names.read();
        names.aliases.get(&known).map_or(name, |target| split(target).1).to_owned()
    }

    /// Names of a database's collections, sorted, those not opened included.
    ///
    /// # Errors
    /// `DatabaseNotFound`.
    pub fn names_in(&self, database: &str) -> Result<Vec<String>> {
        self.check_database(database)?;
        let names = self.names();
        let inside = names.iter().map(|name| split(name)).filter(|(db, _)| *db == database);
        Ok(inside.map(|(_, name)| name.to_owned()).collect())
    }

    /// # Errors
    /// `DatabaseNotFound`.
    pub fn check_database(&self, name: &str) -> Result<()> {
        if name == DEFAULT_DATABASE || self.names.read().databases.contains_key(name) {
            return Ok(());
        }
        Err(EngineError::DatabaseNotFound { name: name.to_owned() })
    }

    /// All databases by name.
    pub fn databases(&self) -> BTreeMap<String, Database> {
        let names = self.names.read();
        let mut all = names.databases.clone();
        all.entry(DEFAULT_DATABASE.to_owned()).or_insert(Database { id: 1, ..Database::default() });
        all
    }

    /// Adds a database.
    ///
    /// # Errors
    /// `InvalidDatabaseName`; `InvalidParameter` when it is there; `TooManyDatabases`; storage errors.
    pub fn create_database(&self, name: &str, properties: BTreeMap<String, String>) -> Result<()> {
        check_database_name(name)?;
        let mut catalog = self.catalog.lock();
        if name == DEFAULT_DATABASE || catalog.1.databases.contains_key(name) {
            return Err(EngineError::invalid(format!("database already exist: {name}")));
        }
        if catalog.1.databases.len() + 1 >= limits::MAX_DATABASES {
            return Err(EngineError::TooManyDatabases { limit: limits::MAX_DATABASES });
        }
        let mut next = catalog.1.clone();
        let id = next.databases.values().map(|database| database.id).max().unwrap_or(1) + 1;
        next.databases.insert(name.to_owned(), Database { id, properties, created_ms: now_ms() as u64 });
        self.store(&mut catalog, next)
    }

    /// Removes an empty database; an unknown one is none already.
    ///
    /// # Errors
    /// `InvalidParameter` for the default one and one that holds collections; storage errors.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        if name == DEFAULT_DATABASE {
            return Err(EngineError::invalid("can not drop default database"));
        }
        let mut catalog = self.catalog.lock();
        let mut next = catalog.1.clone();
        if next.databases.remove(name).is_none() {
            return Ok(());
        }
        if next.collections.keys().any(|known| split(known).0 == name) {
            return Err(EngineError::invalid(format!(
                "database:{name} not empty, must drop all collections before drop database"
            )));
        }
        self.store(&mut catalog, next)
    }

    /// Sets and removes properties of a database.
    ///
    /// # Errors
    /// `DatabaseNotFound`; `InvalidParameter` when there are too many; storage errors.
    pub fn alter_database(&self, name: &str, set: BTreeMap<String, String>, remove: &[String]) -> Result<()> {
        let mut catalog = self.catalog.lock();
        catalog.1.check_database(name)?;
        let mut next = catalog.1.clone();
        let database = next
            .databases
            .entry(name.to_owned())
            .or_insert_with(|| Database { id: 1, ..Database::default() });
        database.properties.extend(set);
        remove.iter().for_each(|key| drop(database.properties.remove(key)));
        if database.properties.len() > limits::MAX_PROPERTIES {
            return Err(EngineError::invalid(format!("at most {} properties", limits::MAX_PROPERTIES)));
        }
        self.store(&mut catalog, next)
    }

    /// The aliases of a database, each with the collection that it names; of one collection only, if one is given.
    ///
    /// # Errors
    /// `DatabaseNotFound`; `CollectionNotFound`.
    pub fn aliases(&self, database: &str, collection: Option<&str>) -> Result<BTreeMap<String, String>> {
        self.check_database(database)?;
        let wanted = match collection {
            None => None,
            Some(name) => Some(self.collection_in(database, name)?.name().to_owned()),
        };
        let names = self.names.read();
        let inside = names.aliases.iter().map(|(alias, target)| (split(alias), target));
        Ok(inside
            .filter(|((db, _), target)| *db == database && wanted.as_ref().is_none_or(|w| w == *target))
            .map(|((_, alias), target)| (alias.to_owned(), split(target).1.to_owned()))
            .collect())
    }

    /// The collection that an alias names.
    ///
    /// # Errors
    /// `DatabaseNotFound`; `AliasNotFound`.
    pub fn alias(&self, database: &str, alias: &str) -> Result<String> {
        let not_found =
            || EngineError::AliasNotFound { database: database.to_owned(), name: alias.to_owned() };
        self.aliases(database, None)?.remove(alias).ok_or_else(not_found)
    }

    /// Gives a collection a further name; the same again changes nothing. With `move_it` the alias, which has to be
    /// there, names this collection from now on.
    ///
    /// # Errors
    /// `DatabaseNotFound`, `CollectionNotFound`, `AliasNotFound`, `AliasConflict` with a collection's name,
    /// `AliasExists`; storage errors.
    pub fn set_alias(&self, database: &str, collection: &str, alias: &str, move_it: bool) -> Result<()> {
        check_alias_name(alias)?;
        let mut catalog = self.catalog.lock();
        catalog.1.check_database(database)?;
        let (known, target) = (qualified(database, alias), qualified(database, collection));
        let mut next = catalog.1.clone();
        if next.collections.contains_key(&known) {
            return Err(EngineError::AliasConflict(format!(
                "collection name [{alias}] conflicts with an existing alias, or the other way round: alias and \
                 collection name conflict[database={database}][alias={alias}]"
            )));
        }
        if !next.collections.contains_key(&target) {
            let (database, name) = (database.to_owned(), collection.to_owned());
            return Err(EngineError::CollectionNotFound { database, name });
        }
        match next.aliases.get(&known) {
            None if move_it => {
                let (database, name) = (database.to_owned(), alias.to_owned());
                return Err(EngineError::AliasNotFound { database, name });
            }
            Some(other) if *other == target => return Ok(()),
            Some(other) if !move_it => {
                let collection = split(other).1.to_owned();
                return Err(EngineError::AliasExists { name: alias.to_owned(), collection });
            }
            _ => {}
        }
        if next.aliases.len() >= limits::MAX_ALIASES {
            return Err(EngineError::invalid(format!("at most {} aliases", limits::MAX_ALIASES)));
        }
        next.aliases.insert(known, target);
        self.store(&mut catalog, next)
    }

    /// Removes an alias; an unknown one is none already.
    ///
    /// # Errors
    /// `DatabaseNotFound`; storage errors.
    pub fn drop_alias(&self, database: &str, alias: &str) -> Result<()> {
        let mut catalog = self.catalog.lock();
        catalog.1.check_database(database)?;
        let mut next = catalog.1.clone();
        if next.aliases.remove(&qualified(database, alias)).is_none() {
            return Ok(());
        }
        self.store(&mut catalog, next)
    }

    /// Gives a collection another name, and another database if one is given. Whoever holds it from before can read on;
    /// writes through such a handle are refused as if it was closing.
    ///
    /// # Errors
    /// `DatabaseNotFound`, `CollectionNotFound`; `InvalidParameter` when the new name is taken; storage errors.
    pub fn rename(&self, from: (&str, &str), to: (&str, &str)) -> Result<()> {
        check_collection_name(to.1)?;
        let (old, new) = (qualified(from.0, from.1), qualified(to.0, to.1));
        self.slots.wait(&old, self.shared.options.load_wait);
        let mut catalog = self.catalog.lock();
        catalog.1.check_database(from.0)?;
        catalog.1.check_database(to.0)?;
        let mut next = catalog.1.clone();
        if next.aliases.contains_key(&old) {
            return Err(EngineError::invalid(format!(
                "unsupported use an alias to rename collection, alias:{}",
                from.1
            )));
        }
        let Some(id) = next.collections.remove(&old) else {
            let (database, name) = (from.0.to_owned(), from.1.to_owned());
            return Err(EngineError::CollectionNotFound { database, name });
        };
        if old == new {
            return Err(EngineError::invalid("collection name or database name should be different"));
        }
        if next.collections.contains_key(&new) || next.aliases.contains_key(&new) {
            return Err(EngineError::invalid(format!(
                "duplicated new collection name {} in database {} with other collection name or alias",
                to.1, to.0
            )));
        }
        if from.0 != to.0 && next.aliases.values().any(|target| *target == old) {
            return Err(EngineError::invalid(
                "fail to rename db name, must drop all aliases of this collection before rename",
            ));
        }
        let collection = self.slots.get(&old, Duration::ZERO)?;
        next.collections.insert(new.clone(), id);
        next.aliases.values_mut().filter(|target| **target == old).for_each(|target| target.clone_from(&new));
        self.store(&mut catalog, next)?;
        // First: whoever asks while it is closed, by an alias too, waits.
        self.slots.rename(&old, &new);
        collection.close();
        self.slots.renamed(&new, opened(&self.shared, &self.root, &new, id));
        Ok(())
    }

    /// Refuses to drop through an alias, or what aliases name.
    pub(super) fn check_droppable(catalog: &CatalogFile, known: &str) -> Result<()> {
        let (_, name) = split(known);
        if catalog.aliases.contains_key(known) {
            return Err(EngineError::invalid(format!("cannot drop the collection via alias = {name}")));
        }
        let aliases: Vec<&str> = catalog
            .aliases
            .iter()
            .filter(|(_, target)| *target == known)
            .map(|(alias, _)| split(alias).1)
            .collect();
        if aliases.is_empty() {
            return Ok(());
        }
        Err(EngineError::invalid(format!(
            "unable to drop the collection [{name}] because it has associated aliases [{}], please remove all aliases \
             before dropping the collection",
            aliases.join(", ")
        )))
    }
}
