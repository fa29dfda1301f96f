//! The inverted index of one segment: for each dimension the rows that have it, with their values.
//!
//! Rows are cut into windows of [`WINDOW`]. The postings of a dimension within a window are a block, which knows its
//! largest value and the smallest length of its rows: no row of the window can get more for the dimension than these
//! give (S. Ding, T. Suel: Faster Top-k Document Retrieval Using Block-Max Indexes, SIGIR 2011; there blocks have a
//! fixed number of postings, here of rows, so that those of all dimensions line up). Postings lie by window, then by
//! dimension: a search has one window in its caches at a time, and each window is built on its own.
//!
//! Memory: 6 bytes for each value, 20 for each block, 12 for each dimension, 4 for each row. A dimension is at most
//! one block in a window, so a block costs at most 20 bytes a value, and little where dimensions are shared by many.

/// Rows of a window: row numbers within it take 2 bytes, and sums for all of them stay in a core's first cache.
pub(super) const WINDOW: usize = 4096;

/// An inverted index over the rows of a segment. Never changes; the same rows give the same index.
#[derive(Debug, PartialEq, Default)]
pub struct SparseIndex {
    /// Ascending.
    pub(super) dimensions: Vec<u32>,
    /// For each dimension its first block, and one more for the end.
    pub(super) first: Vec<usize>,
    /// By dimension, then by window.
    pub(super) blocks: Vec<Block>,
    /// For each window its first posting.
    pub(super) windows: Vec<usize>,
    /// For each posting the row within its window, and the value: by window, then by dimension, then by row.
    pub(super) places: Vec<u16>,
    pub(super) values: Vec<f32>,
    /// For each row the sum of its values.
    pub(super) lengths: Vec<f32>,
    /// The sum of all values.
    pub(super) total_length: f64,
}

/// The postings of one dimension in one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Block {
    pub(super) window: u32,
    /// Its first posting, counted from the first of the window.
    pub(super) start: u32,
    pub(super) len: u32,
    pub(super) max_value: f32,
    pub(super) min_length: f32,
}

impl SparseIndex {
    /// Rows of the segment.
    pub fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// Values of all rows together.
    #[cfg(test)]
    pub(super) fn postings(&self) -> usize {
        self.places.len()
    }

    /// Bytes of its arrays.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.dimensions)
            + size_of_val(&*self.first)
            + size_of_val(&*self.blocks)
            + size_of_val(&*self.windows)
            + size_of_val(&*self.places)
            + size_of_val(&*self.values)
            + size_of_val(&*self.lengths)
    }

    /// How many rows have a dimension.
    pub fn frequency(&self, dimension: u32) -> u64 {
        self.blocks_of(dimension).iter().map(|block| u64::from(block.len)).sum()
    }

    /// The sum of the values of all rows.
    pub fn total_length(&self) -> f64 {
        self.total_length
    }

    /// The blocks of a dimension, by window.
    pub(super) fn blocks_of(&self, dimension: u32) -> &[Block] {
        match self.dimensions.binary_search(&dimension) {
            Ok(at) => &self.blocks[self.first[at]..self.first[at + 1]],
            Err(_) => &[],
        }
    }

    /// Places and values of a block.
    pub(super) fn postings_of(&self, block: &Block) -> (&[u16], &[f32]) {
        let start = self.windows[block.window as usize] + block.start as usize;
        let range = start..start + block.len as usize;
        (&self.places[range.clone()], &self.values[range])
    }
}
