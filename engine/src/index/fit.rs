//! Whether codes of one byte a dimension tell the rows of a column apart well enough to walk over.

use super::quantizer::Quantizer;
use super::sample::{lay_sample, sample};
use super::space::Space;
use crate::kernel;
use crate::segment::VectorColumn;

/// Rows whose neighbours are compared, and among how many rows.
const QUERIES: usize = 64;
const ROWS: usize = 4096;
/// Neighbours that have to be found again, among how many of the nearest by code.
const NEAREST: usize = 10;
const AMONG: usize = 20;
/// The share that has to be.
const ENOUGH: f64 = 0.98;

/// Compares nearest neighbours by code with those in full precision, on a sample.
pub(super) fn codes_fit(space: &Space, column: &VectorColumn, quantizer: &Quantizer, seed: u64) -> bool {
    let sampled = sample(column.rows(), ROWS, seed ^ 1);
    let (width, stride) = (space.width(), quantizer.stride());
    let rows = lay_sample(space, column, &sampled);
    let mut codes = vec![0u8; sampled.len() * stride];
    for (row, code) in rows.chunks_exact(width).zip(codes.chunks_exact_mut(stride)) {
        quantizer.encode(row, code);
    }
    let kernel = kernel::active();
    let mut distances = vec![0f32; sampled.len()];
    let (mut found, mut wanted) = (0, 0);
    for query in rows.chunks_exact(width).take(QUERIES) {
        kernel.l2_many(query, &rows, &mut distances);
        let exact = nearest(&distances, NEAREST);
        // Rows as far as the last of them are as good as it.
        let worst = exact.last().map_or(0.0, |&i| distances[i]);
        let truth = distances.clone();
        kernel.codes_many(&quantizer.encode_query(query), &codes, &mut distances);
        let by_code = nearest(&distances, AMONG);
        wanted += exact.len();
        found += by_code.iter().filter(|&&i| truth[i] <= worst).count().min(exact.len());
    }
    found as f64 >= ENOUGH * wanted as f64
}

fn nearest(distances: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..distances.len()).collect();
    order.sort_unstable_by(|&a, &b| distances[a].total_cmp(&distances[b]).then(a.cmp(&b)));
    order.truncate(count);
    order
}
