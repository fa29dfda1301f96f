//! Indexes: which rows of a sealed segment are worth scoring. Each belongs to one vector field of one segment, is built
//! once over all its rows, never changes, and is derived: it can be deleted and is built again.
//!
//! ```text
//!   params ── what is asked for ──► build: space → sample → quantizer ─┬─► ivf   lists of codes
//!                                                                      └─► hnsw  a graph over codes
//!                                     calibrate: effort → recall, on held-out rows; cost: what it is worth
//!   query ──► codes compared ──► a few rows scored in full precision ──► collector
//! ```
//!
//! Whatever the index, two things hold. Scores are the kernel's over full vectors: an index chooses rows, it never
//! makes up a score. And if there are `k` rows to be found, `k` are: a search that comes back with fewer looks at the
//! others, too.

mod assign;
mod calibrate;
pub(crate) mod cost;
mod file;
mod fit;
pub(crate) mod flat;
pub(crate) mod hnsw;
pub(crate) mod ivf;
mod kinds;
mod kmeans;
mod params;
mod progress;
mod quantizer;
mod query;
mod sample;
pub(crate) mod scalar;
mod space;
pub mod sparse;
mod stats;

use std::time::Instant;

use crate::error::Result;
use crate::kernel::Metric;
use crate::segment::VectorColumn;

pub(crate) use calibrate::{Calibration, Expected};
pub(crate) use file::{index_path, open_index, write_index};
pub(crate) use kinds::{check_scalar, check_type};
pub use params::INDEX_TYPES;
pub(crate) use params::{LEAST_ROWS, Plan};
pub(crate) use progress::BuildProgress;
pub use query::Collector;
pub(crate) use query::Target;
pub use stats::SearchStats;

/// Samples, seeds of k-means and levels of a graph are the same for the same data. A graph still differs a little from
/// build to build: threads insert side by side.
const SEED: u64 = 0x5eed;

/// A built index with what is known of its accuracy.
#[derive(Debug)]
pub(crate) struct VectorIndex {
    pub(crate) metric: Metric,
    pub(crate) family: Family,
    pub(crate) calibration: Calibration,
}

/// The families.
#[derive(Debug)]
pub(crate) enum Family {
    Ivf(ivf::IvfIndex),
    Hnsw(hnsw::HnswIndex),
}

impl VectorIndex {
    /// Builds what the plan asks for, on the threads of the pool that it is called on. None for FLAT.
    ///
    /// # Errors
    /// `Closing` when the build is called off.
    pub(crate) fn build(
        column: &VectorColumn,
        metric: Metric,
        plan: Plan,
        progress: &BuildProgress,
    ) -> Result<Option<Self>> {
        let family = match plan {
            Plan::Flat => return Ok(None),
            Plan::Ivf { lists, proven } => {
                Family::Ivf(ivf::build(column, metric, lists, proven, SEED, progress)?)
            }
            Plan::Hnsw(params) => match hnsw::build(column, metric, params, SEED, progress)? {
                Some(graph) => Family::Hnsw(graph),
                // One list: every row is looked at.
                None => Family::Ivf(ivf::build(column, metric, 1, true, SEED, progress)?),
            },
        };
        let mut index = Self { metric, family, calibration: Calibration::default() };
        let started = Instant::now();
        index.calibration = Calibration::measure(&index, column, SEED, progress)?;
        tracing::debug!(rows = column.rows(), seconds = started.elapsed().as_secs_f32(), "index calibrated");
        Ok(Some(index))
    }

    /// Bytes of its arrays.
    pub(crate) fn bytes(&self) -> usize {
        match &self.family {
            Family::Ivf(ivf) => ivf.bytes(),
            Family::Hnsw(hnsw) => hnsw.bytes(),
        }
    }

    /// Its type, for people.
    pub(crate) fn name(&self) -> &'static str {
        match &self.family {
            Family::Ivf(ivf) if ivf.proven => "IVF_FLAT",
            Family::Ivf(_) => "IVF_SQ8",
            Family::Hnsw(hnsw) if hnsw.refined => "HNSW",
            Family::Hnsw(_) => "HNSW_SQ",
        }
    }

    /// Whether it is a graph.
    pub(crate) fn is_graph(&self) -> bool {
        matches!(self.family, Family::Hnsw(_))
    }

    /// The most effort that makes a difference: all lists, or all nodes.
    pub(crate) fn most_effort(&self) -> usize {
        match &self.family {
            Family::Ivf(ivf) => ivf.lists(),
            Family::Hnsw(hnsw) => hnsw.nodes.len(),
        }
    }

    /// Offers each collector the best rows for its query, at least `wanted` where there are so many.
    pub(crate) fn search(
        &self,
        target: Target<'_>,
        queries: &[&[f32]],
        effort: usize,
        wanted: usize,
        collectors: &mut [&mut dyn Collector],
        stats: &mut SearchStats,
    ) {
        match &self.family {
            Family::Ivf(ivf) => ivf.search(target, queries, effort, wanted, collectors, stats),
            Family::Hnsw(hnsw) => {
                for (query, collector) in queries.iter().zip(collectors) {
                    hnsw.search(target, query, effort.max(wanted), wanted, *collector, stats);
                }
            }
        }
    }

    /// Offers each collector the best of all rows in the set, by way of their codes. False when there are no codes that
    /// can be reached by row.
    pub(crate) fn scan(
        &self,
        target: Target<'_>,
        queries: &[&[f32]],
        collectors: &mut [&mut dyn Collector],
        stats: &mut SearchStats,
    ) -> bool {
        match &self.family {
            Family::Ivf(_) => false,
            Family::Hnsw(hnsw) => hnsw.scan(target, queries, collectors, stats),
        }
    }
}
