//! Inverted file: k-means lists, each one contiguous in memory (Jégou et al., "Product Quantization for Nearest
//! Neighbor Search", 2011, section IV; here with codes of one byte a dimension). A search scans the codes of the lists
//! whose centroids are nearest and scores, in full precision, the rows that can be among the best.
//!
//! For IVF_FLAT that choice is proven: a row is passed over only when the distance of its code, less the errors of both
//! codes, is beyond the worst row kept. So the answer is, row for row, that of a scan of the same lists in full
//! precision, at a quarter of the bytes. For IVF_SQ8 the errors count as they usually are, not as they can be: fewer rows are scored.

mod build;
mod search;

use super::quantizer::Codes;
use super::space::Space;
use crate::array::Array;

pub(crate) use build::build;

/// Lists of rows.
#[derive(Debug)]
pub(crate) struct IvfIndex {
    pub(crate) space: Space,
    /// Codes of the centroids, by the same quantiser as the rows.
    pub(crate) centroids: Codes,
    /// Where each list begins in `order`, and the end of the last.
    pub(crate) starts: Array<u32>,
    /// Rows, list after list.
    pub(crate) order: Array<u32>,
    /// Their codes, in that order.
    pub(crate) codes: Codes,
    /// For each list, how far a row of it may lie from what its code stands for.
    pub(crate) errors: Array<f32>,
    /// Whether rows are passed over only when that is proven.
    pub(crate) proven: bool,
}

impl IvfIndex {
    /// Lists.
    pub(crate) fn lists(&self) -> usize {
        self.errors.as_slice().len()
    }

    /// Bytes of its arrays.
    pub(crate) fn bytes(&self) -> usize {
        self.centroids.rows.bytes()
            + self.starts.bytes()
            + self.order.bytes()
            + self.codes.rows.bytes()
            + self.errors.bytes()
    }

    fn list(&self, list: u32) -> std::ops::Range<usize> {
        let starts = self.starts.as_slice();
        starts[list as usize] as usize..starts[list as usize + 1] as usize
    }
}
