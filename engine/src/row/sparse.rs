//! Sparse vectors as bytes: pairs of index (u32) and value (f32), little-endian, in strictly ascending order of indices.
//! It is Milvus's form on the wire, and ours in files.

use crate::limits::MAX_SPARSE_PAIRS;

/// Bytes of one pair.
const PAIR: usize = 8;

/// Each pair of a vector that [`check`] has passed.
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
    if !bytes.len().is_multiple_of(PAIR) {
        return Err(format!("invalid data length in sparse float vector: {}", bytes.len()));
    }
    if bytes.len() / PAIR > MAX_SPARSE_PAIRS {
        return Err(format!("a sparse vector holds at most {MAX_SPARSE_PAIRS} pairs"));
    }
    let mut last = None;
    for (index, value) in pairs(bytes) {
        if index == u32::MAX {
            return Err(format!("invalid index in sparse float vector: must be less than 2^32-1: {index}"));
        }
        if last.is_some_and(|last| last >= index) {
            return Err(format!("unsorted or same indices in sparse float vector: {index}"));
        }
        if !value.is_finite() {
            return Err("value is not a number or infinity in sparse float vector".to_owned());
        }
        last = Some(index);
    }
    Ok(())
}

/// The bytes of pairs in any order.
///
/// # Errors
/// As [`check`]; also for an index that comes twice.
pub fn encode(mut pairs: Vec<(u32, f32)>) -> Result<Vec<u8>, String> {
    pairs.sort_unstable_by_key(|pair| pair.0);
    let bytes: Vec<u8> = pairs
        .iter()
        .flat_map(|(index, value)| {
            let (i, v) = (index.to_le_bytes(), value.to_le_bytes());
            [i[0], i[1], i[2], i[3], v[0], v[1], v[2], v[3]]
        })
        .collect();
    check(&bytes)?;
    Ok(bytes)
}
