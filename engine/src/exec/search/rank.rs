//! Ranking the rows of one snapshot for each query. Each segment goes the way that the planner chose; the search pool
//! shares the work by query when there are many, and by segment and range of rows when there are few.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BinaryArray, FixedSizeBinaryArray};
use rayon::prelude::*;

use super::queries::Queries;
use super::request::{Checked, Explained, SearchRequest, SegmentPlan};
use super::scan;
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::exec::gather::VectorPlace;
use crate::exec::matches::matches;
use crate::exec::{Cancel, RowAddress};
use crate::index::sparse::{self, Bm25, Corpus, Findable, InnerProduct, SparseIndex, SparseQuery};
use crate::index::{Collector, SearchStats, Target, VectorIndex, flat};
use crate::kernel::tile::WIDTH;
use crate::kernel::{self, Metric, TopK};
use crate::metric::MetricType;
use crate::plan::{Facts, Indexed, SegmentPath, segment_path};
use crate::row::KeyRef;
use crate::rowset::RowSet;
use crate::schema::DataType;
use crate::segment::{SegmentView, VectorColumn};

/// Rows of one unit of parallel work.
const UNIT_ROWS: usize = 8192;
/// Queries handed to a graph, or to lists, between two looks at whether the search is still wanted.
const GRAPH_QUERIES: usize = 8;
const LIST_QUERIES: usize = 64;

/// A hit's tie-breaker and place. The key comes first: the smaller key wins a tie.
type Place<'a> = (KeyRef<'a>, RowAddress);

/// The best rows of one query, best first.
pub(super) type Hits = Vec<(f32, RowAddress)>;

/// What was found for each query, and how.
pub(super) struct Ranked {
    pub(super) hits: Vec<Hits>,
    pub(super) explained: Explained,
}

/// Where the vectors of a segment lie.
#[derive(Clone, Copy)]
enum PartColumn<'a> {
    Dense(&'a VectorColumn),
    Binary(&'a FixedSizeBinaryArray),
    Sparse(&'a BinaryArray),
}

/// A segment with the way through it.
struct Part<'a> {
    number: u32,
    view: &'a SegmentView,
    column: PartColumn<'a>,
    rows: RowSet,
    index: Option<Arc<VectorIndex>>,
    /// Over sparse vectors.
    sparse: Option<Arc<SparseIndex>>,
    path: SegmentPath,
}

/// A search that is ready to run.
pub(super) struct Ranker<'a> {
    snapshot: &'a Snapshot,
    parts: Vec<Part<'a>>,
    metric: MetricType,
    queries: &'a Queries,
    /// Of sparse vectors: each query as it is scored.
    sparse: Vec<(SparseScoring, SparseQuery)>,
    wanted: usize,
    range: Option<(f32, Option<f32>)>,
    cancel: Option<&'a Cancel>,
}

/// A segment, or some of its rows.
#[derive(Debug, Clone)]
struct Unit {
    part: usize,
    rows: Range<usize>,
}

impl<'a> Ranker<'a> {
    /// Finds the rows that may be returned, and plans. `wanted` is the number of rows for each query.
    pub(super) fn new(
        snapshot: &'a Snapshot,
        place: VectorPlace<'_>,
        request: &'a SearchRequest,
        checked: &'a Checked,
        wanted: usize,
    ) -> Result<Self> {
        let sets = matches(snapshot, request.filter.as_ref())?;
        let mut parts = Vec::with_capacity(sets.len());
        for ((view, rows), number) in snapshot.views().iter().zip(sets).zip(0..) {
            let Some(column) = column_of(view, place) else { continue };
            let rows = with_vectors(view, place, rows);
            let index = match column {
                PartColumn::Dense(_) => view.segment.index(place.position),
                _ => None,
            };
            let index = index.filter(|index| checked.metric.dense() == Some(index.metric));
            let path = segment_path(Facts {
                rows: rows.rows(),
                matching: rows.len(),
                wanted: wanted.min(rows.len()),
                effort: checked.effort,
                inner_bound: checked.range.is_some_and(|(_, inner)| inner.is_some()),
                index: index.as_deref().map(Indexed::of),
            });
            let sparse = sparse_index(view, place, column, checked.queries.len())?;
            parts.push(Part { number, view, column, rows, index, sparse, path });
        }
        Ok(Self {
            snapshot,
            sparse: sparse_queries(checked, &parts)?,
            parts,
            metric: checked.metric,
            queries: &checked.queries,
            wanted,
            range: checked.range,
            cancel: request.cancel.as_ref(),
        })
    }

