//! What a search did, counted where it is done. One struct feeds `explain`, the log of slow queries and the metrics.

use serde::Serialize;

/// Counters of one search, over all its queries and segments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SearchStats {
    /// Segments that hold a row that may be found.
    pub segments: u64,
    /// Those of them that an index answered for.
    pub indexed_segments: u64,
    /// Vectors compared in full precision.
    pub scored: u64,
    /// Codes of one byte a dimension compared.
    pub compared: u64,
    /// Rows and nodes asked whether a filter lets them be found.
    pub checked: u64,
    /// Lists of an IVF index scanned.
    pub lists: u64,
    /// Nodes of a graph whose neighbours were looked at.
    pub hops: u64,
    /// Bytes of vectors and codes read.
    pub bytes: u64,
}

impl SearchStats {
    /// Adds what another part of the search did.
    pub fn add(&mut self, other: &Self) {
        self.segments += other.segments;
        self.indexed_segments += other.indexed_segments;
        self.scored += other.scored;
        self.compared += other.compared;
        self.checked += other.checked;
        self.lists += other.lists;
        self.hops += other.hops;
        self.bytes += other.bytes;
    }
}
