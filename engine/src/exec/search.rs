//! Exact nearest-neighbour search: every matching row of every segment is compared with every query. Work is cut into
//! ranges of rows that the search pool shares; a block of rows stays in cache while all queries pass over it.

use std::sync::Arc;

use rayon::prelude::*;

use super::RowAddress;
use super::gather::{gather, vector_position};
use super::matches::{Matches, matches};
use crate::collection::Snapshot;
use crate::error::{EngineError, Result};
use crate::filter::Filter;
use crate::kernel::{self, Metric, TopK};
use crate::limits::MAX_RESULT_WINDOW;
use crate::row::{KeyRef, Projection, Rows};
use crate::schema::Schema;
use crate::segment::{SegmentView, VectorColumn};

/// Rows of one unit of parallel work.
const UNIT_ROWS: usize = 8192;
/// Rows compared at once: at 512 floats a block is 256 KiB, which stays in a core's L2 cache for the next query.
const BLOCK_ROWS: usize = 128;
/// With fewer than one match in this many rows, matches are visited one by one instead of block by block.
const SPARSE: usize = 8;

/// What to search for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Vector field.
    pub field: String,
    /// Metric; none: that of the field's index, or COSINE.
    pub metric: Option<Metric>,
    /// Query vectors, row-major: number of queries × dimension.
    pub queries: Vec<f32>,
    /// Rows for each query.
    pub limit: usize,
    /// Nearest rows to skip.
    pub offset: usize,
    /// Rows that may be returned; none: all.
    pub filter: Option<Filter>,
    /// Outer bound of a range search, exclusive: L2 keeps scores below it, IP and COSINE above it.
    pub radius: Option<f32>,
    /// Inner bound, inclusive: L2 keeps scores from it on, IP and COSINE up to it. Without `radius` it has no effect.
    pub range_filter: Option<f32>,
    /// Fields of the answer.
    pub projection: Projection,
}

/// What was found, flat over the queries.
#[derive(Debug, Clone)]
pub struct SearchHits {
    /// Hits of each query.
    pub topks: Vec<usize>,
    /// Score of each hit: squared distance (L2, ascending), or product or cosine (descending). Equal scores are in
    /// ascending key order.
    pub scores: Vec<f32>,
    /// Columns of the hits.
    pub rows: Rows,
}

/// A hit's tie-breaker and place. The key comes first: the smaller key wins a tie.
type Place<'a> = (KeyRef<'a>, RowAddress);

pub(crate) fn search(
    snapshot: &Snapshot,
    schema: &Arc<Schema>,
    index_metric: Option<Metric>,
    request: &SearchRequest,
) -> Result<SearchHits> {
    let (position, dim) = vector_position(schema, &request.field)?;
    let scan = Scan::new(snapshot, position, dim, choose_metric(index_metric, request.metric)?, request)?;
    let matching = matches(snapshot, request.filter.as_ref())?;
    let units: Vec<(usize, usize)> = matching
        .iter()
        .enumerate()
        .filter(|(_, m)| m.len() > 0)
        .flat_map(|(view, _)| {
            (0..snapshot.views()[view].segment.rows()).step_by(UNIT_ROWS).map(move |start| (view, start))
        })
        .collect();
    let best = units
        .par_iter()
        .fold(
            || scan.collectors(),
            |mut best, &(view, start)| {
                scan.unit(&matching[view], view, start, &mut best);
                best
            },
        )
        .reduce(
            || scan.collectors(),
            |mut a, b| {
                a.iter_mut().zip(b).for_each(|(a, b)| a.merge(b));
                a
            },
        );
    let mut hits = SearchHits { topks: Vec::new(), scores: Vec::new(), rows: Rows::empty() };
    let mut places = Vec::new();
    for collector in best {
        let found = collector.into_sorted();
        let kept = found.get(request.offset.min(found.len())..).unwrap_or_default();
        hits.topks.push(kept.len());
        hits.scores.extend(kept.iter().map(|(score, _)| *score));
        places.extend(kept.iter().map(|(_, (_, address))| *address));
    }
    hits.rows = gather(snapshot, schema, &request.projection, &places)?;
    Ok(hits)
}

fn choose_metric(index: Option<Metric>, asked: Option<Metric>) -> Result<Metric> {
    match (index, asked) {
        (Some(index), Some(asked)) if index != asked => Err(EngineError::InvalidParameter(format!(
            "metric type not match: invalid parameter[expected={index}][actual={asked}]"
        ))),
        (index, asked) => Ok(index.or(asked).unwrap_or(Metric::Cosine)),
    }
}

/// One search, checked and ready to pass over rows.
struct Scan<'a> {
    snapshot: &'a Snapshot,
    position: usize,
    dim: usize,
    metric: Metric,
    /// Row-major; for COSINE each query is scaled to length 1.
    queries: Vec<f32>,
    k: usize,
    range: Option<(f32, Option<f32>)>,
}

