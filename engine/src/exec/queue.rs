//! A bound on searches at once: beyond it a search is refused at once instead of waiting in line for longer than its
//! client does. And the way to end one that nobody waits for any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::{EngineError, Result};

/// Counts the searches that run or wait.
#[derive(Debug)]
pub(crate) struct SearchQueue {
    now: AtomicUsize,
    limit: usize,
}

/// A place in the queue; given up when dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<SearchQueue>);

impl SearchQueue {
    pub(crate) fn new(limit: usize) -> Self {
        Self { now: AtomicUsize::new(0), limit: limit.max(1) }
    }

    /// # Errors
    /// `Busy` when all places are taken.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Place> {
        let place = Place(Arc::clone(self));
        if self.now.fetch_add(1, Ordering::Relaxed) >= self.limit {
            return Err(EngineError::Busy { limit: self.limit });
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ends the searches that carry it. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Nobody wants the answer any more.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_is_refused_and_places_come_back() {
        let queue = Arc::new(SearchQueue::new(2));
        let (a, _b) = (queue.enter().unwrap(), queue.enter().unwrap());
        assert!(matches!(queue.enter(), Err(EngineError::Busy { limit: 2 })));
        drop(a);
        queue.enter().unwrap();
    }
}
