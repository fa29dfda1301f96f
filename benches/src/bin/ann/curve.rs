//! Recall against speed for rising effort, and where a curve passes a recall.

use serde::Serialize;

/// One effort.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Point {
    pub(crate) effort: usize,
    pub(crate) recall: f64,
    /// Queries a second, median of the rounds.
    pub(crate) qps: f64,
    /// Least and most of the rounds.
    pub(crate) spread: (f64, f64),
}

/// One contender with one number of threads.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) threads: usize,
    pub(crate) points: Vec<Point>,
}

impl Curve {
    /// Queries a second at a recall: between two efforts the logarithm of the speed is taken as linear in the recall. None
    /// where no effort reached it.
    pub(crate) fn qps_at(&self, recall: f64) -> Option<f64> {
        let next = self.points.iter().position(|p| p.recall >= recall)?;
        let after = &self.points[next];
        let Some(before) = next.checked_sub(1).map(|i| &self.points[i]) else { return Some(after.qps) };
        let share = (recall - before.recall) / (after.recall - before.recall);
        Some((before.qps.ln() * (1.0 - share) + after.qps.ln() * share).exp())
    }
}

/// The middle of some values.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
