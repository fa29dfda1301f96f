//! Changing what a collection is while it serves: properties, fields, partitions, whether it counts as loaded. The
//! manifest is stored first; what readers see changes after it. Rows are never rewritten for it: they are seen through
//! the new schema ([`Snapshot::under`](super::Snapshot)), and files written before are adapted whenever they are opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::manifest::Manifest;
use super::write::now_ms;
use super::{Collection, Definition, Snapshot, Writer};
use crate::error::{EngineError, Result};
use crate::limits;
use crate::schema::{DataType, Field};

/// Under this property a collection has how many seconds its rows live; 0 or nothing: for ever.
pub const TTL_PROPERTY: &str = "collection.ttl.seconds";

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// What rows are: it waits for rewritings of rows to end.
    Schema,
    /// All else: it waits for nothing.
    Words,
}

/// Somebody who waits to change the schema or an index: merging at rest, which takes long, gives way.
pub(super) struct Altering<'a>(&'a Collection);

impl<'a> Altering<'a> {
    pub(super) fn new(collection: &'a Collection) -> Self {
        collection.altering.fetch_add(1, Ordering::SeqCst);
        // If it is merging that holds it; whatever else is being indexed goes on.
        if collection.compacting.is_locked() {
            collection.call_off_indexing();
        }
        Self(collection)
    }
}

