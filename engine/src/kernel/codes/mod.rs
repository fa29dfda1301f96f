//! Distances between rows of one byte a dimension, as quantised traversal reads them: squared Euclidean, in units of
//! the quantiser's step, exact integers. A row is padded with zeros to a multiple of [`BLOCK`] bytes, and so is a query,
//! which is wider (i16) so that it may lie beyond the range that the rows were quantised over.
//!
//! Every instruction set gives the same numbers, bit for bit: sums of integers, rounded once to f32.

use super::Kernel;

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod scalar;
#[cfg(test)]
mod tests;

/// Rows and queries are multiples of this many dimensions.
pub const BLOCK: usize = 32;
/// The values that a query may have.
pub const QUERY_RANGE: std::ops::RangeInclusive<i16> = -255..=510;
/// Longer rows are summed in 64 bits: a difference is at most 510, so 32 bits hold this many squares.
const SUM_IN_32_BITS: usize = 4096;
/// Rows whose first bytes are fetched ahead of being scored, when they are scattered.
#[cfg(target_arch = "x86_64")]
const AHEAD: usize = 16;

/// A query, rows and which of them, to a score for each.
type Gather = unsafe fn(&[i16], &[u8], &[u32], &mut [f32]);

/// The loops of one instruction set.
///
/// All unsafe: the processor must have the instruction set; the query's length is a multiple of [`BLOCK`].
pub(super) struct Loops {
    /// A query and contiguous rows, as many as there are scores.
    pub(super) many: unsafe fn(&[i16], &[u8], &mut [f32]),
    /// A query and the rows of these numbers; each must lie within the second slice.
    pub(super) gather: Gather,
    /// Two rows of one length.
    pub(super) pair: unsafe fn(&[u8], &[u8]) -> f32,
}

impl Kernel {
    /// Squared distances of `query` to the contiguous `rows`, row-major, `out.len()` of them.
    ///
    /// # Panics
    /// When the query's length is no multiple of [`BLOCK`], or `rows` is not that many rows.
    pub fn codes_many(&self, query: &[i16], rows: &[u8], out: &mut [f32]) {
        check_query(query);
        assert_eq!(query.len().checked_mul(out.len()), Some(rows.len()), "as many rows as scores");
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the shape was checked.
        unsafe { (self.codes.many)(query, rows, out) }
    }

    /// `out[i]` = squared distance of `query` to row `ids[i]` of `rows`.
    ///
    /// # Panics
    /// When the query's length is no multiple of [`BLOCK`], a number is of no row, or `ids` and `out` differ in length.
    pub fn codes_gather(&self, query: &[i16], rows: &[u8], ids: &[u32], out: &mut [f32]) {
        check_query(query);
        super::check_ids(query.len(), rows.len(), ids, out.len());
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the numbers were checked.
        unsafe { (self.codes.gather)(query, rows, ids, out) }
    }

    /// Squared distance of two rows.
    ///
    /// # Panics
    /// When the lengths differ or are no multiple of [`BLOCK`].
    #[inline]
    pub fn codes_pair(&self, a: &[u8], b: &[u8]) -> f32 {
        assert!(a.len() == b.len() && a.len().is_multiple_of(BLOCK), "rows of one length");
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the lengths were checked.
        unsafe { (self.codes.pair)(a, b) }
    }
}

fn check_query(query: &[i16]) {
    assert!(!query.is_empty() && query.len().is_multiple_of(BLOCK), "a query of whole blocks");
}