    /// # Errors
    /// `Cancelled`.
    pub(super) fn run(&self) -> Result<Ranked> {
        let queries = self.queries.len();
        // A small search is not run in the pool, and shares its work with nobody.
        let threads = rayon::current_thread_index().map(|_| rayon::current_num_threads());
        let (best, mut stats) = if let Some(threads) = threads
            && queries >= WIDTH.max(2 * threads)
        {
            let size = queries.div_ceil(2 * threads).next_multiple_of(WIDTH);
            let units: Vec<Unit> = self.units(usize::MAX).collect();
            let chunks: Vec<Range<usize>> =
                (0..queries).step_by(size).map(|start| start..(start + size).min(queries)).collect();
            let done: Vec<_> = chunks.into_par_iter().map(|chunk| self.run_units(&units, chunk)).collect();
            let mut stats = SearchStats::default();
            let mut best = Vec::with_capacity(queries);
            for (found, counted) in done {
                best.extend(found);
                stats.add(&counted);
            }
            (best, stats)
        } else if threads.is_some() {
            let units: Vec<Unit> = self.units(UNIT_ROWS).collect();
            self.run_shared(&units, queries)
        } else {
            let units: Vec<Unit> = self.units(usize::MAX).collect();
            self.run_units(&units, 0..queries)
        };
        if self.is_cancelled() {
            return Err(EngineError::Cancelled);
        }
        let searched = |part: &&Part<'_>| part.path != SegmentPath::Nothing;
        stats.segments = self.parts.iter().filter(searched).count() as u64;
        let by_index = |part: &&Part<'_>| matches!(part.path, SegmentPath::Index { .. } | SegmentPath::Codes);
        stats.indexed_segments = self.parts.iter().filter(by_index).count() as u64;
        let row_bytes = self.queries.row_bytes();
        let code_bytes = (row_bytes / size_of::<f32>()).next_multiple_of(kernel::codes::BLOCK);
        stats.bytes = stats.scored * row_bytes as u64 + stats.compared * code_bytes as u64;
        let sorted = |top: TopK<Place<'a>>| top.into_sorted().into_iter().map(|(s, (_, a))| (s, a)).collect();
        Ok(Ranked { hits: best.into_iter().map(sorted).collect(), explained: self.explain(stats) })
    }

