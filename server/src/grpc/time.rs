//! Moments as Milvus writes them: milliseconds since 1970, shifted by 18 bits for a counter within the millisecond.

use std::time::{SystemTime, UNIX_EPOCH};

/// Bits of the counter.
const LOGICAL_BITS: u32 = 18;

/// Milliseconds since 1970 as a moment.
pub(super) fn of_ms(ms: u64) -> u64 {
    ms << LOGICAL_BITS
}

/// Now.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    of_ms(u64::try_from(since.as_millis()).unwrap_or(0))
}