impl<'a> Scan<'a> {
    fn new(
        snapshot: &'a Snapshot,
        position: usize,
        dim: usize,
        metric: Metric,
        request: &SearchRequest,
    ) -> Result<Self> {
        let queries = &request.queries;
        if dim == 0 || queries.is_empty() || !queries.len().is_multiple_of(dim) {
            return Err(EngineError::InvalidQueryVector(format!(
                "{} query values are not a multiple of the dimension {dim} of field {}",
                queries.len(),
                request.field
            )));
        }
        if queries.iter().any(|v| !v.is_finite()) {
            return Err(EngineError::InvalidQueryVector(
                "query vector holds a value that is not finite".into(),
            ));
        }
        let k = check_search_window(queries.len() / dim, request.limit, request.offset)?;
        let range = check_range(metric, request.radius, request.range_filter)?;
        let queries = match metric {
            Metric::Cosine => {
                queries.chunks_exact(dim).flat_map(|query| kernel::active().unit(query)).collect()
            }
            Metric::L2 | Metric::Ip => queries.clone(),
        };
        Ok(Self { snapshot, position, dim, metric, queries, k, range })
    }

    /// An empty collector for each query.
    fn collectors(&self) -> Vec<TopK<Place<'a>>> {
        self.queries.chunks_exact(self.dim).map(|_| TopK::new(self.k, self.metric)).collect()
    }

    /// Compares the rows of one unit with all queries.
    fn unit(&self, matching: &Matches, index: usize, start: usize, best: &mut [TopK<Place<'a>>]) {
        let view: &'a SegmentView = &self.snapshot.views()[index];
        let Some(column) = view.segment.vectors(self.position) else { return };
        let end = (start + UNIT_ROWS).min(view.segment.rows());
        let sparse = matching.len() * SPARSE < view.segment.rows();
        let mut scores = [0f32; BLOCK_ROWS];
        for block in (start..end).step_by(BLOCK_ROWS) {
            let rows = block..(block + BLOCK_ROWS).min(end);
            let wanted = |row: &usize| matching.contains(*row);
            if sparse {
                for row in rows.filter(wanted) {
                    self.score(column, row..row + 1, &mut scores, |query, scores| {
                        self.offer(&mut best[query], view, index, row, scores[0]);
                    });
                }
            } else {
                self.score(column, rows.clone(), &mut scores, |query, scores| {
                    for (row, &score) in rows.clone().zip(scores).filter(|(row, _)| wanted(row)) {
                        self.offer(&mut best[query], view, index, row, score);
                    }
                });
            }
        }
    }

    /// Scores a block of rows against each query in turn.
    fn score(
        &self,
        column: &VectorColumn,
        rows: std::ops::Range<usize>,
        buffer: &mut [f32; BLOCK_ROWS],
        mut visit: impl FnMut(usize, &[f32]),
    ) {
        let kernel = kernel::active();
        let matrix = &column.values()[rows.start * self.dim..rows.end * self.dim];
        let norms = &column.inverse_norms()[rows.clone()];
        let scores = &mut buffer[..rows.len()];
        for (query, vector) in self.queries.chunks_exact(self.dim).enumerate() {
            match self.metric {
                Metric::L2 => kernel.l2_many(vector, matrix, scores),
                Metric::Ip => kernel.dot_many(vector, matrix, scores),
                Metric::Cosine => kernel.cosine_many(vector, matrix, norms, scores),
            }
            visit(query, scores);
        }
    }

    #[inline]
    fn offer(&self, best: &mut TopK<Place<'a>>, view: &'a SegmentView, index: usize, row: usize, score: f32) {
        if !self.in_range(score) {
            return;
        }
        let address = RowAddress { view: index as u32, row: row as u32 };
        best.push(score, || (view.segment.key(row), address));
    }

    fn in_range(&self, score: f32) -> bool {
        match self.range {
            None => true,
            Some((radius, inner)) if self.metric == Metric::L2 => {
                score < radius && inner.is_none_or(|i| score >= i)
            }
            Some((radius, inner)) => score > radius && inner.is_none_or(|i| score <= i),
        }
    }
}

fn check_search_window(queries: usize, limit: usize, offset: usize) -> Result<usize> {
    let range = format!("it should be in range [1, {MAX_RESULT_WINDOW}]");
    if !(1..=MAX_RESULT_WINDOW).contains(&queries) {
        return Err(EngineError::invalid(format!("nq [{queries}] is invalid, {range}, but got {queries}")));
    }
    if !(1..=MAX_RESULT_WINDOW).contains(&limit) {
        return Err(EngineError::invalid(format!("topk [{limit}] is invalid, {range}, but got {limit}")));
    }
    let end = limit.saturating_add(offset);
    if end > MAX_RESULT_WINDOW {
        return Err(EngineError::invalid(format!("offset+topk [{end}] is invalid, {range}, but got {end}")));
    }
    Ok(end)
}

fn check_range(
    metric: Metric,
    radius: Option<f32>,
    inner: Option<f32>,
) -> Result<Option<(f32, Option<f32>)>> {
    let Some(radius) = radius else { return Ok(None) };
    if let Some(inner) = inner {
        let empty = if metric == Metric::L2 { inner >= radius } else { inner <= radius };
        if empty || inner.is_nan() || radius.is_nan() {
            let relation = if metric == Metric::L2 { "less" } else { "greater" };
            return Err(EngineError::invalid(format!(
                "range_filter({inner}) must be {relation} than radius({radius}) for metric {metric}"
            )));
        }
    }
    Ok(Some((radius, inner)))
}
