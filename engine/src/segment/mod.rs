//! A segment is rows: scalar columns, vector matrices and a key index, none of which ever changes. Fresh rows lie in
//! memory, sealed ones in memory-mapped files; readers cannot tell them apart. Which rows are dead is said beside the
//! segment, in a [`SegmentView`], so that a snapshot is a list of shared pointers.

mod build;
mod files;
mod keys;
mod vectors;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, RecordBatch};
use parking_lot::RwLock;
use roaring::RoaringBitmap;

pub(crate) use build::{live_rows, merge, merge_scalars};
pub(crate) use files::{
    KeyFile, SegmentEntry, open_segment, read_deletes, segment_paths, verify_keys, verify_vectors,
    write_deletes, write_segment,
};
pub use keys::KeyIndex;
pub use vectors::VectorColumn;

use crate::error::{EngineError, Result};
use crate::index::VectorIndex;
use crate::index::scalar::ScalarIndexes;
use crate::index::sparse::SparseIndex;
use crate::row::{Chunk, KeyRef, Keys};
use crate::schema::{DataType, Schema, adapt, added_bytes};

/// Rows that never change, in memory or mapped from files.
#[derive(Debug)]
pub struct Segment {
    id: u64,
    scalars: RecordBatch,
    vectors: Arc<Vec<VectorColumn>>,
    key_column: ArrayRef,
    keys: Arc<KeyIndex>,
    sealed: bool,
    bytes: usize,
    /// For each dense vector field, once there is one.
    indexes: Arc<Vec<RwLock<Option<Arc<VectorIndex>>>>>,
    /// By the number of a sparse vector field: an index that is made once, and then stays.
    sparse: Arc<HashMap<i64, OnceLock<Arc<SparseIndex>>>>,
    /// What makes filters fast, once it is there.
    scalar: Arc<RwLock<Option<Arc<ScalarIndexes>>>>,
}

impl Segment {
    /// A segment in memory from complete columns.
    pub(crate) fn in_memory(id: u64, schema: &Arc<Schema>, chunk: Chunk) -> Result<Self> {
        let dims = schema.dense_fields().map(|f| f.dim.unwrap_or(0));
        let vectors =
            dims.zip(chunk.vectors).map(|(dim, matrix)| VectorColumn::in_memory(dim, matrix)).collect();
        let key_column = key_column(schema, &chunk.scalars)?;
        let keys = KeyIndex::build(&key_column)?;
        Self::assemble(id, schema, chunk.scalars, vectors, keys, None)
    }

    /// `file_bytes`: length of the file of the scalar columns, and of what was added to them, for a segment in files.
    pub(crate) fn assemble(
        id: u64,
        schema: &Arc<Schema>,
        scalars: RecordBatch,
        vectors: Vec<VectorColumn>,
        keys: KeyIndex,
        file_bytes: Option<usize>,
    ) -> Result<Self> {
        let key_column = key_column(schema, &scalars)?;
        let rows = scalars.num_rows();
        if vectors.len() != schema.dense_fields().count() || vectors.iter().any(|v| v.rows() != rows) {
            return Err(EngineError::Internal(format!("segment {id}: columns of different length")));
        }
        // Mapped arrays all count the whole file as theirs.
        let scalar_bytes = file_bytes.unwrap_or_else(|| scalars.get_array_memory_size());
        let bytes = scalar_bytes + vectors.iter().map(VectorColumn::bytes).sum::<usize>();
        let indexes = vectors.iter().map(|_| RwLock::default()).collect();
        Ok(Self {
            id,
            scalars,
            vectors: Arc::new(vectors),
            key_column,
            keys: Arc::new(keys),
            sealed: file_bytes.is_some(),
            bytes,
            indexes: Arc::new(indexes),
            sparse: Arc::new(sparse_slots(schema)),
            scalar: Arc::default(),
        })
    }

    /// The same rows under a later schema of the collection.
    pub(crate) fn under(&self, schema: &Arc<Schema>) -> Result<Self> {
        let added = added_bytes(&self.scalars.schema(), schema, self.rows() as u64);
        let scalars = adapt(&self.scalars, schema)?;
        Ok(Self {
            id: self.id,
            key_column: key_column(schema, &scalars)?,
            scalars,
            vectors: Arc::clone(&self.vectors),
            keys: Arc::clone(&self.keys),
            sealed: self.sealed,
            bytes: self.bytes + added as usize,
            indexes: Arc::clone(&self.indexes),
            // A sparse field that came later has no index here; its rows are few, or none have a value.
            sparse: Arc::clone(&self.sparse),
            scalar: Arc::clone(&self.scalar),
        })
    }

    /// Number that names it and its files.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Rows, dead ones included.
    pub fn rows(&self) -> usize {
        self.scalars.num_rows()
    }

    /// Whether its rows lie in files.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// All columns, by [`Schema::arrow`].
    pub fn scalars(&self) -> &RecordBatch {
        &self.scalars
    }

