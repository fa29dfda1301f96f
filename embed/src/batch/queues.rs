//! The images that wait for the network: two bounded queues under one lock, because a batch takes from both of them, and
//! out of turn: one run of the network is for inputs of one size. The oldest image of the people who wait, or else of the
//! imports, says which size that is, so that nobody is passed over for ever.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::Asker;
use crate::error::EmbedError;
use crate::pool::Pooling;
use crate::preprocess::Input;

/// One image and what is wanted of it.
pub(super) struct Job {
    pub(super) input: Input,
    pub(super) pooling: Pooling,
    pub(super) asker: Box<dyn Asker>,
}

/// The queues. Once closed they are empty for ever.
pub(super) struct Queues {
    waiting: Mutex<Waiting>,
    /// Signalled when a job has come, and at the end.
    came: Condvar,
    /// Signalled when jobs of imports have left, and at the end.
    left: Condvar,
    urgent_bound: usize,
    bulk_bound: usize,
}

/// People wait for the jobs of `urgent`, imports for those of `bulk`.
#[derive(Default)]
struct Waiting {
    urgent: VecDeque<Job>,
    bulk: VecDeque<Job>,
    closed: bool,
}

impl Queues {
    pub(super) fn new(urgent_bound: usize, bulk_bound: usize) -> Self {
        let (came, left) = (Condvar::new(), Condvar::new());
        Self { waiting: Mutex::default(), came, left, urgent_bound, bulk_bound }
    }

    /// Adds a job that goes before all imports.
    ///
    /// # Errors
    /// Busy when there is no room, stopped when the queues are closed.
    pub(super) fn add_urgent(&self, job: Job) -> Result<(), EmbedError> {
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(EmbedError::Stopped);
        }
        if waiting.urgent.len() >= self.urgent_bound {
            waiting.forget_unwanted();
        }
        if waiting.urgent.len() >= self.urgent_bound {
            return Err(EmbedError::Busy { queued: waiting.urgent.len() });
        }
        waiting.urgent.push_back(job);
        self.came.notify_one();
        Ok(())
    }

    /// Waits for room and adds a job of an import.
    ///
    /// # Errors
    /// Stopped when the queues are closed.
    pub(super) fn add_bulk(&self, job: Job) -> Result<(), EmbedError> {
        let mut waiting = self.waiting.lock();
        while !waiting.closed && waiting.bulk.len() >= self.bulk_bound {
            self.left.wait(&mut waiting);
        }
        if waiting.closed {
            return Err(EmbedError::Stopped);
        }
        waiting.bulk.push_back(job);
        self.came.notify_one();
        Ok(())
    }

    /// Waits for a job that is wanted and takes it with up to `most - 1` others of its size, people first; while there is room
    /// and nobody of another size waits, for so long more of them are waited for. `None` when the queues are closed.
    pub(super) fn next_batch(&self, most: usize, patience: Duration) -> Option<Vec<Job>> {
        let mut waiting = self.waiting.lock();
        waiting.forget_unwanted();
        while !waiting.closed && waiting.is_empty() {
            self.left.notify_all();
            self.came.wait(&mut waiting);
            waiting.forget_unwanted();
        }
        let first = waiting.urgent.pop_front().or_else(|| waiting.bulk.pop_front())?;
        let deadline = Instant::now() + patience;
        let mut batch = vec![first];
        loop {
            waiting.move_same_size(&mut batch, most);
            self.left.notify_all();
            let is_due = batch.len() >= most || waiting.closed || !waiting.is_empty();
            if is_due || self.came.wait_until(&mut waiting, deadline).timed_out() {
                return Some(batch);
            }
        }
    }

    /// Takes no more jobs and hands out those that wait.
    pub(super) fn close(&self) -> Vec<Job> {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        self.came.notify_all();
        self.left.notify_all();
        let Waiting { urgent, bulk, .. } = &mut *waiting;
        urgent.drain(..).chain(bulk.drain(..)).collect()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.waiting.lock().closed
    }

    /// Jobs that wait.
    pub(super) fn len(&self) -> usize {
        let waiting = self.waiting.lock();
        waiting.urgent.len() + waiting.bulk.len()
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.bulk.is_empty()
    }

    /// Drops the jobs that nobody waits for any more.
    fn forget_unwanted(&mut self) {
        for queue in [&mut self.urgent, &mut self.bulk] {
            queue.retain(|job| job.asker.is_waiting());
        }
    }

    /// Fills the batch with jobs of the size of its first one; the others keep their order.
    fn move_same_size(&mut self, batch: &mut Vec<Job>, most: usize) {
        let Some(side) = batch.first().map(|job| job.input.side()) else { return };
        for queue in [&mut self.urgent, &mut self.bulk] {
            let mut at = 0;
            while batch.len() < most && at < queue.len() {
                if queue[at].input.side() == side {
                    batch.extend(queue.remove(at));
                } else {
                    at += 1;
                }
            }
        }
    }
}
