//! The inverted index of one segment: for each dimension the rows that have it, with their values.
//!
//! Rows are cut into windows of [`WINDOW`]. The postings of a dimension within a window are a block, which knows its
//! largest value and the smallest length of its rows: no row of the window can get more for the dimension than these
//! give (S. Ding, T. Suel: Faster Top-k Document Retrieval Using Block-Max Indexes, SIGIR 2011; there blocks have a
//! fixed number of postings, here of rows, so that those of all dimensions line up).
//!
//! Memory: 6 bytes for each value, 16 for each block, 20 for each dimension, 4 for each row. A dimension is at most
//! one block in a window, so a block costs at most 16 bytes a value, and little where dimensions are shared by many.

/// Rows of a window: row numbers within it take 2 bytes, and sums for all of them stay in a core's first cache.
pub(super) const WINDOW: usize = 4096;

/// An inverted index over the rows of a segment. Never changes; the same rows give the same index.
#[derive(Debug, PartialEq)]
pub struct SparseIndex {
    /// Ascending.
    pub(super) dimensions: Vec<u32>,
    /// For each dimension its first posting and its first block, and one more for the end.
    pub(super) first: Vec<(usize, usize)>,
    pub(super) blocks: Vec<Block>,
    /// For each posting the row within its window, and the value: by dimension, then by row.
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
    /// Its first posting, counted from the first of the dimension.
    pub(super) start: u32,
    pub(super) max_value: f32,
    pub(super) min_length: f32,
}

/// All postings of one dimension.
#[derive(Debug, Clone, Copy)]
pub(super) struct Postings<'a> {
    pub(super) blocks: &'a [Block],
    places: &'a [u16],
    values: &'a [f32],
}

impl<'a> Postings<'a> {
    /// Places and values of a block.
    pub(super) fn block(self, number: usize) -> (&'a [u16], &'a [f32]) {
        let start = |number: usize| self.blocks.get(number).map_or(self.places.len(), |b| b.start as usize);
        let range = start(number)..start(number + 1);
        (&self.places[range.clone()], &self.values[range])
    }
}

impl SparseIndex {
    /// Rows of the segment.
    pub fn rows(&self) -> usize {
        self.lengths.len()
    }

    /// Dimensions that any row has.
    pub fn dimensions(&self) -> usize {
        self.dimensions.len()
    }

    /// Values of all rows together.
    pub fn postings(&self) -> usize {
        self.places.len()
    }

    /// Bytes of its arrays.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.dimensions)
            + size_of_val(&*self.first)
            + size_of_val(&*self.blocks)
            + size_of_val(&*self.places)
            + size_of_val(&*self.values)
            + size_of_val(&*self.lengths)
    }

    /// How many rows have a dimension.
    pub fn frequency(&self, dimension: u32) -> u64 {
        self.list(dimension).map_or(0, |list| list.places.len() as u64)
    }

    /// The sum of the values of all rows.
    pub fn total_length(&self) -> f64 {
        self.total_length
    }

    pub(super) fn windows(&self) -> usize {
        self.rows().div_ceil(WINDOW)
    }

    /// The postings of a dimension.
    pub(super) fn list(&self, dimension: u32) -> Option<Postings<'_>> {
        let at = self.dimensions.binary_search(&dimension).ok()?;
        let ((posting, block), (last_posting, last_block)) = (self.first[at], self.first[at + 1]);
        Some(Postings {
            blocks: &self.blocks[block..last_block],
            places: &self.places[posting..last_posting],
            values: &self.values[posting..last_posting],
        })
    }
}
