//! The nearest centroid of each row of a column: rows are laid into the space panel by panel, so that no copy of the
//! whole is made.

use rayon::prelude::*;

use super::kmeans::Centroids;
use super::progress::BuildProgress;
use super::space::Space;
use crate::error::{EngineError, Result};
use crate::kernel::tile::{Panel, WIDTH};
use crate::segment::VectorColumn;

/// Rows handed to a thread at once; a multiple of a panel.
const PART: usize = 32 * WIDTH;

/// The nearest centroid of each of `count` things, whose rows `row_of` gives.
///
/// # Errors
/// `Closing` when called off.
pub(super) fn assign(
    space: &Space,
    column: &VectorColumn,
    centroids: &Centroids,
    count: usize,
    row_of: impl Fn(usize) -> usize + Sync,
    progress: &BuildProgress,
) -> Result<Vec<u32>> {
    let width = space.width();
    let mut nearest = vec![0u32; count];
    nearest.par_chunks_mut(PART).enumerate().try_for_each(|(part, nearest)| {
        progress.check()?;
        let mut laid = vec![0f32; WIDTH * width];
        for (p, nearest) in nearest.chunks_mut(WIDTH).enumerate() {
            let first = part * PART + p * WIDTH;
            for (i, row) in laid.chunks_exact_mut(width).take(nearest.len()).enumerate() {
                space.lay_row(column, row_of(first + i), row);
            }
            let best = centroids.nearest(&Panel::new(&laid[..nearest.len() * width], width));
            nearest.copy_from_slice(&best.row[..nearest.len()]);
        }
        Ok::<_, EngineError>(())
    })?;
    Ok(nearest)
}
