//! Indexes of sealed segments. They are derived: made, or opened, after a segment is there, in the background, and never
//! waited for; until then its rows are compared one by one. The largest segment without one comes first, and a segment
//! that compaction is about to rewrite gets none.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use elanus_storage::{Resource, StorageError};
use parking_lot::Mutex;

use arrow_array::cast::AsArray;

use super::alter::Altering;
use super::{Collection, Definition};
use crate::compact::choose;
use crate::error::{EngineError, Result};
use crate::index::scalar::ScalarIndexes;
use crate::index::sparse::SparseIndex;
use crate::index::{BuildProgress, LEAST_ROWS, Plan, VectorIndex, index_path, open_index, write_index};
use crate::schema::{DataType, Field, Schema};
use crate::segment::{Segment, SegmentView};

/// After a failed build the next attempt waits this long, twice as long after the next, and so on up to ten minutes.
const RETRY: Duration = Duration::from_secs(10);
/// Below so many rows, comparing all of them takes no longer than an index over sparse vectors.
const LEAST_SPARSE_ROWS: usize = 1024;
/// Of the memory there is, a build leaves this share, in percent.
const SPARE_MEMORY: u64 = 10;

/// The indexing of one collection.
#[derive(Debug, Default)]
pub(super) struct Indexing {
    running: Mutex<Option<Arc<BuildProgress>>>,
    finished: AtomicU64,
    /// Time that builds took, in milliseconds.
    build_ms: AtomicU64,
    /// By segment and position of the field.
    failed: Mutex<HashMap<(u64, usize), Failure>>,
}

/// A build that failed, and how long the next attempt waits.
#[derive(Debug, Default)]
struct Failure {
    reason: String,
    attempts: u32,
    until: Option<Instant>,
}

impl Failure {
    fn again(&mut self, reason: String) {
        let wait = RETRY.saturating_mul(1 << self.attempts.min(6));
        *self = Self { reason, attempts: self.attempts + 1, until: Some(Instant::now() + wait) };
    }

    fn waits(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() < until)
    }
}

/// Lets others see a build and call it off, for as long as this lives.
struct Running<'a>(&'a Indexing);

impl<'a> Running<'a> {
    fn new(indexing: &'a Indexing, progress: &Arc<BuildProgress>) -> Self {
        *indexing.running.lock() = Some(Arc::clone(progress));
        Self(indexing)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.0.running.lock() = None;
    }
}

/// How far the index of one vector field is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexState {
    /// Live rows.
    pub total_rows: u64,
    /// Live rows that searches reach through an index, or whose segments need none.
    pub indexed_rows: u64,
    /// Bytes of the indexes.
    pub bytes: u64,
    /// What is built: `FLAT`, `IVF_FLAT`, `IVF_SQ8`, `HNSW`, `HNSW_SQ`.
    pub kind: &'static str,
    /// Why the last build failed, if so. It is tried again.
    pub failure: Option<String>,
}

/// Indexes of a collection, as metrics show them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexingStats {
    /// Live rows that searches reach through an index, or whose segments need none; of each vector field.
    pub indexed_rows: u64,
    /// Live rows in segments that wait for an index.
    pub pending_rows: u64,
    /// Bytes of the indexes.
    pub bytes: u64,
    /// Indexes built or opened since the start.
    pub finished: u64,
    /// Time that builds took since the start, in milliseconds.
    pub build_ms: u64,
}

/// One index to make.
struct Work {
    view: SegmentView,
    field: usize,
    plan: Plan,
    metric: crate::kernel::Metric,
}

