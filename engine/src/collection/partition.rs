//! Partitions: names for parts of a collection's rows. A row says in a hidden column which one it is in; naming
//! partitions in a read is a filter on that column. With a partition key there is no column: the key's value decides.

use std::collections::BTreeSet;
use std::hash::Hasher;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef};
use serde::{Deserialize, Serialize};

use super::alter::Reach;
use super::write::now_ms;
use super::{Collection, Definition, Snapshot};
use crate::error::{EngineError, Result};
use crate::exec::matches;
use crate::filter::Filter;
use crate::limits;
use crate::row::Batch;
use crate::schema::{PARTITION_COLUMN, check_partition_name};

/// The partition that always exists.
pub const DEFAULT_PARTITION: &str = "_default";

/// A part of the rows of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partition {
    /// Number; never given out twice in a collection.
    pub id: i32,
    /// Name, unique in the collection.
    pub name: String,
    /// Whether a client has asked for it to be loaded.
    #[serde(default)]
    pub loaded: bool,
    /// When it was made, in milliseconds since 1970; 0: not known.
    #[serde(default)]
    pub created_ms: u64,
}

impl Definition {
    /// All partitions in order of their creation.
    pub fn partitions(&self) -> Vec<Partition> {
        let (loaded, created_ms) = (self.loaded, self.created_ms);
        if self.schema.partition_key().is_some() {
            let name = |id| format!("{DEFAULT_PARTITION}_{id}");
            let named = |id| Partition { id: id as i32, name: name(id), loaded, created_ms };
            return (0..self.key_partitions()).map(named).collect();
        }
        let first = Partition { id: 0, name: DEFAULT_PARTITION.to_owned(), loaded, created_ms };
        std::iter::once(first).chain(self.partitions.iter().cloned()).collect()
    }

    /// How many partitions the values of the partition key are spread over.
    fn key_partitions(&self) -> usize {
        self.partitions_num.unwrap_or(limits::DEFAULT_KEY_PARTITIONS)
    }

    fn partition(&self, name: &str) -> Result<Partition> {
        let found = self.partitions().into_iter().find(|partition| partition.name == name);
        found.ok_or_else(|| EngineError::PartitionNotFound { name: name.to_owned() })
    }

    /// Notes what a client has asked to be loaded or released: everything, or these partitions.
    pub(super) fn set_loaded(&mut self, partitions: &[String], loaded: bool) -> Result<()> {
        self.released = !loaded && (partitions.is_empty() || self.released);
        if partitions.is_empty() {
            self.loaded = loaded;
            self.partitions.iter_mut().for_each(|partition| partition.loaded = loaded);
            return Ok(());
        }
        for name in partitions {
            let id = self.partition(name)?.id;
            match self.partitions.iter_mut().find(|partition| partition.id == id) {
                Some(partition) => partition.loaded = loaded,
                None => self.loaded = loaded,
            }
        }
        Ok(())
    }

    /// Lets those read who may: everybody, until somebody releases the collection.
    ///
    /// # Errors
    /// `NotLoaded`.
    pub fn check_readable(&self) -> Result<()> {
        match self.released {
            true => Err(EngineError::NotLoaded { name: self.name.clone() }),
            false => Ok(()),
        }
    }

    /// How many partitions count as loaded.
    pub(super) fn loaded_partitions(&self) -> usize {
        self.partitions().iter().filter(|partition| partition.loaded).count()
    }

