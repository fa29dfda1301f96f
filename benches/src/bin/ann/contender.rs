//! What every contender can do, ours and the peers'.

use crate::Result;

/// Time and right answers of one pass over all queries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    pub(crate) seconds: f64,
    pub(crate) queries: usize,
    pub(crate) recall: f64,
    /// Of queries sent one at a time.
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
}

/// What a build took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Built {
    pub(crate) seconds: f64,
    /// Vectors included.
    pub(crate) bytes: u64,
}

/// How queries are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    /// `ef` or `nprobe`.
    pub(crate) effort: usize,
    pub(crate) threads: usize,
    /// Percentage of rows that a filter leaves.
    pub(crate) filter: Option<u32>,
    /// One query at a time.
    pub(crate) single: bool,
}

/// A library with an index.
pub(crate) trait Contender {
    fn name(&self) -> String;

    fn build(&mut self, threads: usize) -> Result<Built>;

    fn search(&mut self, load: Load) -> Result<Pass>;
}
