//! Sparse vectors in rows, as bytes: pairs of index (u32) and value (f32), little-endian, in strictly ascending order of
//! indices. It is Milvus's form on the wire, and ours in files. What searches make of them is in [`crate::index::sparse`].

use crate::index::sparse::{SparseRow, SparseVector};
use crate::limits::MAX_SPARSE_PAIRS;

/// Bytes of one pair.
const PAIR: usize = 8;

/// Each pair of a vector that [`check`] has passed, also those of value 0.
pub fn pairs(bytes: &[u8]) -> impl Iterator<Item = (u32, f32)> + '_ {
    bytes
        .as_chunks::<PAIR>()
        .0
        .iter()
        .map(|p| (u32::from_le_bytes([p[0], p[1], p[2], p[3]]), f32::from_le_bytes([p[4], p[5], p[6], p[7]])))
}

/// Checks what somebody else has written.
///
/// # Errors
/// What is wrong, in words.
pub fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() / PAIR > MAX_SPARSE_PAIRS {
        return Err(format!("a sparse vector holds at most {MAX_SPARSE_PAIRS} pairs"));
    }
    SparseRow::parse(bytes).map(drop).map_err(|error| error.to_string())
}

/// The bytes of pairs in any order.
///
/// # Errors
/// As [`check`]; also for an index that comes twice.
pub fn encode(pairs: Vec<(u32, f32)>) -> Result<Vec<u8>, String> {
    let vector = SparseVector::from_pairs(pairs).map_err(|error| error.to_string())?;
    let bytes = vector.into_bytes();
    check(&bytes)?;
    Ok(bytes)
}
