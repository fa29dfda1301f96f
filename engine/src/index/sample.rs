//! Drawing rows at random, the same ones for the same seed.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rayon::prelude::*;

use super::space::Space;
use crate::segment::VectorColumn;

/// Up to `count` different numbers below `rows`, in random order.
pub(crate) fn sample(rows: usize, count: usize, seed: u64) -> Vec<u32> {
    let mut rng = StdRng::seed_from_u64(seed);
    rand::seq::index::sample(&mut rng, rows, count.min(rows)).into_iter().map(|row| row as u32).collect()
}

/// These rows in the space, row-major.
pub(crate) fn lay_sample(space: &Space, column: &VectorColumn, rows: &[u32]) -> Vec<f32> {
    let width = space.width();
    let mut laid = vec![0f32; rows.len() * width];
    laid.par_chunks_mut(width).zip(rows).for_each(|(out, &row)| space.lay_row(column, row as usize, out));
    laid
}
