//! What can be searched for, and the checks before anything is read.

use serde::Serialize;

use super::queries::{Queries, QueryVectors};
use crate::collection::Searching;
use crate::error::{EngineError, Result};
use crate::exec::Cancel;
use crate::filter::Filter;
use crate::index::SearchStats;
use crate::index::sparse::Bm25Params;
use crate::limits::{MAX_HITS, MAX_RESULT_WINDOW};
use crate::metric::MetricType;
use crate::plan::{Effort, SegmentPath};
use crate::row::{Projection, Rows};
use crate::schema::{Field, Schema};

/// What to search for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Vector field.
    pub field: String,
    /// Metric; none: that of the field's index, or COSINE.
    pub metric: Option<MetricType>,
    /// Query vectors.
    pub queries: QueryVectors,
    /// Rows, or groups, for each query.
    pub limit: usize,
    /// Nearest rows, or groups, to skip.
    pub offset: usize,
    /// Rows that may be returned; none: all.
    pub filter: Option<Filter>,
    /// Outer bound of a range search, exclusive: L2 keeps scores below it, IP and COSINE above it.
    pub radius: Option<f32>,
    /// Inner bound, inclusive: L2 keeps scores from it on, IP and COSINE up to it. Without `radius` it has no effect.
    pub range_filter: Option<f32>,
    /// How hard to try.
    pub effort: Effort,
    /// Rows with one value of a field are a group, of which only the best are returned.
    pub group_by: Option<GroupBy>,
    /// Fields of the answer.
    pub projection: Projection,
    /// For sparse vectors: the share of a query's smallest weights that need not find rows, 0 up to 1.
    pub drop_ratio: f32,
    /// Ends the search.
    pub cancel: Option<Cancel>,
}

impl SearchRequest {
    /// A search for the `limit` nearest rows, and nothing else said.
    pub fn new(
        field: impl Into<String>,
        queries: impl Into<QueryVectors>,
        limit: usize,
        projection: Projection,
    ) -> Self {
        Self {
            field: field.into(),
            metric: None,
            queries: queries.into(),
            limit,
            offset: 0,
            filter: None,
            radius: None,
            range_filter: None,
            effort: Effort::Default,
            group_by: None,
            projection,
            drop_ratio: 0.0,
            cancel: None,
        }
    }
}

/// How rows are grouped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupBy {
    /// A scalar field: Bool, an integer, or VarChar.
    pub field: String,
    /// Rows of each group at most, 1 to 10.
    pub size: usize,
    /// Whether to search on until each group is as large as that, or has no more rows.
    pub strict: bool,
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
    /// How they were found: one for each search of several.
    pub explained: Vec<Explained>,
    /// What was counted over all of them.
    pub stats: SearchStats,
}

/// How a search was done.
#[derive(Debug, Clone, Serialize)]
pub struct Explained {
    /// Instruction set.
    pub kernel: &'static str,
    /// Metric.
    pub metric: MetricType,
    /// Live rows.
    pub rows: u64,
    /// Rows that the filter left.
    pub matching: u64,
    /// The recall that is expected, 0 to 1: the lowest of all segments.
    pub expected_recall: f32,
    /// Each segment.
    pub segments: Vec<SegmentPlan>,
    /// What was counted.
    pub stats: SearchStats,
}

/// What was planned for a segment.
#[derive(Debug, Clone, Serialize)]
pub struct SegmentPlan {
    /// Its number.
    pub segment: u64,
    /// Its rows, dead ones included.
    pub rows: usize,
    /// Its rows that may be found.
    pub matching: usize,
    /// Its index, if it has one.
    pub index: Option<&'static str>,
    /// How its rows were searched.
    #[serde(flatten)]
    pub path: SegmentPath,
}

/// A request that was checked.
pub(super) struct Checked {
    pub(super) metric: MetricType,
    pub(super) queries: Queries,
    /// `offset + limit`.
    pub(super) end: usize,
    pub(super) range: Option<(f32, Option<f32>)>,
    pub(super) effort: Effort,
    pub(super) bm25: Bm25Params,
    pub(super) drop_ratio: f32,
}

impl Checked {
    /// The same for one of the queries.
    pub(super) fn only(&self, query: usize) -> Self {
        Self { queries: self.queries.only(query), ..*self }
    }
}

pub(super) fn check(
    schema: &Schema,
    request: &SearchRequest,
    field: &Field,
    index: Searching,
) -> Result<Checked> {
    let metric = choose_metric(field, index.metric, request.metric)?;
    let queries = Queries::check(schema, field, metric, &request.queries)?;
    let end = check_window(queries.len(), request.limit, request.offset)?;
    check_hits(queries.len(), end)?;
    check_effort(request.effort, end)?;
    let effort = match (request.effort, index.recall) {
        (Effort::Default, Some(recall)) => Effort::Recall(recall),
        (effort, _) => effort,
    };
    let range = check_range(metric, request.radius, request.range_filter)?;
    Ok(Checked { metric, queries, end, range, effort, bm25: index.bm25, drop_ratio: request.drop_ratio })
}

fn choose_metric(field: &Field, index: Option<MetricType>, asked: Option<MetricType>) -> Result<MetricType> {
    match (index, asked) {
        (_, Some(asked)) if index.is_none() && !asked.fits(field.data_type) => Err(EngineError::invalid(
            format!("metric type {asked} does not fit field {}, which is {}", field.name, field.data_type),
        )),
        (Some(index), Some(asked)) if index != asked => Err(EngineError::InvalidParameter(format!(
            "metric type not match: invalid parameter[expected={index}][actual={asked}]"
        ))),
        (index, asked) => Ok(index.or(asked).unwrap_or_else(|| MetricType::default_of(field.data_type))),
    }
}

fn check_window(queries: usize, limit: usize, offset: usize) -> Result<usize> {
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

/// Checks what a search has to hold in memory.
pub(super) fn check_hits(queries: usize, wanted: usize) -> Result<()> {
    match queries.checked_mul(wanted) {
        Some(hits) if hits <= MAX_HITS => Ok(()),
        _ => Err(EngineError::invalid(format!(
            "nq × (offset+limit) is {queries} × {wanted}, it should be at most {MAX_HITS}: send fewer queries at once"
        ))),
    }
}

fn check_effort(effort: Effort, end: usize) -> Result<()> {
    match effort {
        Effort::Asked { ef: Some(ef), .. } if ef < end => {
            Err(EngineError::invalid(format!("ef({ef}) should be larger than k({end})")))
        }
        Effort::Asked { probes: Some(probes), .. } if !(1..=65_536).contains(&probes) => {
            Err(EngineError::invalid(format!(
                "Out of range in json: param 'nprobe' ({probes}) should be in range [1, 65536]"
            )))
        }
        Effort::Recall(recall) if !(0.0..=1.0).contains(&recall) => {
            Err(EngineError::invalid(format!("recall ({recall}) should be in range [0, 1]")))
        }
        _ => Ok(()),
    }
}

fn check_range(
    metric: MetricType,
    radius: Option<f32>,
    inner: Option<f32>,
) -> Result<Option<(f32, Option<f32>)>> {
    let Some(radius) = radius else { return Ok(None) };
    if let Some(inner) = inner {
        let empty = if metric.is_similarity() { inner <= radius } else { inner >= radius };
        if empty || inner.is_nan() || radius.is_nan() {
            let relation = if metric.is_similarity() { "greater" } else { "less" };
            return Err(EngineError::invalid(format!(
                "range_filter({inner}) must be {relation} than radius({radius}) for metric {metric}"
            )));
        }
    }
    Ok(Some((radius, inner)))
}