    /// The matrix of a dense vector field, by its position among the dense vector fields.
    pub fn vectors(&self, index: usize) -> Option<&VectorColumn> {
        self.vectors.get(index)
    }

    /// The matrices of all dense vector fields, in their order.
    pub(crate) fn matrices(&self) -> impl Iterator<Item = &VectorColumn> {
        self.vectors.iter()
    }

    /// The index over a vector field, by its position among the dense vector fields.
    pub(crate) fn index(&self, field: usize) -> Option<Arc<VectorIndex>> {
        self.indexes.get(field)?.read().clone()
    }

    /// The index over the sparse vectors of a field, by the field's number.
    pub(crate) fn sparse_index(&self, field: i64) -> Option<&Arc<SparseIndex>> {
        self.sparse.get(&field)?.get()
    }

    /// Whether there could be an index over the sparse vectors of a field, and is none.
    pub(crate) fn lacks_sparse_index(&self, field: i64) -> bool {
        self.sparse.get(&field).is_some_and(|slot| slot.get().is_none())
    }

    /// From now on searches use the index.
    pub(crate) fn set_sparse_index(&self, field: i64, index: SparseIndex) {
        if let Some(slot) = self.sparse.get(&field) {
            // Of two that were made at once either will do.
            let _ = slot.set(Arc::new(index));
        }
    }

    /// What is prepared of the scalar columns.
    pub(crate) fn scalar_indexes(&self) -> Option<Arc<ScalarIndexes>> {
        self.scalar.read().clone()
    }

    /// From now on filters use it.
    pub(crate) fn set_scalar_indexes(&self, indexes: ScalarIndexes) {
        *self.scalar.write() = Some(Arc::new(indexes));
    }

    /// Bytes of its indexes.
    pub(crate) fn index_bytes(&self) -> usize {
        let dense = self.indexes.iter().filter_map(|slot| Some(slot.read().as_ref()?.bytes()));
        let sparse = self.sparse.values().filter_map(|slot| Some(slot.get()?.bytes()));
        let scalar = self.scalar.read().as_ref().map_or(0, |indexes| indexes.bytes());
        dense.chain(sparse).sum::<usize>() + scalar
    }

    /// From now on searches use the index.
    pub(crate) fn set_index(&self, field: usize, index: Option<Arc<VectorIndex>>) {
        if let Some(slot) = self.indexes.get(field) {
            *slot.write() = index;
        }
    }

    /// Rows in ascending key order, and look-up by key.
    pub fn keys(&self) -> &KeyIndex {
        &self.keys
    }

    /// The primary key of a row. `row` must be below [`Segment::rows`].
    pub fn key(&self, row: usize) -> KeyRef<'_> {
        key_at(&self.key_column, row)
    }

    /// All rows with this key: at most one of them is alive.
    pub fn find(&self, key: KeyRef<'_>) -> impl Iterator<Item = u32> + '_ {
        self.keys.find(&self.key_column, key)
    }

    /// Calls `found` with every row that has one of these keys.
    pub(crate) fn find_each(&self, keys: &Keys, found: &mut dyn FnMut(u32)) {
        self.keys.find_each(&self.key_column, keys, found);
    }

    /// Bytes of its vectors and columns.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A segment as one snapshot sees it: which of its rows are dead.
#[derive(Debug, Clone)]
pub struct SegmentView {
    /// The rows.
    pub segment: Arc<Segment>,
    /// Rows that were deleted or replaced.
    pub deleted: Arc<RoaringBitmap>,
}

impl SegmentView {
    /// A view of which nothing is dead.
    pub fn new(segment: Arc<Segment>) -> Self {
        Self { segment, deleted: Arc::new(RoaringBitmap::new()) }
    }

    /// Rows that are alive.
    pub fn live(&self) -> usize {
        self.segment.rows() - self.deleted.len() as usize
    }

    /// The share of the segment's bytes that belongs to live rows.
    pub(crate) fn live_bytes(&self) -> u64 {
        (self.segment.bytes() as u128 * self.live() as u128 / self.segment.rows().max(1) as u128) as u64
    }
}

fn sparse_slots(schema: &Schema) -> HashMap<i64, OnceLock<Arc<SparseIndex>>> {
    let fields = schema.fields().iter().filter(|f| f.data_type == DataType::SparseFloatVector);
    fields.map(|field| (field.id, OnceLock::new())).collect()
}

fn key_column(schema: &Schema, scalars: &RecordBatch) -> Result<ArrayRef> {
    let name = &schema.primary().name;
    let column = scalars.column_by_name(name);
    column.cloned().ok_or_else(|| EngineError::Internal(format!("no key column {name}")))
}

/// The key in `row` of a key column (Int64 or text, never null).
pub(crate) fn key_at(column: &ArrayRef, row: usize) -> KeyRef<'_> {
    match column.as_primitive_opt::<Int64Type>() {
        Some(keys) => KeyRef::Int(keys.value(row)),
        None => KeyRef::Text(column.as_string::<i32>().value(row)),
    }
}