    fn units(&self, most_rows: usize) -> impl Iterator<Item = Unit> + '_ {
        self.parts.iter().enumerate().flat_map(move |(part, p)| {
            let all = p.rows.rows();
            let step = match p.path {
                _ if matches!(p.column, PartColumn::Sparse(_)) => all.max(1),
                SegmentPath::Nothing => usize::MAX,
                SegmentPath::Rows => most_rows.min(all.max(1)),
                SegmentPath::Codes | SegmentPath::Index { .. } => all.max(1),
            };
            let end = if p.path == SegmentPath::Nothing { 0 } else { all };
            (0..end)
                .step_by(step)
                .map(move |start| Unit { part, rows: start..start.saturating_add(step).min(all) })
        })
    }

    /// All queries over all units, shared by the pool.
    fn run_shared(&self, units: &[Unit], queries: usize) -> (Vec<TopK<Place<'a>>>, SearchStats) {
        if let [only] = units {
            return self.run_units(std::slice::from_ref(only), 0..queries);
        }
        let empty = || (self.collectors(queries), SearchStats::default());
        units
            .par_iter()
            .fold(empty, |(mut best, mut stats), unit| {
                self.run_unit(unit, 0..queries, &mut best, &mut stats);
                (best, stats)
            })
            .reduce(empty, |(mut a, mut stats), (b, counted)| {
                a.iter_mut().zip(b).for_each(|(a, b)| a.merge(b));
                stats.add(&counted);
                (a, stats)
            })
    }

    fn run_units(&self, units: &[Unit], queries: Range<usize>) -> (Vec<TopK<Place<'a>>>, SearchStats) {
        let (mut best, mut stats) = (self.collectors(queries.len()), SearchStats::default());
        for unit in units {
            self.run_unit(unit, queries.clone(), &mut best, &mut stats);
        }
        (best, stats)
    }

    /// An empty collector for each query.
    fn collectors(&self, queries: usize) -> Vec<TopK<Place<'a>>> {
        (0..queries).map(|_| TopK::new(self.wanted, self.metric.order())).collect()
    }

    fn run_unit(
        &self,
        unit: &Unit,
        queries: Range<usize>,
        best: &mut [TopK<Place<'a>>],
        stats: &mut SearchStats,
    ) {
        let part = &self.parts[unit.part];
        let mut adapters: Vec<InSegment<'_, 'a>> = best
            .iter_mut()
            .map(|top| InSegment {
                top,
                view: part.view,
                number: part.number,
                metric: self.metric.order(),
                range: self.range,
            })
            .collect();
        let column = match (part.column, self.queries) {
            (PartColumn::Dense(column), Queries::Dense { .. }) => column,
            (column, all) => return self.run_columns(column, all, part, unit, queries, &mut adapters, stats),
        };
        let (Queries::Dense { matrix, dim }, Some(metric)) = (self.queries, self.metric.dense()) else {
            return;
        };
        let target = Target { metric, column, rows: &part.rows, hidden: None };
        let vectors: Vec<&[f32]> =
            matrix[queries.start * dim..queries.end * dim].chunks_exact(*dim).collect();
        let mut collectors: Vec<&mut dyn Collector> = adapters.iter_mut().map(|a| a as _).collect();
        match (part.path, &part.index) {
            (SegmentPath::Index { effort, .. }, Some(index)) => {
                let at_once = if index.is_graph() { GRAPH_QUERIES } else { LIST_QUERIES };
                for (vectors, collectors) in vectors.chunks(at_once).zip(collectors.chunks_mut(at_once)) {
                    if !self.is_cancelled() {
                        index.search(target, vectors, effort, self.wanted, collectors, stats);
                    }
                }
            }
            (SegmentPath::Codes, Some(index)) => {
                for (vectors, collectors) in
                    vectors.chunks(LIST_QUERIES).zip(collectors.chunks_mut(LIST_QUERIES))
                {
                    if !self.is_cancelled() && !index.scan(target, vectors, collectors, stats) {
                        flat::search(target, vectors, unit.rows.clone(), collectors, stats);
                    }
                }
            }
            _ => {
                for start in unit.rows.clone().step_by(UNIT_ROWS) {
                    if self.is_cancelled() {
                        return;
                    }
                    let rows = start..(start + UNIT_ROWS).min(unit.rows.end);
                    flat::search(target, &vectors, rows, &mut collectors, stats);
                }
            }
        }
    }

    /// Rows that lie in columns: each is compared.
    #[allow(clippy::too_many_arguments, reason = "the rest of what `run_unit` has found out")]
    fn run_columns(
        &self,
        column: PartColumn<'_>,
        all: &Queries,
        part: &Part<'_>,
        unit: &Unit,
        queries: Range<usize>,
        adapters: &mut [InSegment<'_, 'a>],
        stats: &mut SearchStats,
    ) {
        if let PartColumn::Sparse(column) = column {
            let findable = Findable { rows: &part.rows, hidden: None };
            for (query, collector) in queries.zip(adapters) {
                if !self.is_cancelled() {
                    let (scoring, query) = &self.sparse[query];
                    scoring.search(column, part.sparse.as_deref(), query, findable, collector, stats);
                }
            }
            return;
        }
        for (query, collector) in queries.zip(adapters) {
            for start in unit.rows.clone().step_by(UNIT_ROWS) {
                if self.is_cancelled() {
                    return;
                }
                let rows = part.rows.iter_range(start..(start + UNIT_ROWS).min(unit.rows.end));
                if let (PartColumn::Binary(column), Queries::Binary { matrix, width }) = (column, all) {
                    let query = &matrix[query * width..(query + 1) * width];
                    scan::binary(column, self.metric, query, rows, collector, stats);
                }
            }
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_some_and(Cancel::is_cancelled)
    }

    fn explain(&self, stats: SearchStats) -> Explained {
        let plan = |part: &Part<'_>| SegmentPlan {
            segment: part.view.segment.id(),
            rows: part.rows.rows(),
            matching: part.rows.len(),
            index: part.index.as_ref().map(|index| index.name()),
            path: part.path,
        };
        let recall = |part: &Part<'_>| match part.path {
            SegmentPath::Index { recall, .. } => recall,
            _ => 1.0,
        };
        Explained {
            kernel: kernel::active().name(),
            metric: self.metric,
            rows: self.snapshot.live(),
            matching: self.parts.iter().map(|part| part.rows.len() as u64).sum(),
            expected_recall: self.parts.iter().map(recall).fold(1.0, f32::min),
            segments: self.parts.iter().map(plan).collect(),
            stats,
        }
    }
}

fn column_of<'a>(view: &'a SegmentView, place: VectorPlace<'_>) -> Option<PartColumn<'a>> {
    if place.field.data_type.is_dense() {
        return view.segment.vectors(place.position).map(PartColumn::Dense);
    }
    let column = view.segment.scalars().columns().get(place.position)?;
    match place.field.data_type {
        DataType::BinaryVector => column.as_fixed_size_binary_opt().map(PartColumn::Binary),
        _ => column.as_binary_opt::<i32>().map(PartColumn::Sparse),
    }
}

