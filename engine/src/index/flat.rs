//! No index: every row of a set is compared. One query, or a few, pass over the rows at the speed of memory; many are
//! compared as a blocked matrix product that leaves a few pairs to score in full precision, so that scores are the same
//! whatever came with them.

use std::ops::Range;

use super::query::{Collector, Target};
use super::stats::SearchStats;
use crate::kernel::tile::{Panel, WIDTH, error};
use crate::kernel::{self, Metric};

/// Rows compared at once: at 512 floats a block is 192 KiB, which stays in a core's second cache for the next queries.
const BLOCK_ROWS: usize = 96;
/// With fewer than one row of the set in this many, rows are visited one by one instead of block by block.
const SPARSE: f32 = 1.0 / 8.0;
/// From so many queries on, a matrix product is faster (measured).
const MANY: usize = 4;
/// Longer vectors than this are scored without a product: its error bound would not hold.
const LONGEST: f32 = 1e15;
/// Rounding of lengths and of scores, beside that of the product.
const ROUNDING: f32 = 1e-6;

/// Offers each collector the rows of the set in `range` that can be among the best for its query.
pub(crate) fn search(
    target: Target<'_>,
    queries: &[&[f32]],
    range: Range<usize>,
    collectors: &mut [&mut dyn Collector],
    stats: &mut SearchStats,
) {
    if target.rows.is_empty() {
        return;
    }
    if target.rows.share() < SPARSE {
        sparse(target, queries, range, collectors, stats);
    } else if queries.len() < MANY {
        few(target, queries, range, collectors, stats);
    } else {
        let mut tiles: Vec<Tile<'_>> = queries.chunks(WIDTH).map(|part| Tile::new(target, part)).collect();
        for start in range.clone().step_by(BLOCK_ROWS) {
            let rows = start..(start + BLOCK_ROWS).min(range.end);
            for (tile, collectors) in tiles.iter_mut().zip(collectors.chunks_mut(WIDTH)) {
                tile.search(rows.clone(), collectors, stats);
            }
        }
    }
}

fn sparse(
    target: Target<'_>,
    queries: &[&[f32]],
    range: Range<usize>,
    collectors: &mut [&mut dyn Collector],
    stats: &mut SearchStats,
) {
    let (mut ids, mut scores) = (Vec::with_capacity(BLOCK_ROWS), [0f32; BLOCK_ROWS]);
    let mut matching = target.rows.iter_range(range);
    loop {
        ids.clear();
        ids.extend(matching.by_ref().take(BLOCK_ROWS).map(|row| row as u32));
        if ids.is_empty() {
            return;
        }
        for (query, collector) in queries.iter().zip(&mut *collectors) {
            let scores = &mut scores[..ids.len()];
            target.column.score_rows(target.metric, query, &ids, scores);
            ids.iter().zip(scores).for_each(|(&row, score)| collector.offer(row, *score));
        }
        stats.scored += (ids.len() * queries.len()) as u64;
    }
}

fn few(
    target: Target<'_>,
    queries: &[&[f32]],
    range: Range<usize>,
    collectors: &mut [&mut dyn Collector],
    stats: &mut SearchStats,
) {
    let mut scores = [0f32; BLOCK_ROWS];
    for start in range.clone().step_by(BLOCK_ROWS) {
        let rows = start..(start + BLOCK_ROWS).min(range.end);
        let scores = &mut scores[..rows.len()];
        for (query, collector) in queries.iter().zip(&mut *collectors) {
            target.column.score_range(target.metric, query, rows.clone(), scores);
            let worst = collector.threshold();
            for (row, &score) in rows.clone().zip(&*scores) {
                let hopeless = worst.is_some_and(|worst| target.metric.better(worst, score));
                if !hopeless && target.rows.contains(row) {
                    collector.offer(row as u32, score);
                }
            }
        }
        stats.scored += (rows.len() * queries.len()) as u64;
    }
}

/// Up to [`WIDTH`] queries, ready for products.
struct Tile<'a> {
    target: Target<'a>,
    queries: &'a [&'a [f32]],
    panel: Panel,
    lengths: [f32; WIDTH],
    longest: f32,
    /// Bounds the relative error of a product, and of what is made of it.
    error: f32,
    /// Rows worth scoring for each query.
    near: [Vec<u32>; WIDTH],
}