impl Collection {
    /// Opens or builds one index that is missing; false when there is none.
    ///
    /// # Errors
    /// `Closing`; storage errors. Rows stay searchable.
    pub fn build_index(&self) -> Result<bool> {
        let _one_at_a_time = self.indexing_turn.lock();
        let progress = Arc::new(BuildProgress::default());
        // From here on it can be called off.
        let _running = Running::new(&self.indexing, &progress);
        self.check_open()?;
        // Indexes can wait; rows can't.
        if !self.shared.quota.exceeded().is_empty() {
            return Ok(false);
        }
        let Some(work) = self.next_index() else {
            // One that finds no room must not keep the other from being made.
            let (sparse, scalar) = (self.make_sparse_index(), self.make_scalar_indexes());
            return Ok(sparse? || scalar?);
        };
        let place = (work.view.segment.id(), work.field);
        match self.make_index(&work, &progress, true) {
            Ok(()) => {
                self.indexing.failed.lock().remove(&place);
                self.indexing.finished.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            Err(EngineError::Closing) => self.check_open().map(|()| true),
            Err(error) => {
                self.indexing.failed.lock().entry(place).or_default().again(error.to_string());
                Err(error)
            }
        }
    }

    /// Adds an index; durable when it returns, built in the background. The same one again changes nothing.
    ///
    /// # Errors
    /// `InvalidParameter`: another index on the field, another of the name, a type or parameter that is none; storage
    /// errors.
    pub fn create_index(&self, index: super::IndexDefinition) -> Result<()> {
        let mut manifest = self.manifest.lock();
        self.check_open()?;
        let known = &manifest.definition().indexes;
        if known.contains(&index) {
            return Ok(());
        }
        let on = |index: &super::IndexDefinition| (index.field.clone(), index.json_path().map(str::to_owned));
        if known.iter().any(|other| on(other) != on(&index) && other.name == index.name) {
            return Err(EngineError::invalid("at most one distinct index is allowed per field"));
        }
        let mut next = manifest.clone();
        next.definition_mut().indexes.push(index);
        next.definition().check()?;
        self.put_definition(&mut manifest, next)?;
        self.shared.want_index();
        Ok(())
    }

    /// Removes an index; false when there is none of the name. Searches compare every row from now on.
    ///
    /// # Errors
    /// Storage errors. Files that cannot be removed are not used again.
    pub fn drop_index(&self, name: &str) -> Result<bool> {
        if !self.definition.read().indexes.iter().any(|index| index.name == name) {
            return Ok(false);
        }
        // Merging at rest gives way, also if it comes to its index only now.
        let _waits = Altering::new(self);
        self.call_off_indexing();
        let _no_build = self.indexing_turn.lock();
        let mut manifest = self.manifest.lock();
        self.check_open()?;
        let mut next = manifest.clone();
        let indexes = &mut next.definition_mut().indexes;
        let Some(place) = indexes.iter().position(|index| index.name == name) else { return Ok(false) };
        let field = indexes.remove(place).field;
        self.put_definition(&mut manifest, next)?;
        let Some(position) = self.schema().dense_fields().position(|f| f.name == field) else {
            return Ok(true);
        };
        self.indexing.failed.lock().clear();
        let snapshot = self.snapshot();
        snapshot.views().iter().for_each(|view| view.segment.set_index(position, None));
        for view in snapshot.views() {
            self.remove_index_file(&index_path(&self.dir, view.segment.id(), position));
        }
        Ok(true)
    }

    /// One that stays is replaced by the next index, or swept at the next start.
    fn remove_index_file(&self, path: &std::path::Path) {
        let vfs = self.shared.vfs.as_ref();
        let removed = vfs.exists(path).and_then(|there| if there { vfs.remove_file(path) } else { Ok(()) });
        if let Err(error) = removed {
            tracing::warn!(collection = self.name, %error, "an index without use is left");
        }
    }

    /// How far the index of a vector field is; none for a field without one.
    pub fn index_state(&self, field: &str) -> Option<IndexState> {
        let (position, definition) = self.indexed_fields().into_iter().find(|(_, d)| d.field == field)?;
        let dim = self.schema().field(field)?.1.dim.unwrap_or(0);
        let plan = Plan::of(&definition, dim).ok()?;
        let snapshot = self.snapshot();
        let (mut indexed_rows, mut bytes, mut pending_rows) = (0, 0, 0u64);
        for view in snapshot.views() {
            match view.segment.index(position) {
                Some(index) => {
                    indexed_rows += view.live() as u64;
                    bytes += index.bytes() as u64;
                }
                None if wants_index(&view.segment, plan) => pending_rows += view.live() as u64,
                None => indexed_rows += view.live() as u64,
            }
        }
        let done = self.indexing.running.lock().as_ref().map_or(0, |progress| progress.rows() as u64);
        Some(IndexState {
            total_rows: snapshot.live(),
            indexed_rows: indexed_rows + done.min(pending_rows.saturating_sub(1)),
            bytes,
            kind: plan.name(),
            failure: self.indexing.failed.lock().values().map(|failure| failure.reason.clone()).next(),
        })
    }

    pub(super) fn indexing_stats(&self) -> IndexingStats {
        let fields = self.indexed_fields();
        let states: Vec<IndexState> = fields.iter().filter_map(|(_, d)| self.index_state(&d.field)).collect();
        IndexingStats {
            indexed_rows: states.iter().map(|s| s.indexed_rows).sum(),
            pending_rows: states.iter().map(|s| s.total_rows.saturating_sub(s.indexed_rows)).sum(),
            bytes: states.iter().map(|s| s.bytes).sum(),
            finished: self.indexing.finished.load(Ordering::Relaxed),
            build_ms: self.indexing.build_ms.load(Ordering::Relaxed),
        }
    }

    /// Lets an index that is being built end soon.
    pub(super) fn call_off_indexing(&self) {
        if let Some(progress) = self.indexing.running.lock().as_ref() {
            progress.call_off();
        }
    }

    /// Dense vector fields with an index, by their position among the dense vector fields.
    fn indexed_fields(&self) -> Vec<(usize, super::IndexDefinition)> {
        let definition = self.definition.read();
        let find = |name: &str| definition.indexes.iter().find(|index| index.field == name).cloned();
        let schema = self.schema();
        let fields = schema.dense_fields().enumerate();
        fields.filter_map(|(position, field)| Some((position, find(&field.name)?))).collect()
    }

    /// The same, with what is to be built.
    fn planned_fields(&self) -> Vec<(usize, Plan, crate::kernel::Metric)> {
        let schema = self.schema();
        let planned = |(field, definition): (usize, super::IndexDefinition)| {
            let dim = schema.field(&definition.field).and_then(|(_, f)| f.dim).unwrap_or(0);
            // A definition that an older version took may stand for nothing.
            let plan = Plan::of(&definition, dim).ok()?;
            Some((field, plan, definition.metric.and_then(crate::MetricType::dense)?))
        };
        self.indexed_fields().into_iter().filter_map(planned).collect()
    }

    /// The index to make next: that of the most rows.
    fn next_index(&self) -> Option<Work> {
        let snapshot = self.snapshot();
        let sealed: Vec<&SegmentView> = snapshot.views().iter().filter(|v| v.segment.is_sealed()).collect();
        let candidates: Vec<_> = sealed.iter().map(|view| super::compact::candidate(view)).collect();
        let leaving = choose(&candidates, self.shared.options.segment_bytes);
        let mut best: Option<Work> = None;
        for (field, plan, metric) in self.planned_fields() {
            let waits = |view: &SegmentView| {
                let failed = self.indexing.failed.lock();
                failed.get(&(view.segment.id(), field)).is_some_and(Failure::waits)
            };
            let missing = |view: &&&SegmentView| {
                wants_index(&view.segment, plan)
                    && view.segment.index(field).is_none()
                    && !leaving.contains(&view.segment.id())
                    && !waits(view)
            };
            let largest = sealed.iter().filter(missing).max_by_key(|view| view.segment.rows());
            if let Some(view) = largest
                && best.as_ref().is_none_or(|b| b.view.segment.rows() < view.segment.rows())
            {
                best = Some(Work { view: (*view).clone(), field, plan, metric });
            }
        }
        best
    }

    /// Makes the dense indexes of a segment that readers do not see yet, for whoever has the turn at indexing.
    ///
    /// # Errors
    /// `Closing` when it is called off, also because somebody waits to change the schema or an index; storage errors.
    pub(super) fn index_ahead(&self, segment: &Arc<Segment>) -> Result<()> {
        let view = SegmentView::new(Arc::clone(segment));
        for (field, plan, metric) in self.planned_fields() {
            if !wants_index(segment, plan) {
                continue;
            }
            let progress = Arc::new(BuildProgress::default());
            let _running = Running::new(&self.indexing, &progress);
            // Who comes from here on calls it off.
            self.check_open()?;
            if self.altering.load(Ordering::SeqCst) > 0 {
                return Err(EngineError::Closing);
            }
            self.make_index(&Work { view: view.clone(), field, plan, metric }, &progress, false)?;
        }
        Ok(())
    }

    /// Whether there is memory for the indexes over all these rows together.
    pub(super) fn has_memory_to_index(&self, views: &[SegmentView]) -> bool {
        let rows = views.iter().map(SegmentView::live).sum();
        let schema = self.schema();
        let dims: Vec<usize> = schema.dense_fields().map(|field| field.dim.unwrap_or(0)).collect();
        let fits = |(field, plan, _): (usize, Plan, _)| {
            self.check_memory(plan.memory(rows, dims.get(field).copied().unwrap_or(0))).is_ok()
        };
        self.planned_fields().into_iter().all(fits)
    }

    /// Makes or opens an index. `current`: of a segment that the manifest names, if it still does when the index is done.
    fn make_index(&self, work: &Work, progress: &BuildProgress, current: bool) -> Result<()> {
        let Work { view, field, plan, metric } = work;
        let segment = &view.segment;
        let Some(column) = segment.vectors(*field) else { return Ok(()) };
        let vfs = self.shared.vfs.as_ref();
        let path = index_path(&self.dir, segment.id(), *field);
        if vfs.exists(&path)? {
            match open_index(vfs, &path, *plan, *metric, column.rows(), column.dim()) {
                Ok(index) => {
                    segment.set_index(*field, Some(Arc::new(index)));
                    return Ok(());
                }
                Err(reason) => {
                    tracing::warn!(collection = self.name, %reason, "an index is built again");
                    vfs.remove_file(&path)?;
                }
            }
        }
        self.check_memory(plan.memory(column.rows(), column.dim()))?;
        let started = Instant::now();
        let built =
            self.shared.index_pool.install(|| VectorIndex::build(column, *metric, *plan, progress))?;
        let Some(built) = built else { return Ok(()) };
        let bytes = built.bytes() as u64;
        self.indexing.build_ms.fetch_add(started.elapsed().as_millis() as u64, Ordering::Relaxed);
        write_index(vfs, &path, &built, *plan, column.rows(), column.dim())?;
        if current && !self.is_current(segment) {
            // A compaction replaced the segment meanwhile; nothing names its index.
            self.remove_index_file(&path);
            return Ok(());
        }
        drop(built);
        // Mapped from now on: the system may take its memory back when others need it.
        let index = open_index(vfs, &path, *plan, *metric, column.rows(), column.dim())?;
        segment.set_index(*field, Some(Arc::new(index)));
        tracing::info!(
            collection = self.name,
            segment = segment.id(),
            rows = column.rows(),
            kind = plan.name(),
            bytes,
            seconds = started.elapsed().as_secs_f32(),
            "index built"
        );
        Ok(())
    }

    /// Makes one index over sparse vectors that is missing; false when there is none. They live in memory only: made from
    /// the rows, they are there again soon after a start.
    fn make_sparse_index(&self) -> Result<bool> {
        let snapshot = self.snapshot();
        let schema = snapshot.schema();
        let fields = schema.fields().iter().filter(|f| f.data_type == DataType::SparseFloatVector);
        for field in fields {
            let Some(column) = schema.column_of(&field.name) else { continue };
            let lacking = snapshot.views().iter().map(|view| &view.segment).find(|segment| {
                segment.is_sealed()
                    && segment.rows() >= LEAST_SPARSE_ROWS
                    && segment.lacks_sparse_index(field.id)
            });
            let rows = lacking.and_then(|segment| {
                let column = segment.scalars().columns().get(column)?;
                Some((segment, column.as_binary_opt::<i32>()?))
            });
            let Some((segment, rows)) = rows else { continue };
            self.check_memory(rows.value_data().len() as u64 * 2)?;
            let started = Instant::now();
            let index = self.shared.index_pool.install(|| SparseIndex::build(rows))?;
            self.indexing.build_ms.fetch_add(started.elapsed().as_millis() as u64, Ordering::Relaxed);
            segment.set_sparse_index(field.id, index);
            self.indexing.finished.fetch_add(1, Ordering::Relaxed);
            return Ok(true);
        }
        Ok(false)
    }

    /// Prepares the scalar columns of one segment; false when all are.
    fn make_scalar_indexes(&self) -> Result<bool> {
        let snapshot = self.snapshot();
        let schema = snapshot.schema();
        let fields = ordered_fields(&self.definition.read(), schema);
        let wanted = |segment: &Segment| match segment.scalar_indexes() {
            None => !fields.is_empty() || schema.dynamic(),
            Some(indexes) => indexes.fields() != fields,
        };
        let lacking = snapshot
            .views()
            .iter()
            .map(|view| &view.segment)
            .find(|s| s.is_sealed() && s.rows() >= LEAST_ROWS && wanted(s));
        let Some(segment) = lacking else { return Ok(false) };
        self.check_memory(segment.scalars().num_rows() as u64 * 16 * (fields.len() as u64 + 8))?;
        let indexes = self.shared.index_pool.install(|| ScalarIndexes::build(segment.scalars(), &fields))?;
        segment.set_scalar_indexes(indexes);
        self.indexing.finished.fetch_add(1, Ordering::Relaxed);
        Ok(true)
    }

    fn is_current(&self, segment: &Segment) -> bool {
        self.manifest.lock().segments().iter().any(|entry| entry.id == segment.id())
    }

    /// Refuses a build that would take more memory than is left.
    fn check_memory(&self, needed: u64) -> Result<()> {
        let Some((used, most)) = self.shared.options.memory.and_then(|measure| measure()) else {
            return Ok(());
        };
        let limit = most - most / 100 * SPARE_MEMORY;
        if used.saturating_add(needed) > limit {
            let used = used.saturating_add(needed);
            return Err(StorageError::QuotaExceeded { resource: Resource::Memory, used, limit }.into());
        }
        Ok(())
    }
}

/// Numbers of the scalar fields that have an index and an order. The text of JSON has none that a filter could use. A field
/// that takes the name of one that was dropped has a number of its own.
fn ordered_fields(definition: &Definition, schema: &Schema) -> Vec<i64> {
    let ordered = |field: &Field| !field.data_type.is_vector() && field.data_type != DataType::Json;
    let indexed = definition.indexes.iter().filter_map(|index| schema.field(&index.field));
    let mut fields: Vec<i64> =
        indexed.filter(|(_, field)| ordered(field)).map(|(_, field)| field.id).collect();
    fields.sort_unstable();
    fields
}

fn wants_index(segment: &Segment, plan: Plan) -> bool {
    plan != Plan::Flat && segment.is_sealed() && segment.rows() >= LEAST_ROWS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::MetricType;

    #[test]
    fn fields_with_an_order_are_indexed_by_their_numbers() {
        let text = || Field::new("t", DataType::VarChar).max_length(9).nullable();
        let fields = vec![
            Field::new("id", DataType::Int64).primary(false),
            Field::new("v", DataType::FloatVector).dim(2),
            Field::new("j", DataType::Json),
            text(),
        ];
        let schema = Schema::new(fields, false, "").unwrap();
        let definition = ["t", "j", "v", "gone"]
            .into_iter()
            .fold(Definition::new("c", schema.clone()), |definition, name| {
                definition.index(name, MetricType::L2)
            });
        assert_eq!(ordered_fields(&definition, &schema), [103]);
        let another = schema.without_field("t").unwrap().with_field(text()).unwrap();
        assert_eq!(ordered_fields(&definition, &another), [104]);
    }
}
