//! From rows to an inverted index: each window is sorted by dimension on its own, side by side with others, and laid
//! behind the one before; then the blocks of all windows are put in the order of their dimensions. Everything is
//! written in order, which is several times as fast as to write each value where its dimension's list is.

use rayon::prelude::*;

use super::index::{Block, SparseIndex, WINDOW};
use super::rows::SparseRows;
use super::score::rounded;
use crate::error::{EngineError, Result};

/// The values of one window, by dimension and then by row.
struct Sorted {
    /// Dimension and place in one number, and the value.
    entries: Vec<(u64, f32)>,
    lengths: Vec<f32>,
}

impl SparseIndex {
    /// Builds the index of all rows, on the threads of the pool that it is called on. Beside the index itself this
    /// takes 16 bytes for each value of one window a thread, and 24 for each block.
    ///
    /// # Errors
    /// `InvalidParameter` when there are 2^32 rows or more, or 2^32 values or more in a window.
    pub fn build(rows: &(impl SparseRows + Sync + ?Sized)) -> Result<Self> {
        let count = rows.count();
        if u32::try_from(count).is_err() {
            return Err(EngineError::invalid("a sparse index holds fewer than 2^32 rows"));
        }
        let most = (0..count).map(|row| rows.row(row).stored_pairs()).sum();
        let mut index = Self {
            places: Vec::with_capacity(most),
            values: Vec::with_capacity(most),
            lengths: Vec::with_capacity(count),
            ..Self::default()
        };
        let mut blocks = Vec::new();
        let starts: Vec<usize> = (0..count).step_by(WINDOW).collect();
        for batch in starts.chunks(rayon::current_num_threads().max(1)) {
            let sort = |&start: &usize| Sorted::new(rows, start..(start + WINDOW).min(count));
            for window in batch.par_iter().map(sort).collect::<Vec<_>>() {
                index.append(&window, &mut blocks)?;
            }
        }
        index.order(blocks);
        Ok(index)
    }

    /// Lays a window behind those that are there.
    fn append(&mut self, sorted: &Sorted, blocks: &mut Vec<(u32, Block)>) -> Result<()> {
        let fit = |n: usize| {
            u32::try_from(n).map_err(|_| EngineError::invalid("too many values in 4096 sparse vectors: 2^32"))
        };
        fit(sorted.entries.len())?;
        let window = fit(self.windows.len())?;
        self.windows.push(self.places.len());
        let mut start = 0;
        for run in sorted.entries.chunk_by(|a, b| dimension(a.0) == dimension(b.0)) {
            let (mut max_value, mut min_length) = (0f32, f32::MAX);
            for &(key, value) in run {
                max_value = max_value.max(value);
                min_length = min_length.min(sorted.lengths[usize::from(place(key))]);
                self.places.push(place(key));
                self.values.push(value);
            }
            let len = run.len() as u32;
            blocks.push((dimension(run[0].0), Block { window, start, len, max_value, min_length }));
            start += len;
        }
        self.total_length += sorted.lengths.iter().map(|&length| f64::from(length)).sum::<f64>();
        self.lengths.extend_from_slice(&sorted.lengths);
        Ok(())
    }

    /// Puts the blocks in order.
    fn order(&mut self, mut blocks: Vec<(u32, Block)>) {
        blocks.par_sort_unstable_by_key(|(dimension, block)| (*dimension, block.window));
        self.blocks.reserve_exact(blocks.len());
        for (dimension, block) in blocks {
            if self.dimensions.last() != Some(&dimension) {
                self.dimensions.push(dimension);
                self.first.push(self.blocks.len());
            }
            self.blocks.push(block);
        }
        self.first.push(self.blocks.len());
    }
}

impl Sorted {
    fn new(rows: &(impl SparseRows + ?Sized), range: std::ops::Range<usize>) -> Self {
        let mut entries = Vec::with_capacity(range.clone().map(|row| rows.row(row).stored_pairs()).sum());
        let mut lengths = Vec::with_capacity(range.len());
        for (place, row) in range.enumerate() {
            let mut length = 0.0;
            for (dimension, value) in rows.row(row).entries() {
                length += f64::from(value);
                entries.push((u64::from(dimension) << 16 | place as u64, value));
            }
            lengths.push(rounded(length));
        }
        entries.sort_unstable_by_key(|&(key, _)| key);
        Self { entries, lengths }
    }
}

fn dimension(key: u64) -> u32 {
    (key >> 16) as u32
}

fn place(key: u64) -> u16 {
    key as u16
}