/// The index over the sparse vectors of a segment. Where there is none yet and queries are many, one is made for them
/// alone: it takes less time than reading the rows for each.
fn sparse_index(
    view: &SegmentView,
    place: VectorPlace<'_>,
    column: PartColumn<'_>,
    queries: usize,
) -> Result<Option<Arc<SparseIndex>>> {
    const MANY: usize = 8;
    match (column, view.segment.sparse_index(place.field.id)) {
        (PartColumn::Sparse(_), Some(index)) => Ok(Some(Arc::clone(index))),
        (PartColumn::Sparse(column), None) if queries > MANY => {
            Ok(Some(Arc::new(SparseIndex::build(column)?)))
        }
        _ => Ok(None),
    }
}

/// How sparse vectors are scored.
enum SparseScoring {
    Product,
    Words(Bm25),
}

impl SparseScoring {
    fn search(
        &self,
        column: &BinaryArray,
        index: Option<&SparseIndex>,
        query: &SparseQuery,
        findable: Findable<'_>,
        collector: &mut dyn Collector,
        stats: &mut SearchStats,
    ) {
        match (self, index) {
            (Self::Product, Some(index)) => {
                sparse::search(index, query, &InnerProduct, findable, collector, stats);
            }
            (Self::Product, None) => {
                sparse::brute_force(column, query, &InnerProduct, findable, collector, stats);
            }
            (Self::Words(bm25), Some(index)) => {
                sparse::search(index, query, bm25, findable, collector, stats)
            }
            (Self::Words(bm25), None) => {
                sparse::brute_force(column, query, bm25, findable, collector, stats);
            }
        }
    }
}

/// Each sparse query with its scoring; for words, that takes a look at how often each is in all rows.
fn sparse_queries(checked: &Checked, parts: &[Part<'_>]) -> Result<Vec<(SparseScoring, SparseQuery)>> {
    let Queries::Sparse(vectors) = &checked.queries else { return Ok(Vec::new()) };
    let mut queries = Vec::with_capacity(vectors.len());
    for vector in vectors {
        if checked.metric != MetricType::Bm25 {
            let query = SparseQuery::new(vector.as_row(), checked.drop_ratio)?;
            queries.push((SparseScoring::Product, query));
            continue;
        }
        let mut corpus = Corpus::of_query(vector.as_row());
        for part in parts {
            match (part.column, &part.sparse) {
                (PartColumn::Sparse(_), Some(index)) => corpus.add_index(index),
                (PartColumn::Sparse(column), None) => corpus.add_rows(column),
                _ => {}
            }
        }
        let (bm25, query) = Bm25::new(checked.bm25, &corpus, vector.as_row(), checked.drop_ratio)?;
        queries.push((SparseScoring::Words(bm25), query));
    }
    Ok(queries)
}

/// Those of the rows that have a vector at all.
fn with_vectors(view: &SegmentView, place: VectorPlace<'_>, rows: RowSet) -> RowSet {
    let columns = view.segment.scalars().columns();
    let present = match place.presence {
        Some(column) => columns.get(column).and_then(|c| c.as_boolean_opt()).map(|c| c.values().clone()),
        None if place.field.data_type.is_dense() => None,
        None => columns.get(place.position).and_then(|c| c.nulls()).map(|nulls| nulls.inner().clone()),
    };
    match (present, rows) {
        (None, rows) => rows,
        (Some(present), RowSet::All(_)) => RowSet::new(present),
        (Some(present), RowSet::Some(rows, _)) => RowSet::new(&rows & &present),
    }
}

/// The best rows of a query, as one segment adds to them.
struct InSegment<'b, 'a> {
    top: &'b mut TopK<Place<'a>>,
    view: &'a SegmentView,
    number: u32,
    metric: Metric,
    range: Option<(f32, Option<f32>)>,
}

impl Collector for InSegment<'_, '_> {
    #[inline]
    fn offer(&mut self, row: u32, score: f32) {
        if in_range(self.metric, self.range, score) {
            let address = RowAddress { view: self.number, row };
            let view = self.view;
            self.top.push(score, || (view.segment.key(row as usize), address));
        }
    }

    #[inline]
    fn threshold(&self) -> Option<f32> {
        let worst = self.top.threshold();
        match (worst, self.range) {
            (Some(worst), Some((radius, _))) if self.metric.better(worst, radius) => Some(worst),
            (_, Some((radius, _))) => Some(radius),
            (worst, None) => worst,
        }
    }
}

fn in_range(metric: Metric, range: Option<(f32, Option<f32>)>, score: f32) -> bool {
    match range {
        None => true,
        Some((radius, inner)) if metric == Metric::L2 => score < radius && inner.is_none_or(|i| score >= i),
        Some((radius, inner)) => score > radius && inner.is_none_or(|i| score <= i),
    }
}
