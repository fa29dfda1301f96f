//! How much effort a recall takes. After a build, rows of the segment serve as queries: each is hidden from its own
//! search, so that what is measured holds for queries that are not in the data. For each share of rows that a filter may
//! leave, and each number of rows wanted, recall is measured at rising efforts. A search that names a recall takes the
//! smallest effort that reached it.

use arrow_buffer::BooleanBuffer;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::progress::BuildProgress;
use super::query::{Collector, Target};
use super::sample::sample;
use super::stats::SearchStats;
use super::{VectorIndex, cost, flat};
use crate::error::Result;
use crate::kernel::{self, Metric, TopK};
use crate::rowset::RowSet;
use crate::segment::VectorColumn;

/// Rows that serve as queries.
const QUERIES: usize = 128;
/// Fewer do beside a filter.
const FILTERED_QUERIES: usize = 64;
/// Shares of the rows that a filter leaves, falling: for a graph, which walks in different ways, and for lists.
const GRAPH_SHARES: [f32; 5] = [1.0, 0.31, 0.25, 0.1, 0.03];
const LIST_SHARES: [f32; 3] = [1.0, 0.25, 0.03];
/// Numbers of rows wanted.
const WANTED: [usize; 2] = [10, 100];
const MOST_WANTED: usize = 100;
/// So many questions to a filter take as long as a comparison.
const CHECKS: u64 = 3;
/// The share of the misses that are avoided beyond what is asked for, where calibration cannot know the queries.
const CAUTION: f32 = 0.3;
/// Efforts tried, as far as they are below the most that makes a difference.
const EFFORTS: [usize; 20] =
    [1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048];
/// No higher effort is tried once this much is reached, without a filter and beside one.
const ENOUGH: [f32; 2] = [0.997, 0.99];
/// Beside a filter every other effort is tried.
const FILTERED_STEP: usize = 2;

/// What was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Calibration {
    points: Vec<Point>,
    /// Whether more is aimed at than what is asked for. Under IP, queries are of another kind than rows.
    #[serde(default)]
    cautious: bool,
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Point {
    share: f32,
    wanted: usize,
    effort: usize,
    recall: f32,
    /// Codes and rows compared for one query, with what else takes time in these units.
    compared: f32,
}

/// An effort, and what it is expected to give and to cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expected {
    pub(crate) effort: usize,
    pub(crate) recall: f32,
    /// Codes and rows compared for one query.
    pub(crate) compared: f32,
}

impl Calibration {
    /// Measures an index on the column that it was built over.
    ///
    /// # Errors
    /// `Closing` when called off.
    pub(crate) fn measure(
        index: &VectorIndex,
        column: &VectorColumn,
        seed: u64,
        progress: &BuildProgress,
    ) -> Result<Self> {
        let held_out = sample(column.rows(), QUERIES, seed ^ 2);
        let mut points = Vec::new();
        let shares: &[f32] = if index.is_graph() { &GRAPH_SHARES } else { &LIST_SHARES };
        for (number, &share) in shares.iter().enumerate() {
            let rows = random_rows(column.rows(), share, seed ^ number as u64);
            progress.check()?;
            let filtered = usize::from(share < 1.0);
            let queries = if share < 1.0 { FILTERED_QUERIES.min(held_out.len()) } else { held_out.len() };
            let trial = Trial::new(index, column, &rows, &held_out[..queries]);
            let matching = rows.len();
            let exact = cost::rows(matching, column.rows()).min(cost::codes(index.is_graph(), matching));
            for wanted in WANTED {
                for effort in efforts(index, wanted).step_by([1, FILTERED_STEP][filtered]) {
                    progress.check()?;
                    let point = trial.run(wanted, effort, share);
                    points.push(point);
                    // What costs more than comparing all is never chosen.
                    if point.recall >= ENOUGH[filtered]
                        || cost::index(index.is_graph(), point.compared) >= exact
                    {
                        break;
                    }
                }
            }
        }
        Ok(Self { points, cautious: index.metric == Metric::Ip })
    }

    /// The effort to take for `recall` among `wanted` rows, when a filter leaves this share of them. `None` when no effort
    /// that was tried reached it.
    pub(crate) fn effort_for(&self, recall: f32, wanted: usize, share: f32) -> Option<Expected> {
        let wanted = WANTED.into_iter().find(|&w| w >= wanted).unwrap_or(WANTED[WANTED.len() - 1]);
        let share = self.nearest_share(share);
        // Real filters have something to do with the vectors, random ones have not: fewer misses are aimed at.
        let recall = if share < 1.0 || self.cautious { recall + (1.0 - recall) * CAUTION } else { recall };
        // Of so few queries, a recall is known to about so much.
        let at = |p: &&Point| p.share == share && p.wanted == wanted;
        let error = |p: &Point| (p.recall * (1.0 - p.recall) / (QUERIES * wanted.min(30)) as f32).sqrt();
        let enough = |p: &&Point| p.recall - error(p) >= recall;
        let point = self.points.iter().filter(at).find(enough)?;
        // Where a filter leaves just what is near the query, the search is as one without it: never less effort than that.
        let plain = |p: &&Point| p.share >= 1.0 && p.wanted == wanted;
        let least = self.points.iter().filter(plain).find(enough).map_or(point.effort, |p| p.effort);
        let more = least.max(point.effort) as f32 / point.effort.max(1) as f32;
        Some(Expected {
            effort: least.max(point.effort),
            recall: point.recall,
            compared: point.compared * more,
        })
    }