    /// Whether all of it, or all of these partitions, count as loaded.
    ///
    /// # Errors
    /// `PartitionNotFound`.
    pub fn is_loaded(&self, partitions: &[String]) -> Result<bool> {
        if partitions.is_empty() {
            return Ok(self.partitions().iter().any(|partition| partition.loaded));
        }
        for name in partitions {
            if !self.partition(name)?.loaded {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Refuses to name partitions where the partition key decides.
    fn check_manual(&self) -> Result<()> {
        if self.schema.partition_key().is_none() {
            return Ok(());
        }
        Err(EngineError::invalid(
            "not support manually specifying the partition names if partition key mode is used",
        ))
    }
}

impl Collection {
    /// All partitions in order of their creation.
    pub fn partitions(&self) -> Vec<Partition> {
        self.definition.read().partitions()
    }

    /// Adds a partition; one that exists stays as it is. Durable when it returns.
    ///
    /// # Errors
    /// `InvalidParameter` for the name, for too many, and with a partition key; storage errors.
    pub fn create_partition(&self, name: &str) -> Result<()> {
        check_partition_name(name)?;
        if self.partitions().iter().any(|partition| partition.name == name) {
            return Ok(());
        }
        // The first one gives rows a column.
        let reach = if self.schema().partitioned() { Reach::Words } else { Reach::Schema };
        self.alter(reach, |definition| {
            if definition.schema.partition_key().is_some() {
                return Err(EngineError::invalid("disable create partition if partition key mode is used"));
            }
            if definition.partitions.iter().any(|partition| partition.name == name) {
                return Ok(());
            }
            if definition.partitions.len() + 1 >= limits::MAX_PARTITIONS {
                return Err(EngineError::invalid(format!(
                    "partition number ({}) exceeds max configuration ({})",
                    definition.partitions.len() + 2,
                    limits::MAX_PARTITIONS
                )));
            }
            definition.next_partition = definition.next_partition.max(1);
            let id = definition.next_partition;
            definition.next_partition += 1;
            let (name, loaded) = (name.to_owned(), definition.loaded);
            definition.partitions.push(Partition { id, name, loaded, created_ms: now_ms() as u64 });
            definition.schema = definition.schema.with_partitions();
            Ok(())
        })
    }

    /// Removes a partition with its rows; an unknown one is none already.
    ///
    /// # Errors
    /// `InvalidParameter` for the default partition, a loaded one, and with a partition key; storage errors.
    pub fn drop_partition(&self, name: &str) -> Result<()> {
        if name == DEFAULT_PARTITION {
            return Err(EngineError::invalid("default partition cannot be deleted"));
        }
        let mut manifest = self.manifest.lock();
        self.check_open()?;
        let definition = manifest.definition();
        if definition.schema.partition_key().is_some() {
            return Err(EngineError::invalid("disable drop partition if partition key mode is used"));
        }
        let Some(partition) = definition.partitions.iter().find(|p| p.name == name) else {
            return Ok(());
        };
        if partition.loaded {
            return Err(EngineError::invalid(
                "partition cannot be dropped, partition is loaded, please release it first",
            ));
        }
        let id = partition.id;
        let writer = self.writer.lock();
        let mut next = manifest.clone();
        let mut seen = Snapshot::clone(&self.snapshot());
        // Storing this is the moment: its rows are dead from then on, also for a start after a crash.
        if seen.kill_partitions(&BTreeSet::from([id])) > 0 {
            next.drop_partition(id, Some(writer.wal.last_sequence()));
            self.put_compaction_due();
        } else {
            next.drop_partition(id, None);
        }
        self.show(&mut manifest, next, Some(seen), &writer)
    }

    /// Live rows of a partition.
    ///
    /// # Errors
    /// `PartitionNotFound`.
    pub fn count_partition(&self, name: &str) -> Result<u64> {
        let definition = self.definition();
        let partition = definition.partition(name)?;
        if let Some(key) = definition.schema.partition_key() {
            return self.count_by_key(&key.name, partition.id as u64, definition.key_partitions() as u64);
        }
        if !self.schema().partitioned() {
            return Ok(self.count());
        }
        self.count_where(&self.only_partitions(vec![partition.id.into()])?)
    }

    fn count_by_key(&self, field: &str, wanted: u64, partitions: u64) -> Result<u64> {
        let snapshot = self.snapshot();
        let visible = self.visible(&snapshot, None)?;
        let mut count = 0;
        for (view, rows) in snapshot.views().iter().zip(matches(&snapshot, visible.as_ref())?) {
            let Some(column) = view.segment.scalars().column_by_name(field) else { continue };
            count += rows.iter().filter(|&row| bucket(column, row, partitions) == wanted).count() as u64;
        }
        Ok(count)
    }

    /// The filter with the restriction to partitions; no names restrict nothing.
    ///
    /// # Errors
    /// `PartitionNotFound`; `InvalidParameter` with a partition key.
    pub fn within(&self, filter: Option<Filter>, partitions: &[String]) -> Result<Option<Filter>> {
        if partitions.is_empty() {
            return Ok(filter);
        }
        let definition = self.definition.read();
        definition.check_manual()?;
        let ids = partitions.iter().map(|name| Ok(definition.partition(name)?.id.into()));
        let ids: Vec<i64> = ids.collect::<Result<_>>()?;
        drop(definition);
        if !self.schema().partitioned() {
            return Ok(filter);
        }
        let only = self.only_partitions(ids)?;
        Ok(Some(match filter {
            Some(filter) => filter.and(only),
            None => only,
        }))
    }

    fn only_partitions(&self, ids: Vec<i64>) -> Result<Filter> {
        let schema = self.schema();
        let missing = || EngineError::Internal("no partition column".into());
        let column = schema.hidden_column(PARTITION_COLUMN).ok_or_else(missing)?;
        Ok(Filter::among(&schema, column, ids))
    }

    /// Whether the partition is still there at the moment of a commit.
    pub(super) fn check_partition(&self, id: i32) -> Result<()> {
        let known = id == 0 || self.definition.read().partitions.iter().any(|partition| partition.id == id);
        if known { Ok(()) } else { Err(EngineError::PartitionNotFound { name: format!("#{id}") }) }
    }

    /// The batch for a partition.
    pub(super) fn place(&self, batch: Batch, partition: &str) -> Result<Batch> {
        if partition.is_empty() {
            return Ok(batch);
        }
        let definition = self.definition.read();
        definition.check_manual()?;
        Ok(batch.in_partition(definition.partition(partition)?.id))
    }
}

/// The partition that a value of the partition key belongs to.
fn bucket(column: &ArrayRef, row: usize, partitions: u64) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    match column.as_primitive_opt::<Int64Type>() {
        Some(keys) => hasher.write(&keys.value(row).to_le_bytes()),
        None => hasher.write(column.as_string::<i32>().value(row).as_bytes()),
    }
    debug_assert!(!column.is_null(row), "a partition key is never null");
    hasher.finish() % partitions.max(1)
}

/// FNV-1a (Fowler, Noll and Vo): the same in every version of this program.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
