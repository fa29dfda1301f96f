//! Whether codes of one byte a dimension tell the rows of a column apart well enough to walk over, or else their vectors.

use super::quantizer::Quantizer;
use super::sample::{lay_sample, sample};
use super::space::Space;
use crate::kernel::{self, Metric};
use crate::segment::VectorColumn;

/// Rows whose neighbours are compared, and among how many rows.
const QUERIES: usize = 64;
const ROWS: usize = 4096;
/// Neighbours that have to be found again, among how many of the nearest by code.
const NEAREST: usize = 10;
const AMONG: usize = 20;
/// The share that has to be.
const ENOUGH: f64 = 0.98;

/// What can be walked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Codes are good enough.
    Codes,
    /// Vectors laid into the space are.
    Vectors,
    /// Not even those: the space's numbers cannot hold the data (one row a billion times as long as the others, say).
    Nothing,
}

/// Compares nearest neighbours, on a sample and by the true metric, with those by code and those in the space.
pub(super) fn measure(space: &Space, column: &VectorColumn, quantizer: &Quantizer, seed: u64) -> Fit {
    let sampled = sample(column.rows(), ROWS, seed ^ 1);
    let (width, stride, kernel) = (space.width(), quantizer.stride(), kernel::active());
    let laid = lay_sample(space, column, &sampled);
    let mut codes = vec![0u8; sampled.len() * stride];
    for (row, code) in laid.chunks_exact(width).zip(codes.chunks_exact_mut(stride)) {
        quantizer.encode(row, code);
    }
    let (mut truth, mut distances) = (vec![0f32; sampled.len()], vec![0f32; sampled.len()]);
    let (mut by_code, mut in_space, mut wanted) = (0, 0, 0);
    for &row in sampled.iter().take(QUERIES) {
        let row = column.row(row as usize);
        let query = if space.metric == Metric::Cosine { kernel.unit(row) } else { row.to_vec() };
        column.score_rows(space.metric, &query, &sampled, &mut truth);
        if space.metric.is_similarity() {
            truth.iter_mut().for_each(|score| *score = -*score);
        }
        let exact = nearest(&truth, NEAREST);
        // Rows as far as the last of them are as good as it.
        let worst = exact.last().map_or(0.0, |&i| truth[i]);
        wanted += exact.len();
        let found = |distances: &[f32]| {
            let good = nearest(distances, AMONG).into_iter().filter(|&i| truth[i] <= worst).count();
            good.min(exact.len())
        };
        let query = space.lay_query(&query);
        kernel.codes_many(&quantizer.encode_query(&query), &codes, &mut distances);
        by_code += found(&distances);
        kernel.l2_many(&query, &laid, &mut distances);
        in_space += found(&distances);
    }
    let enough = |found: usize| found as f64 >= ENOUGH * wanted as f64;
    match (enough(by_code), enough(in_space)) {
        (true, _) => Fit::Codes,
        (false, true) => Fit::Vectors,
        (false, false) => Fit::Nothing,
    }
}

fn nearest(distances: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..distances.len()).collect();
    order.sort_unstable_by(|&a, &b| distances[a].total_cmp(&distances[b]).then(a.cmp(&b)));
    order.truncate(count);
    order
}
