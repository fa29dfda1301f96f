//! Building lists: centroids from a sample, then every row to its nearest one.

use rayon::prelude::*;

use super::IvfIndex;
use crate::array::Array;
use crate::error::Result;
use crate::index::assign::assign;
use crate::index::fit::{Fit, measure};
use crate::index::kmeans::{group, train};
use crate::index::progress::BuildProgress;
use crate::index::quantizer::{Codes, Quantizer};
use crate::index::sample::{lay_sample, sample};
use crate::index::space::Space;
use crate::kernel::Metric;
use crate::kernel::tile::WIDTH;
use crate::segment::VectorColumn;

/// Rows of the sample for each list, of many lists altogether, and of each even then.
const SAMPLE_PER_LIST: usize = 32;
const MOST_SAMPLED: usize = 1 << 18;
const LEAST_PER_LIST: usize = 8;
/// Fewest rows a list should have on average, as in Faiss and Milvus: with more lists, centroids are noise.
const LEAST_ROWS_PER_LIST: usize = 39;
/// Rows handed to a thread at once; a multiple of a panel.
const PART: usize = 64 * WIDTH;

/// Sorts the rows of a column into `lists` lists.
///
/// # Errors
/// `Closing` when the build is called off.
pub(crate) fn build(
    column: &VectorColumn,
    metric: Metric,
    lists: usize,
    proven: bool,
    seed: u64,
    progress: &BuildProgress,
) -> Result<IvfIndex> {
    let space = Space::of(metric, column);
    let width = space.width();
    let lists = lists.clamp(1, (column.rows() / LEAST_ROWS_PER_LIST).max(1));
    let wanted = (lists * SAMPLE_PER_LIST).min((lists * LEAST_PER_LIST).max(MOST_SAMPLED));
    let sampled = sample(column.rows(), wanted, seed);
    let rows = lay_sample(&space, column, &sampled);
    let quantizer = Quantizer::learn(&rows, width);
    if lists > 1 && measure(&space, column, &quantizer, seed) == Fit::Nothing {
        return build(column, metric, 1, proven, seed, progress);
    }
    let centroids = train(&rows, width, lists, seed, progress)?;
    drop(rows);
    progress.check()?;
    let list_of = assign(&space, column, &centroids, column.rows(), |row| row, progress)?;
    progress.add(column.rows());
    let lists = group(&list_of, lists);
    let stride = quantizer.stride();
    let mut codes = vec![0u8; column.rows() * stride];
    let errors = encode(&space, column, &quantizer, &lists.members, &lists.starts, &mut codes);
    if errors.len() > 1 && errors.iter().any(|error| !error.is_finite()) {
        // Values at the ends of f32: means and distances of them are none. One list is right, if not fast.
        return build(column, metric, 1, proven, seed, progress);
    }
    let mut centroid_codes = vec![0u8; errors.len() * stride];
    for (centroid, code) in centroids.values.chunks_exact(width).zip(centroid_codes.chunks_exact_mut(stride))
    {
        quantizer.encode(centroid, code);
    }
    Ok(IvfIndex {
        space,
        centroids: Codes { quantizer: quantizer.clone(), rows: Array::Heap(centroid_codes) },
        starts: Array::Heap(lists.starts),
        order: Array::Heap(lists.members),
        codes: Codes { quantizer, rows: Array::Heap(codes) },
        errors: Array::Heap(errors),
        proven,
    })
}

/// Codes of all rows in the order of the lists; gives back the largest error of each list.
fn encode(
    space: &Space,
    column: &VectorColumn,
    quantizer: &Quantizer,
    order: &[u32],
    starts: &[u32],
    codes: &mut [u8],
) -> Vec<f32> {
    let (stride, width) = (quantizer.stride(), space.width());
    let errors: Vec<f32> = codes
        .par_chunks_mut(PART * stride)
        .zip(order.par_chunks(PART))
        .flat_map_iter(|(codes, rows)| {
            let mut laid = vec![0f32; width];
            let encode = move |(code, &row): (&mut [u8], &u32)| {
                space.lay_row(column, row as usize, &mut laid);
                quantizer.encode(&laid, code);
                quantizer.error(&laid, code.iter().map(|&c| f32::from(c)))
            };
            codes.chunks_exact_mut(stride).zip(rows).map(encode).collect::<Vec<_>>()
        })
        .collect();
    let largest =
        |list: &[u32]| errors[list[0] as usize..list[1] as usize].iter().fold(0f32, |a, &b| a.max(b));
    starts.windows(2).map(largest).collect()
}
