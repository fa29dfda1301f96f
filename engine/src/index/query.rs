//! One query on its way through an index: coded for comparison with codes, and able to score rows exactly. Codes only
//! ever choose which rows are worth scoring; every score that leaves an index is the kernel's.

use super::quantizer::Quantizer;
use super::space::Space;
use super::stats::SearchStats;
use crate::kernel::Metric;
use crate::rowset::RowSet;
use crate::segment::VectorColumn;

/// Rows scored between two looks at how good a row must be by now.
const SCORED_AT_ONCE: usize = 8;

/// Takes the rows that an index finds.
pub trait Collector {
    /// A row with its exact score.
    fn offer(&mut self, row: u32, score: f32);

    /// A row with a worse score need not be offered any more. None: every row is welcome.
    fn threshold(&self) -> Option<f32>;
}

/// What is searched: a column, and which of its rows may be found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) metric: Metric,
    pub(crate) column: &'a VectorColumn,
    pub(crate) rows: &'a RowSet,
    /// A row that does not exist for this search.
    pub(crate) hidden: Option<u32>,
}

/// A row, or a node, and how far its code is from that of the query: squared, in steps.
pub(crate) type Candidate = (f32, u32);

/// A query, coded.
pub(crate) struct Query<'a> {
    /// As it came; of length 1 for COSINE.
    pub(crate) vector: &'a [f32],
    pub(crate) code: Vec<i16>,
    space: &'a Space,
    step: f32,
    /// How far the query lies from what its code stands for.
    error: f32,
    /// Its squared length.
    squared: f64,
}

impl<'a> Query<'a> {
    pub(crate) fn new(vector: &'a [f32], space: &'a Space, quantizer: &Quantizer) -> Self {
        let laid = space.lay_query(vector);
        let code = quantizer.encode_query(&laid);
        let error = quantizer.error(&laid, code.iter().map(|&c| f32::from(c)));
        let squared = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        Self { vector, code, space, step: quantizer.step, error, squared }
    }

    /// The largest distance of codes at which a row can still be as near as `threshold`, if the row lies within
    /// `error` of what its code stands for: the triangle inequality, twice.
    pub(crate) fn proven_bound(&self, threshold: Option<f32>, error: f32) -> f32 {
        self.bound(threshold, self.error + error)
    }

    /// The same, when the codes' errors are taken as `steps` steps together.
    pub(crate) fn likely_bound(&self, threshold: Option<f32>, steps: f32) -> f32 {
        self.bound(threshold, steps * self.step)
    }

    fn bound(&self, threshold: Option<f32>, error: f32) -> f32 {
        let Some(score) = threshold else { return f32::INFINITY };
        let steps = (self.space.distance(self.squared, score) + error) / self.step;
        // A little more than the rounding of the last operations.
        let bound = steps * steps * (1.0 + 1e-6);
        if bound.is_nan() { f32::INFINITY } else { bound }
    }

    /// Scores the candidates that can still be among the best, nearest codes first. `bound` tells how far a code may be.
    pub(crate) fn refine(
        &self,
        target: Target<'_>,
        candidates: &mut [Candidate],
        collector: &mut dyn Collector,
        stats: &mut SearchStats,
        bound: impl Fn(&Self, Option<f32>) -> f32,
    ) {
        candidates.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for group in candidates.chunks(SCORED_AT_ONCE) {
            let most = bound(self, collector.threshold());
            let near = group.partition_point(|&(distance, _)| distance <= most);
            self.score(target, &group[..near], collector, stats);
            if near < group.len() {
                return;
            }
        }
    }

    /// Scores a few rows.
    fn score(
        &self,
        target: Target<'_>,
        candidates: &[Candidate],
        collector: &mut dyn Collector,
        stats: &mut SearchStats,
    ) {
        let (mut ids, mut scores) = ([0u32; SCORED_AT_ONCE], [0f32; SCORED_AT_ONCE]);
        ids.iter_mut().zip(candidates).for_each(|(id, &(_, row))| *id = row);
        let (ids, scores) = (&ids[..candidates.len()], &mut scores[..candidates.len()]);
        target.column.score_rows(target.metric, self.vector, ids, scores);
        stats.scored += ids.len() as u64;
        ids.iter().zip(scores).for_each(|(&row, score)| collector.offer(row, *score));
    }
}
