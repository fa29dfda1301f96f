//! What makes filters on a sealed segment fast: orders of scalar columns, and columns of undeclared keys. All of it is
//! derived: made in the background from the rows, in memory only, and made again after a start. A filter gives the same
//! rows with and without it ([`crate::filter`] decides where it helps).

mod index;
mod shred;

use std::collections::HashMap;

use arrow_array::{Array, ArrayRef, RecordBatch};

pub(crate) use index::{ScalarIndex, between, bitmap};
use shred::shred;

use crate::error::Result;
use crate::schema::{DYNAMIC_FIELD, field_id};

/// What is known of the scalar columns of one segment.
#[derive(Debug, Default)]
pub(crate) struct ScalarIndexes {
    /// By the number of the field, as Arrow's schema has it.
    indexes: HashMap<String, ScalarIndex>,
    /// Values of undeclared keys that are of one type.
    keys: HashMap<String, ArrayRef>,
    /// The numbers of the fields that they were made for.
    fields: Vec<i64>,
}

impl ScalarIndexes {
    /// Makes them for the columns of these fields, known by their numbers, that can have one, and for the undeclared keys
    /// that recur.
    ///
    /// # Errors
    /// Arrow's, which only a bug can cause.
    pub(crate) fn build(columns: &RecordBatch, fields: &[i64]) -> Result<Self> {
        let schema = columns.schema_ref();
        let mut indexes = HashMap::new();
        for (field, column) in schema.fields().iter().zip(columns.columns()) {
            let Some(id) = field_id(field) else { continue };
            if !id.parse().is_ok_and(|number| fields.contains(&number)) {
                continue;
            }
            if let Some(index) = ScalarIndex::build(column)? {
                indexes.insert(id.to_owned(), index);
            }
        }
        let keys = columns.column_by_name(DYNAMIC_FIELD).map(shred).unwrap_or_default();
        Ok(Self { indexes, keys, fields: fields.to_vec() })
    }

    /// The numbers of the fields that they were made for.
    pub(crate) fn fields(&self) -> &[i64] {
        &self.fields
    }

    /// The index over a column.
    pub(crate) fn index(&self, field: &arrow_schema::Field) -> Option<&ScalarIndex> {
        self.indexes.get(field_id(field)?)
    }

    /// The values of an undeclared key: Int64, Float64, Utf8 or Boolean, null where a row has none.
    pub(crate) fn key(&self, name: &str) -> Option<&ArrayRef> {
        self.keys.get(name)
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let keys: usize = self.keys.values().map(|column| column.get_array_memory_size()).sum();
        self.indexes.values().map(ScalarIndex::bytes).sum::<usize>() + keys
    }
}