    /// The next smaller share that was measured: it is the harder one.
    fn nearest_share(&self, share: f32) -> f32 {
        let smaller = self.points.iter().map(|p| p.share).filter(|&s| s <= share + 1e-3).reduce(f32::max);
        smaller.or(self.points.iter().map(|p| p.share).reduce(f32::min)).unwrap_or(1.0)
    }

    /// What an effort is expected to give.
    pub(crate) fn expect(&self, effort: usize, wanted: usize, share: f32) -> Expected {
        let wanted = WANTED.into_iter().find(|&w| w >= wanted).unwrap_or(WANTED[WANTED.len() - 1]);
        let share = self.nearest_share(share);
        let same = |p: &&Point| p.share == share && p.wanted == wanted;
        let points: Vec<&Point> = self.points.iter().filter(same).collect();
        let below = points.iter().rev().find(|p| p.effort <= effort).or(points.first());
        below.map_or(Expected { effort, recall: 0.0, compared: 0.0 }, |p| Expected {
            effort,
            recall: p.recall,
            compared: p.compared * effort as f32 / p.effort.max(1) as f32,
        })
    }
}

/// Efforts to try. Half of all lists is the most: with more, comparing every row costs about as much.
fn efforts(index: &VectorIndex, wanted: usize) -> impl Iterator<Item = usize> {
    let graph = index.is_graph();
    let most = if graph { index.most_effort() } else { index.most_effort().div_ceil(2) };
    let least = if graph { wanted.min(most) } else { 1 };
    std::iter::once(least).chain(EFFORTS.into_iter().filter(move |&e| e > least && e <= most))
}

fn random_rows(rows: usize, share: f32, seed: u64) -> RowSet {
    if share >= 1.0 {
        return RowSet::All(rows);
    }
    let mut rng = StdRng::seed_from_u64(seed);
    RowSet::new(BooleanBuffer::collect_bool(rows, |_| rng.random::<f32>() < share))
}

/// Queries with their right answers.
struct Trial<'a> {
    index: &'a VectorIndex,
    target: Target<'a>,
    held_out: &'a [u32],
    queries: Vec<Vec<f32>>,
    /// For each query the scores of the right answers, best first.
    right: Vec<Vec<f32>>,
}

impl<'a> Trial<'a> {
    fn new(index: &'a VectorIndex, column: &'a VectorColumn, rows: &'a RowSet, held_out: &'a [u32]) -> Self {
        let metric = index.metric;
        let target = Target { metric, column, rows, hidden: None };
        let queries: Vec<Vec<f32>> = held_out
            .iter()
            .map(|&row| {
                let row = column.row(row as usize);
                if metric == Metric::Cosine { kernel::active().unit(row) } else { row.to_vec() }
            })
            .collect();
        let mut exact: Vec<Hidden> =
            held_out.iter().map(|&row| Hidden::new(row, MOST_WANTED, metric)).collect();
        let views: Vec<&[f32]> = queries.iter().map(Vec::as_slice).collect();
        exact.par_chunks_mut(QUERIES / 8).zip(views.par_chunks(QUERIES / 8)).for_each(|(exact, queries)| {
            let mut collectors: Vec<&mut dyn Collector> = exact.iter_mut().map(|e| e as _).collect();
            let stats = &mut SearchStats::default();
            flat::search(target, queries, 0..column.rows(), &mut collectors, stats);
        });
        let right = exact.into_iter().map(Hidden::scores).collect();
        Self { index, target, held_out, queries, right }
    }

    fn run(&self, wanted: usize, effort: usize, share: f32) -> Point {
        let results: Vec<(usize, usize, u64)> = (self.held_out, &self.queries, &self.right)
            .into_par_iter()
            .map(|(&row, query, right)| {
                let right = &right[..wanted.min(right.len())];
                let mut found = Hidden::new(row, wanted, self.target.metric);
                let mut stats = SearchStats::default();
                self.index.search(
                    Target { hidden: Some(row), ..self.target },
                    &[query],
                    effort,
                    wanted.min(effort),
                    &mut [&mut found],
                    &mut stats,
                );
                let hits = right.last().map_or(0, |&worst| found.at_least(worst)).min(right.len());
                (hits, right.len(), stats.compared + stats.scored + stats.checked / CHECKS)
            })
            .collect();
        let (hits, count): (usize, usize) =
            results.iter().fold((0, 0), |(hits, count), r| (hits + r.0, count + r.1));
        let compared: u64 = results.iter().map(|r| r.2).sum();
        Point {
            share,
            wanted,
            effort,
            recall: if count == 0 { 1.0 } else { hits as f32 / count as f32 },
            compared: compared as f32 / results.len().max(1) as f32,
        }
    }
}

/// Collects the best rows but one.
struct Hidden {
    hidden: u32,
    metric: Metric,
    best: TopK<u32>,
}

impl Hidden {
    fn new(hidden: u32, wanted: usize, metric: Metric) -> Self {
        Self { hidden, metric, best: TopK::new(wanted, metric) }
    }

    fn scores(self) -> Vec<f32> {
        self.best.into_sorted().into_iter().map(|(score, _)| score).collect()
    }

    fn at_least(self, score: f32) -> usize {
        let metric = self.metric;
        self.best.into_sorted().iter().filter(|(found, _)| !metric.better(score, *found)).count()
    }
}

impl Collector for Hidden {
    fn offer(&mut self, row: u32, score: f32) {
        if row != self.hidden {
            self.best.push(score, || row);
        }
    }

    fn threshold(&self) -> Option<f32> {
        self.best.threshold()
    }
}