impl<'a> Tile<'a> {
    fn new(target: Target<'a>, queries: &'a [&'a [f32]]) -> Self {
        let dim = target.column.dim();
        let mut lengths = [0f32; WIDTH];
        lengths.iter_mut().zip(queries).for_each(|(length, query)| *length = kernel::active().norm(query));
        let longest = lengths.iter().fold(0f32, |a, &b| a.max(b));
        let panel = Panel::new(&queries.concat(), dim);
        Self {
            target,
            queries,
            panel,
            lengths,
            longest,
            error: error(dim) + ROUNDING,
            near: Default::default(),
        }
    }

    /// Up to [`BLOCK_ROWS`] rows.
    fn search(&mut self, rows: Range<usize>, collectors: &mut [&mut dyn Collector], stats: &mut SearchStats) {
        let (dim, count) = (self.target.column.dim(), rows.len());
        let (mut scale, mut shift, mut masks) = ([1f32; BLOCK_ROWS], [0f32; BLOCK_ROWS], [0u16; BLOCK_ROWS]);
        let inverse = &self.target.column.inverse_norms()[rows.clone()];
        for ((scale, shift), &inverse) in scale.iter_mut().zip(&mut shift).zip(inverse) {
            (*scale, *shift) = self.of_row(inverse);
        }
        let mut bounds = [f32::INFINITY; WIDTH];
        for ((bound, collector), &length) in bounds.iter_mut().zip(&*collectors).zip(&self.lengths) {
            *bound = self.bound(collector.threshold(), length);
        }
        let matrix = &self.target.column.values()[rows.start * dim..rows.end * dim];
        let (scale, shift, masks) = (&scale[..count], &shift[..count], &mut masks[..count]);
        kernel::active().tile_above(&self.panel, matrix, scale, shift, &bounds, masks);
        stats.scored += (count * self.queries.len()) as u64;
        for (row, &mask) in rows.zip(&*masks).filter(|&(_, &mask)| mask != 0) {
            if self.target.rows.contains(row) {
                let lanes = (0..self.queries.len()).filter(|lane| mask >> lane & 1 == 1);
                lanes.for_each(|lane| self.near[lane].push(row as u32));
            }
        }
        self.score(collectors);
    }

    /// Factor and term that make a product comparable with the bounds. The term leaves room for its error.
    fn of_row(&self, inverse_norm: f32) -> (f32, f32) {
        let length = if inverse_norm > 0.0 { inverse_norm.recip() } else { 0.0 };
        let usable = length < LONGEST && (length == 0.0 || length > LONGEST.recip());
        if !usable {
            return (1.0, f32::INFINITY);
        }
        match self.target.metric {
            Metric::L2 => (1.0, self.error * length * (length + self.longest) - 0.5 * length * length),
            Metric::Ip => (1.0, self.error * length * self.longest),
            Metric::Cosine => (inverse_norm, 2.0 * self.error),
        }
    }

    /// What a product has to reach for a score that can be among the best.
    fn bound(&self, threshold: Option<f32>, length: f32) -> f32 {
        let Some(worst) = threshold else { return f32::NEG_INFINITY };
        if length >= LONGEST {
            return f32::NEG_INFINITY;
        }
        match self.target.metric {
            Metric::L2 => {
                let square = length * length;
                0.5 * (square - worst) - self.error * (square + worst)
            }
            Metric::Ip => worst - self.error * worst.abs(),
            Metric::Cosine => worst - self.error,
        }
    }

    fn score(&mut self, collectors: &mut [&mut dyn Collector]) {
        let mut scores = [0f32; BLOCK_ROWS];
        for ((rows, query), collector) in self.near.iter_mut().zip(self.queries).zip(collectors) {
            if !rows.is_empty() {
                let scores = &mut scores[..rows.len()];
                self.target.column.score_rows(self.target.metric, query, rows, scores);
                rows.iter().zip(scores).for_each(|(&row, score)| collector.offer(row, *score));
                rows.clear();
            }
        }
    }
}
