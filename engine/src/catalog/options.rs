//! Settings of an engine.

use std::time::Duration;

use elanus_storage::quota::QuotaLimits;

use crate::collection::Durability;

/// Gives bytes of memory in use and the most there may be, where the system tells them.
pub type MemoryProbe = fn() -> Option<(u64, u64)>;

/// How an engine stores, seals, compacts and searches.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// When a write is acknowledged.
    pub durability: Durability,
    /// How long the leader of a group of writers waits for others to join; zero: whoever is there already.
    pub group_window: Duration,
    /// Rows in memory are sealed into files beyond this many bytes a collection; also bounds the log, at twice this.
    pub seal_bytes: usize,
    /// Rows are sealed at the latest after this time.
    pub seal_age: Duration,
    /// Compaction makes segments of at most this many bytes.
    pub segment_bytes: u64,
    /// Bytes a second that compaction writes beside searches and writes; 0: no bound. Alone it is not slowed down.
    pub compaction_rate: u64,
    /// How much disk and memory may be in use.
    pub quota: QuotaLimits,
    /// Bytes of a file that is given away when deletes and drops find no room on the disk; 0: none.
    pub reserve_bytes: u64,
    /// Measures the memory of this process that no file backs, and how much it may have; none: memory is not guarded.
    pub memory: Option<MemoryProbe>,
    /// How long a request waits for a collection that is still being opened.
    pub load_wait: Duration,
    /// Threads that search; 0: one a core.
    pub search_threads: usize,
    /// Threads that build indexes; 0: one a core.
    pub index_threads: usize,
    /// Searches that run or wait at once; one more is refused.
    pub search_queue: usize,
    /// Whether threads of the engine open collections, seal, compact and measure. Without them the owner calls
    /// [`Collection::flush`](crate::Collection::flush), [`Collection::compact`](crate::Collection::compact) and
    /// [`Engine::measure`](crate::Engine::measure).
    pub background: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            durability: Durability::EveryWrite,
            group_window: Duration::ZERO,
            seal_bytes: 64 << 20,
            seal_age: Duration::from_secs(60),
            segment_bytes: 512 << 20,
            compaction_rate: 64 << 20,
            quota: QuotaLimits::default(),
            reserve_bytes: 4 << 20,
            memory: None,
            load_wait: Duration::from_secs(10),
            search_threads: 0,
            index_threads: 0,
            search_queue: 128,
            background: true,
        }
    }
}

impl EngineOptions {
    /// The same, with sizes that are none made into the smallest that work.
    pub(super) fn checked(mut self) -> Self {
        self.seal_bytes = self.seal_bytes.max(1);
        self.segment_bytes = self.segment_bytes.max(self.seal_bytes as u64);
        self
    }
}