impl Drop for Altering<'_> {
    fn drop(&mut self) {
        self.0.altering.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Collection {
    /// Sets a property; durable when it returns.
    ///
    /// # Errors
    /// As [`Collection::set_properties`].
    pub fn set_property(&self, key: &str, value: &str) -> Result<()> {
        self.set_properties(BTreeMap::from([(key.to_owned(), value.to_owned())]))
    }

    /// Sets properties; durable when it returns.
    ///
    /// # Errors
    /// `InvalidParameter` when there are too many, or a life time of rows is no number; storage errors.
    pub fn set_properties(&self, properties: BTreeMap<String, String>) -> Result<()> {
        let times = properties.contains_key(TTL_PROPERTY) && !self.schema().timed();
        self.alter(if times { Reach::Schema } else { Reach::Words }, |definition| {
            definition.properties.extend(properties);
            if definition.properties.len() > limits::MAX_PROPERTIES {
                return Err(EngineError::invalid(format!("at most {} properties", limits::MAX_PROPERTIES)));
            }
            if definition.time_to_live()?.is_some() && !definition.schema.timed() {
                definition.schema = definition.schema.with_times(now_ms());
            }
            Ok(())
        })
    }

    /// Removes properties; unknown ones are passed over. Durable when it returns.
    ///
    /// # Errors
    /// Storage errors.
    pub fn drop_properties(&self, keys: &[String]) -> Result<()> {
        self.alter(Reach::Words, |definition| {
            keys.iter().for_each(|key| drop(definition.properties.remove(key)));
            Ok(())
        })
    }

    /// Notes that clients want the collection, or some of its partitions, to be loaded or released.
    ///
    /// # Errors
    /// `PartitionNotFound`; storage errors.
    pub fn set_loaded(&self, partitions: &[String], loaded: bool) -> Result<()> {
        self.alter(Reach::Words, |definition| definition.set_loaded(partitions, loaded))
    }

    /// Adds a field that may be null. Rows that are there have its default, or null.
    ///
    /// # Errors
    /// As [`crate::schema::Schema::with_field`]; `InvalidParameter` and `QuotaExceeded` when it takes too much in the rows
    /// that are there; storage errors.
    pub fn add_field(&self, field: Field) -> Result<()> {
        self.alter(Reach::Schema, |definition| {
            definition.schema = definition.schema.with_field(field)?;
            Ok(())
        })
    }

    /// Removes a field with its values and its index.
    ///
    /// # Errors
    /// As [`crate::schema::Schema::without_field`]; storage errors.
    pub fn drop_field(&self, name: &str) -> Result<()> {
        self.alter(Reach::Schema, |definition| {
            definition.schema = definition.schema.without_field(name)?;
            definition.indexes.retain(|index| index.field != name);
            Ok(())
        })
    }

    /// Changes sizes, description and further parameters of a field. Rows that are there stay as they are.
    ///
    /// # Errors
    /// `FieldNotFound`; `InvalidParameter` for a parameter that cannot change; storage errors.
    pub fn alter_field(&self, name: &str, params: &BTreeMap<String, String>) -> Result<()> {
        self.alter(Reach::Schema, |definition| {
            let (_, field) = definition
                .schema
                .field(name)
                .ok_or_else(|| EngineError::FieldNotFound { name: name.to_owned() })?;
            let mut field = field.clone();
            for (key, value) in params {
                change(&mut field, key, value)?;
            }
            definition.schema = definition.schema.with_changed(field)?;
            Ok(())
        })
    }

    /// Changes the parameters of an index; searches and files go on as they are.
    ///
    /// # Errors
    /// `IndexNotFound`; `InvalidParameter` for one that decides what is built; storage errors.
    pub fn alter_index(&self, name: &str, set: &BTreeMap<String, String>, remove: &[String]) -> Result<()> {
        self.alter(Reach::Words, |definition| {
            let index = definition.indexes.iter_mut().find(|index| index.name == name);
            let index = index.ok_or_else(|| EngineError::IndexNotFound { name: name.to_owned() })?;
            for key in set.keys().chain(remove) {
                if !matches!(key.as_str(), "mmap.enabled" | "warmup" | "indexoffsetcache.enabled") {
                    return Err(EngineError::invalid(format!("{key} is not a configable index property")));
                }
            }
            index.params.extend(set.clone());
            remove.iter().for_each(|key| drop(index.params.remove(key)));
            Ok(())
        })
    }

    /// Stores a changed definition, then shows it.
    pub(super) fn alter(
        &self,
        reach: Reach,
        change: impl FnOnce(&mut Definition) -> Result<()>,
    ) -> Result<()> {
        let _waits = (reach == Reach::Schema).then(|| Altering::new(self));
        // Rewritings write rows under the schema that they began with: none may be under way while it changes.
        let _no_rewriting = (reach == Reach::Schema).then(|| (self.compacting.lock(), self.sealing.lock()));
        let mut manifest = self.manifest.lock();
        self.check_open()?;
        let mut next = manifest.clone();
        change(next.definition_mut())?;
        next.definition().check()?;
        if reach == Reach::Words && next.definition().schema != manifest.definition().schema {
            return Err(EngineError::SchemaChanged);
        }
        self.put_definition(&mut manifest, next)
    }

    /// Stores the manifest, then shows its definition.
    pub(super) fn put_definition(&self, manifest: &mut Manifest, next: Manifest) -> Result<()> {
        let schema = Arc::new(next.definition().schema.clone());
        let writer = self.writer.lock();
        let now = self.snapshot();
        let added = now.check_added(&schema)?;
        if added > 0 {
            self.shared.quota.admit(added)?;
        }
        let seen = (**now.schema() != *schema).then(|| now.under(&schema)).transpose()?;
        self.show(manifest, next, seen, &writer)
    }

    /// Stores the manifest, then shows its definition, and `seen` if rows are others under it. Nobody writes meanwhile.
    pub(super) fn show(
        &self,
        manifest: &mut Manifest,
        mut next: Manifest,
        seen: Option<Snapshot>,
        _writer: &Writer,
    ) -> Result<()> {
        self.store_definition(manifest, &mut next)?;
        *self.definition.write() = Arc::new(next.definition().clone());
        *manifest = next;
        if let Some(seen) = seen {
            *self.published.write() = Arc::new(seen);
        }
        Ok(())
    }

    /// Stores the next manifest. If that fails, the present one is the one in place afterwards, or nothing is written any
    /// more: else a start could find fields and rows to be something else than what writes were acknowledged for.
    fn store_definition(&self, manifest: &mut Manifest, next: &mut Manifest) -> Result<()> {
        let vfs = self.shared.vfs.as_ref();
        let (old, new) = (manifest.definition(), next.definition());
        let drops = new.partitions().len() < old.partitions().len();
        // What is loaded cannot be dropped, so that a release comes before a drop.
        let shrinks = drops || new.loaded_partitions() < old.loaded_partitions();
        let stored = match next.store(vfs, &self.dir) {
            // What makes room may use the last there is.
            Err(EngineError::Storage(error))
                if shrinks && error.is_disk_full() && self.shared.reserve.release() =>
            {
                next.store(vfs, &self.dir)
            }
            other => other,
        };
        if let Err(error) = &stored
            && !manifest.is_in_place(vfs, &self.dir)
            && let Err(second) = manifest.store_behind(vfs, &self.dir)
        {
            self.stop_writing(format!(
                "changing what the collection is has failed halfway: {error}; then: {second}"
            ));
        }
        stored
    }
}

fn change(field: &mut Field, key: &str, value: &str) -> Result<()> {
    let size = || {
        value.parse::<usize>().map_err(|_| {
            EngineError::invalid(format!("the value of {key} of field {} is no size: {value}", field.name))
        })
    };
    match key {
        "max_length" => {
            let text = field.data_type == DataType::VarChar || field.element_type == Some(DataType::VarChar);
            if !text {
                return Err(EngineError::invalid(format!(
                    "{} can not modify the maxlength for non-string types",
                    field.name
                )));
            }
            field.max_length = Some(size()?);
        }
        "max_capacity" => {
            if field.data_type != DataType::Array {
                return Err(EngineError::invalid(format!(
                    "{} can not modify the maxcapacity for non-array types",
                    field.name
                )));
            }
            field.max_capacity = Some(size()?);
        }
        "description" => field.description = value.to_owned(),
        "mmap.enabled" | "mmap_enabled" | "warmup" => {
            field.params.insert(key.to_owned(), value.to_owned());
        }
        _ => {
            return Err(EngineError::invalid(format!(
                "{key} does not allow update in collection field param"
            )));
        }
    }
    Ok(())
}
