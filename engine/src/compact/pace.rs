//! How fast background rewriting may go: freely while nobody waits for an answer, at a bounded rate while somebody
//! does. Searches and writes announce themselves; the compactor asks after each piece it has written.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Foreground work counts as present for this long after it ended: requests come in rows, with gaps between them.
const LINGER: Duration = Duration::from_millis(50);

/// Shared by all collections of an engine.
#[derive(Debug)]
pub(crate) struct Pace {
    started: Instant,
    foreground: AtomicUsize,
    /// When the last foreground work ended, in milliseconds since the start, plus one; 0: never.
    last: AtomicU64,
    /// Bytes a second beside foreground work; 0: no bound.
    rate: u64,
}

/// Foreground work; ends when dropped.
#[derive(Debug)]
pub(crate) struct Foreground<'a>(&'a Pace);

impl Pace {
    pub(crate) fn new(rate: u64) -> Self {
        Self { started: Instant::now(), foreground: AtomicUsize::new(0), last: AtomicU64::new(0), rate }
    }

    /// Announces foreground work.
    pub(crate) fn foreground(&self) -> Foreground<'_> {
        self.foreground.fetch_add(1, Ordering::Relaxed);
        Foreground(self)
    }

    /// After `bytes` were written in the background: waits for as long as they should have taken.
    pub(crate) fn after(&self, bytes: u64) {
        if self.rate > 0 && self.is_busy() {
            std::thread::sleep(Duration::from_secs_f64(bytes as f64 / self.rate as f64));
        }
    }

    fn is_busy(&self) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        let recent = || self.now() - last < LINGER.as_millis() as u64;
        self.foreground.load(Ordering::Relaxed) > 0 || (last > 0 && recent())
    }

    fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64 + 1
    }
}

impl Drop for Foreground<'_> {
    fn drop(&mut self) {
        self.0.last.store(self.0.now(), Ordering::Relaxed);
        self.0.foreground.fetch_sub(1, Ordering::Relaxed);
    }
}
