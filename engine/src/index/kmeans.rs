//! k-means: Lloyd's iterations over a sample, after k-means++ seeding (Arthur and Vassilvitskii, 2007) on a part of it.
//! Assignment is a blocked matrix product: |p-c|² is smallest where p·c - |c|²/2 is largest. The result depends on the
//! data and the seed only, not on the number of threads.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use super::progress::BuildProgress;
use crate::error::Result;
use crate::kernel::tile::{Best, Panel, WIDTH};
use crate::kernel::{self, Kernel};

/// Lloyd iterations at most.
const ITERATIONS: usize = 8;
/// Iterations end when the mean distance improves by less than this share.
const ENOUGH: f64 = 2e-3;
/// More centroids than this are drawn at random, and moved fewer times: k-means++ takes time with their square.
const MOST_SEEDS: usize = 4096;
const FEW_ITERATIONS: usize = 4;
/// Seeding looks at this many points a centroid.
const SEEDING_POINTS: usize = 8;

/// Points in panels, so that they are transposed once for all iterations.
pub(crate) struct Points {
    panels: Vec<Panel>,
}

impl Points {
    pub(crate) fn new(rows: &[f32], width: usize) -> Self {
        let panels = rows.par_chunks(width * WIDTH).map(|part| Panel::new(part, width)).collect();
        Self { panels }
    }

    /// For each point the nearest centroid, and `p·c - |c|²/2`.
    ///
    /// # Errors
    /// `Closing` when called off.
    pub(crate) fn assign(
        &self,
        centroids: &Centroids,
        progress: &BuildProgress,
    ) -> Result<(Vec<u32>, Vec<f32>)> {
        let nearest = |panel| {
            progress.check()?;
            Ok(centroids.nearest(panel))
        };
        let nearest: Vec<Best> = self.panels.par_iter().map(nearest).collect::<Result<_>>()?;
        let lanes = || {
            self.panels.iter().zip(&nearest).flat_map(|(p, best)| (0..p.queries()).map(move |q| (best, q)))
        };
        Ok((lanes().map(|(best, q)| best.row[q]).collect(), lanes().map(|(best, q)| best.value[q]).collect()))
    }
}

/// Centroids, row-major, with what an assignment needs of them.
#[derive(Debug, Clone)]
pub(crate) struct Centroids {
    pub(crate) values: Vec<f32>,
    /// -|c|²/2.
    shifts: Vec<f32>,
}

impl Centroids {
    fn new(values: Vec<f32>, width: usize) -> Self {
        let kernel = kernel::active();
        let shifts = values.chunks_exact(width).map(|c| -0.5 * kernel.dot(c, c)).collect();
        Self { values, shifts }
    }

    /// The nearest one for each vector of a panel.
    pub(crate) fn nearest(&self, panel: &Panel) -> Best {
        let mut best = Best::NONE;
        kernel::active().tile_best(panel, &self.values, &self.shifts, 0, &mut best);
        best
    }
}

/// `count` centroids of the row-major points; `count` is at least 1 and at most the number of points.
///
/// # Errors
/// `Closing` when called off.
pub(crate) fn train(
    rows: &[f32],
    width: usize,
    count: usize,
    seed: u64,
    progress: &BuildProgress,
) -> Result<Centroids> {
    let points = Points::new(rows, width);
    let lengths: Vec<f32> = rows.par_chunks_exact(width).map(|p| kernel::active().dot(p, p)).collect();
    let mut centroids = Centroids::new(seeds(rows, width, count, seed, progress)?, width);
    let mut last = f64::INFINITY;
    let iterations = if count > MOST_SEEDS { FEW_ITERATIONS } else { ITERATIONS };
    for _ in 0..iterations {
        let (nearest, values) = points.assign(&centroids, progress)?;
        let distances: Vec<f32> = lengths.iter().zip(&values).map(|(l, v)| (l - 2.0 * v).max(0.0)).collect();
        centroids = Centroids::new(means(rows, width, count, &nearest, &distances), width);
        let total: f64 = distances.iter().map(|&d| f64::from(d)).sum();
        if total >= last * (1.0 - ENOUGH) {
            break;
        }
        last = total;
    }
    Ok(centroids)
}

/// k-means++: each next one is drawn with a probability that grows with its squared distance from those before.
fn seeds(rows: &[f32], width: usize, count: usize, seed: u64, progress: &BuildProgress) -> Result<Vec<f32>> {
    if count > MOST_SEEDS {
        // The rows are in random order: the first ones are as good as any.
        return Ok(rows[..count * width].to_vec());
    }
    let kernel = kernel::active();
    let mut rng = StdRng::seed_from_u64(seed);
    let points = rows.len() / width;
    let looked_at = points.min(count.saturating_mul(SEEDING_POINTS));
    // The rows are a random sample already: its beginning is one, too.
    let rows = &rows[..looked_at * width];
    let mut distances = vec![f32::INFINITY; looked_at];
    let mut seeds = Vec::with_capacity(count * width);
    let mut next = rng.random_range(0..looked_at);
    for _ in 0..count {
        progress.check()?;
        let seed = &rows[next * width..(next + 1) * width];
        seeds.extend_from_slice(seed);
        narrow(kernel, seed, rows, &mut distances);
        let total: f64 = distances.iter().map(|&d| f64::from(d)).sum();
        let mut left = rng.random::<f64>() * total;
        next = distances
            .iter()
            .position(|&d| {
                left -= f64::from(d);
                left < 0.0
            })
            // All are seeds already, or equal to one.
            .unwrap_or_else(|| rng.random_range(0..looked_at));
    }
    Ok(seeds)
}

