//! Choosing how to reach the rows of a request: a pure function of the filter and what is known of the collection.
//! Execution lives in [`crate::exec`].

use crate::filter::Filter;
use crate::row::Keys;

/// How to reach the rows that a filter can match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessPath {
    /// No filter: every live row.
    All,
    /// The filter names primary keys: look them up, then evaluate it on those rows only.
    Keys(Keys),
    /// Evaluate the filter on every segment.
    Scan,
}

/// A key list longer than this share of the rows is no better than a scan.
const KEYS_WORTH_IT: u64 = 4;

/// Chooses the path for a filter over `rows` live rows.
pub fn access_path(filter: Option<&Filter>, rows: u64) -> AccessPath {
    let Some(filter) = filter.filter(|f| !f.is_always_true()) else {
        return AccessPath::All;
    };
    match filter.key_candidates() {
        Some(keys) if keys.len() as u64 <= rows / KEYS_WORTH_IT + 64 => AccessPath::Keys(keys),
        _ => AccessPath::Scan,
    }
}
