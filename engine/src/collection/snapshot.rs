//! The state that readers see: segments with their dead rows, as shared pointers. A snapshot never changes; applying a
//! record makes the next one. Replaying the log and committing a write go through the same [`Snapshot::apply`], so
//! that what recovery rebuilds is what was acknowledged.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use roaring::RoaringBitmap;

use super::record::Record;
use crate::error::Result;
use crate::row::{Key, KeyRef, Keys};
use crate::schema::{PARTITION_COLUMN, Schema, check_added};
use crate::segment::{Segment, SegmentView, merge};

/// Small chunks in memory are joined up to this many bytes: fewer segments to visit, bounded copying.
const JOIN_BYTES: usize = 8 << 20;

/// All rows of a collection at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    schema: Arc<Schema>,
    views: Vec<SegmentView>,
}

/// What applying a record did.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// Keys of the rows added.
    pub(crate) keys: Option<Keys>,
    /// Rows that died.
    pub(crate) died: u64,
    /// The rows added.
    pub(crate) added: Option<Arc<Segment>>,
}

impl Snapshot {
    pub(crate) fn new(schema: Arc<Schema>, views: Vec<SegmentView>) -> Self {
        Self { schema, views }
    }

    /// The schema of all its rows.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The same rows under a later schema of the collection.
    pub(crate) fn under(&self, schema: &Arc<Schema>) -> Result<Self> {
        let adapt = |view: &SegmentView| {
            let segment = Arc::new(view.segment.under(schema)?);
            Ok(SegmentView { segment, deleted: Arc::clone(&view.deleted) })
        };
        let views = self.views.iter().map(adapt).collect::<Result<_>>()?;
        Ok(Self { schema: Arc::clone(schema), views })
    }

    /// Bytes that fields take in the rows which a later schema of the collection adds.
    ///
    /// # Errors
    /// `InvalidParameter` when one takes more than a column may.
    pub(crate) fn check_added(&self, schema: &Schema) -> Result<u64> {
        let rows = self.views.iter().map(|view| view.segment.rows() as u64).sum();
        check_added(&self.schema.arrow(), schema, rows)
    }

    /// Segments, oldest first.
    pub fn views(&self) -> &[SegmentView] {
        &self.views
    }

    /// Rows that are alive.
    pub fn live(&self) -> u64 {
        self.views.iter().map(|v| v.live() as u64).sum()
    }

    /// Segment and row of the live row with this key.
    pub fn find(&self, key: KeyRef<'_>) -> Option<(usize, u32)> {
        self.views.iter().enumerate().rev().find_map(|(index, view)| {
            view.segment.find(key).find(|&row| !view.deleted.contains(row)).map(|row| (index, row))
        })
    }

    /// Bytes of rows that no file holds yet.
    pub(crate) fn growing_bytes(&self) -> usize {
        self.views.iter().filter(|v| !v.segment.is_sealed()).map(|v| v.segment.bytes()).sum()
    }

    /// Applies one record. `segment_id` gives numbers to new segments.
    pub(crate) fn apply(&mut self, record: Record, segment_id: &mut dyn FnMut() -> u64) -> Result<Applied> {
        match record {
            Record::Delete(keys) => Ok(Applied { died: self.kill(&keys), ..Applied::default() }),
            Record::Truncate => {
                let died = self.live();
                for view in &mut self.views {
                    let rows = view.segment.rows() as u32;
                    Arc::make_mut(&mut view.deleted).insert_range(0..rows);
                }
                Ok(Applied { died, ..Applied::default() })
            }
            Record::Insert { chunk, fresh_keys, .. } => {
                let schema = &self.schema;
                let mut view = SegmentView::new(Arc::new(Segment::in_memory(segment_id(), schema, chunk)?));
                let mut keys = Keys::empty(schema.primary().data_type);
                let segment = Arc::clone(&view.segment);
                (0..segment.rows()).for_each(|row| keys.push(segment.key(row)));
                let mut died = 0;
                if !fresh_keys {
                    died = self.kill(&keys);
                    kill_repeated(&mut view);
                }
                if segment.rows() > 0 {
                    self.views.push(view);
                }
                Ok(Applied { keys: Some(keys), died, added: Some(segment) })
            }
        }
    }

    /// Marks all rows of some partitions dead; returns how many died.
    pub(crate) fn kill_partitions(&mut self, ids: &BTreeSet<i32>) -> u64 {
        let Some(column) = self.schema.hidden_column(PARTITION_COLUMN).filter(|_| !ids.is_empty()) else {
            return 0;
        };
        let mut died = 0;
        for view in &mut self.views {
            let column = view.segment.scalars().columns().get(column);
            let Some(partitions) = column.and_then(|column| column.as_primitive_opt::<Int32Type>()) else {
                continue;
            };
            let rows =
                partitions.values().iter().zip(0..).filter(|(id, _)| ids.contains(id)).map(|(_, row)| row);
            let dead: RoaringBitmap = rows.collect();
            let before = view.deleted.len();
            if !dead.is_subset(&view.deleted) {
                *Arc::make_mut(&mut view.deleted) |= dead;
            }
            died += view.deleted.len() - before;
        }
        died
    }

    /// Joins small chunks at the end, except those in `fixed` (being sealed right now), as a binary counter does: each
    /// row is copied a logarithmic number of times.
    pub(crate) fn join_small(
        &mut self,
        fixed: &HashSet<u64>,
        segment_id: &mut dyn FnMut() -> u64,
    ) -> Result<()> {
        while let [.., a, b] = self.views.as_slice() {
            let joinable = |v: &SegmentView| !v.segment.is_sealed() && !fixed.contains(&v.segment.id());
            let bytes = a.segment.bytes() + b.segment.bytes();
            if !joinable(a) || !joinable(b) || bytes > JOIN_BYTES || a.live() > 2 * b.live().max(1) {
                break;
            }
            let rest = self.views.len() - 2;
            let schema = &self.schema;
            let chunk = merge(schema, &self.views[rest..])?;
            let joined = match chunk.scalars.num_rows() {
                0 => None,
                _ => Some(SegmentView::new(Arc::new(Segment::in_memory(segment_id(), schema, chunk)?))),
            };
            // Only now: after an error the pair is still there.
            self.views.truncate(rest);
            self.views.extend(joined);
        }
        Ok(())
    }

    /// Marks the live row with this key dead; returns how many died.
    fn kill(&mut self, keys: &Keys) -> u64 {
        let mut died = 0;
        for view in &mut self.views {
            view.segment.find_each(keys, &mut |row| {
                if !view.deleted.contains(row) {
                    Arc::make_mut(&mut view.deleted).insert(row);
                    died += 1;
                }
            });
        }
        died
    }
}

/// Of several rows with one key in a batch the last one lives.
fn kill_repeated(view: &mut SegmentView) {
    let segment = &view.segment;
    let order = segment.keys();
    for rank in 1..order.len() {
        let (earlier, later) = (order.row_at(rank - 1), order.row_at(rank));
        if segment.key(earlier as usize) == segment.key(later as usize) {
            Arc::make_mut(&mut view.deleted).insert(earlier);
        }
    }
}

/// The largest generated key in a list, plus one; `None` where nothing in it can collide with generated keys.
pub(crate) fn after_largest(keys: &Keys) -> Option<i64> {
    keys.iter()
        .filter_map(|key| match key.to_key() {
            Key::Int(i) => Some(i),
            Key::Text(s) => s.parse().ok(),
        })
        .max()
        .map(|largest| largest.saturating_add(1))
}