/// Lowers `distances` to those from one more seed.
fn narrow(kernel: &Kernel, seed: &[f32], rows: &[f32], distances: &mut [f32]) {
    const PART: usize = 2048;
    let width = seed.len();
    distances.par_chunks_mut(PART).zip(rows.par_chunks(PART * width)).for_each(|(distances, rows)| {
        let mut fresh = [0f32; PART];
        let fresh = &mut fresh[..distances.len()];
        kernel.l2_many(seed, rows, fresh);
        distances.iter_mut().zip(fresh).for_each(|(d, f)| *d = d.min(*f));
    });
}

/// The mean of each cluster. A cluster without points gets one of the points that lie farthest from their centroids.
fn means(rows: &[f32], width: usize, count: usize, nearest: &[u32], distances: &[f32]) -> Vec<f32> {
    let members = group(nearest, count);
    let mut farthest = (0..nearest.len()).collect::<Vec<_>>();
    let empty = (0..count).filter(|&c| members.of(c).is_empty()).count();
    if empty > 0 {
        farthest.sort_unstable_by(|&a, &b| distances[b].total_cmp(&distances[a]).then(a.cmp(&b)));
    }
    let spares: Vec<usize> = farthest.into_iter().take(empty).collect();
    let mut means = vec![0f32; count * width];
    means.par_chunks_mut(width).enumerate().for_each(|(cluster, mean)| {
        let members = members.of(cluster);
        for &point in members {
            let row = &rows[point as usize * width..(point as usize + 1) * width];
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += x);
        }
        let scale = (members.len().max(1) as f32).recip();
        mean.iter_mut().for_each(|m| *m *= scale);
    });
    let vacant: Vec<usize> = (0..count).filter(|&c| members.of(c).is_empty()).collect();
    for (cluster, point) in vacant.into_iter().zip(spares) {
        means[cluster * width..(cluster + 1) * width]
            .copy_from_slice(&rows[point * width..(point + 1) * width]);
    }
    means
}

/// Numbers by group, in order within each.
pub(crate) struct Groups {
    /// Where each group begins in `members`, and the end.
    pub(crate) starts: Vec<u32>,
    pub(crate) members: Vec<u32>,
}

impl Groups {
    pub(crate) fn of(&self, group: usize) -> &[u32] {
        &self.members[self.starts[group] as usize..self.starts[group + 1] as usize]
    }
}

/// Sorts `0..group_of.len()` by group.
pub(crate) fn group(group_of: &[u32], count: usize) -> Groups {
    let mut starts = vec![0u32; count + 1];
    group_of.iter().for_each(|&g| starts[g as usize + 1] += 1);
    for g in 0..count {
        starts[g + 1] += starts[g];
    }
    let mut next = starts.clone();
    let mut members = vec![0; group_of.len()];
    for (number, &g) in group_of.iter().enumerate() {
        members[next[g as usize] as usize] = number as u32;
        next[g as usize] += 1;
    }
    Groups { starts, members }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs(count: usize, points: usize) -> Vec<f32> {
        let mut rng = StdRng::seed_from_u64(3);
        (0..points)
            .flat_map(|i| {
                let centre = (i % count) as f32 * 100.0;
                [centre + rng.random_range(-1.0..1.0f32), -centre + rng.random_range(-1.0..1.0f32)]
            })
            .collect()
    }

    #[test]
    fn separated_blobs_are_found_the_same_way_each_time() {
        let rows = blobs(9, 900);
        let centroids = train(&rows, 2, 9, 7, &BuildProgress::default()).unwrap();
        let mut found: Vec<i64> =
            centroids.values.chunks_exact(2).map(|c| (c[0] / 100.0).round() as i64).collect();
        found.sort_unstable();
        assert_eq!(found, (0..9).collect::<Vec<_>>());
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(
            one.install(|| train(&rows, 2, 9, 7, &BuildProgress::default()).unwrap()).values,
            centroids.values
        );
        let (nearest, _) = Points::new(&rows, 2).assign(&centroids, &BuildProgress::default()).unwrap();
        assert!(nearest.chunks_exact(9).all(|part| part == &nearest[..9]));
    }

    #[test]
    fn equal_points_and_as_many_centroids_as_points_are_fine() {
        for (rows, count) in [(vec![5.0; 64], 8), (blobs(4, 16), 16), (vec![1.0, 2.0], 1)] {
            let centroids = train(&rows, 2, count, 1, &BuildProgress::default()).unwrap();
            assert_eq!(centroids.values.len(), count * 2);
            assert!(centroids.values.iter().all(|v| v.is_finite()));
        }
    }

    #[test]
    fn a_cluster_that_lost_its_points_gets_the_farthest_one() {
        let rows = [0.0, 0.0, 1.0, 0.0, 50.0, 0.0];
        let means = means(&rows, 2, 2, &[0, 0, 0], &[1.0, 2.0, 9.0]);
        assert_eq!(means[2..], [50.0, 0.0]);
    }
}
