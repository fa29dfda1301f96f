//! Choosing how to do what is asked: pure functions of the request and of what is known of the data. [`access_path`]
//! chooses how the rows of a filter are found, [`segment_path`] how those of one segment are searched. Execution lives in
//! [`crate::exec`].

mod search;

use crate::filter::Filter;
use crate::row::Keys;

pub use search::{Effort, SegmentPath};
pub(crate) use search::{Facts, Indexed, segment_cost, segment_path};

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
