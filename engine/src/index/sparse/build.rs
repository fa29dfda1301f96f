//! From rows to an inverted index in two passes: the first counts, so that the second knows where everything goes.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::index::{Block, SparseIndex, WINDOW};
use super::rows::SparseRows;
use crate::error::{EngineError, Result};

/// What the passes know of a dimension: how much there is of it, then where its next posting and block go.
#[derive(Debug, Clone, Copy, Default)]
struct Fill {
    posting: usize,
    block: usize,
    /// One more than the window of the last block.
    window: u32,
    /// Its first posting.
    first: usize,
}

impl SparseIndex {
    /// Builds the index of all rows. Beside the index itself this takes memory in proportion to the dimensions only.
    ///
    /// # Errors
    /// `InvalidParameter` when there are more rows than 2^32 − 1.
    pub fn build(rows: &(impl SparseRows + ?Sized)) -> Result<Self> {
        let count = u32::try_from(rows.count())
            .map_err(|_| EngineError::invalid("a sparse index holds fewer than 2^32 rows"))?
            as usize;
        // The hash is seeded anew each time: nobody can choose dimensions that collide.
        let mut numbers: HashMap<u32, usize, RandomState> = HashMap::default();
        let (mut fills, mut lengths, mut total_length) = (Vec::<Fill>::new(), Vec::with_capacity(count), 0.0);
        for row in 0..count {
            let window = window_of(row);
            for (dimension, _) in rows.row(row).entries() {
                let number = *numbers.entry(dimension).or_insert(fills.len());
                if number == fills.len() {
                    fills.push(Fill::default());
                }
                let fill = &mut fills[number];
                fill.posting += 1;
                fill.block += usize::from(fill.window != window + 1);
                fill.window = window + 1;
            }
            let length = rows.row(row).length();
            total_length += f64::from(length);
            lengths.push(length);
        }
        let mut index = Self::lay_out(&numbers, &mut fills, lengths, total_length);
        index.fill(rows, &numbers, &mut fills);
        Ok(index)
    }

    /// Makes room: dimensions in order, each with as much as was counted.
    fn lay_out(
        numbers: &HashMap<u32, usize, RandomState>,
        fills: &mut [Fill],
        lengths: Vec<f32>,
        total_length: f64,
    ) -> Self {
        let mut order: Vec<(u32, usize)> = numbers.iter().map(|(&d, &number)| (d, number)).collect();
        order.sort_unstable();
        let (mut posting, mut block) = (0, 0);
        let mut first = Vec::with_capacity(order.len() + 1);
        for &(_, number) in &order {
            first.push((posting, block));
            let counted = fills[number];
            fills[number] = Fill { posting, block, window: 0, first: posting };
            posting += counted.posting;
            block += counted.block;
        }
        first.push((posting, block));
        let empty = Block { window: 0, start: 0, max_value: 0.0, min_length: f32::MAX };
        Self {
            dimensions: order.into_iter().map(|(dimension, _)| dimension).collect(),
            first,
            blocks: vec![empty; block],
            places: vec![0; posting],
            values: vec![0.0; posting],
            lengths,
            total_length,
        }
    }

    /// Writes postings and blocks where they go.
    fn fill(
        &mut self,
        rows: &(impl SparseRows + ?Sized),
        numbers: &HashMap<u32, usize, RandomState>,
        fills: &mut [Fill],
    ) {
        for row in 0..self.lengths.len() {
            let (window, place, length) = (window_of(row), (row % WINDOW) as u16, self.lengths[row]);
            for (dimension, value) in rows.row(row).entries() {
                let Some(fill) = numbers.get(&dimension).and_then(|&number| fills.get_mut(number)) else {
                    continue;
                };
                if fill.window != window + 1 {
                    fill.window = window + 1;
                    let block = &mut self.blocks[fill.block];
                    (block.window, block.start) = (window, (fill.posting - fill.first) as u32);
                    fill.block += 1;
                }
                let block = &mut self.blocks[fill.block - 1];
                block.max_value = block.max_value.max(value);
                block.min_length = block.min_length.min(length);
                (self.places[fill.posting], self.values[fill.posting]) = (place, value);
                fill.posting += 1;
            }
        }
    }
}

fn window_of(row: usize) -> u32 {
    (row / WINDOW) as u32
}
