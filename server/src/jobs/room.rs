//! A bound on something that an import holds: bytes of files, images on their way through the model. Whoever wants more
//! waits until there is room, or until the job is stopped.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::state::Job;

/// How often a waiting thread looks whether the job was stopped.
const LOOK: Duration = Duration::from_millis(50);

/// Room for a total weight.
#[derive(Debug)]
pub(super) struct Room {
    limit: usize,
    taken: Mutex<usize>,
    left: Condvar,
}

/// A share of the room, given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    room: Arc<Room>,
    weight: usize,
}

impl Room {
    /// Room for `limit` in all.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, taken: Mutex::new(0), left: Condvar::new() })
    }

    /// Takes a share, waiting for room; one that is larger than the whole room gets it alone. `None` once the job is
    /// stopped.
    pub(super) fn take(self: &Arc<Self>, weight: usize, job: &Job) -> Option<Share> {
        let mut taken = self.taken.lock();
        loop {
            if job.is_stopped() {
                return None;
            }
            if *taken == 0 || taken.saturating_add(weight) <= self.limit {
                *taken = taken.saturating_add(weight);
                return Some(Share { room: Arc::clone(self), weight });
            }
            self.left.wait_for(&mut taken, LOOK);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock();
        *taken = taken.saturating_sub(self.weight);
        drop(taken);
        self.room.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::record::{ImportTask, Record, Task};
    use super::*;

    fn job() -> Job {
        Job::new(Record::new(1, "images".into(), Task::Import(ImportTask::new("/"))))
    }

    #[test]
    fn the_limit_holds_and_everyone_gets_a_turn() {
        let (room, job) = (Room::new(10), job());
        let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for weight in [1, 2, 3, 4, 5, 6] {
                let (room, job, inside, most) = (&room, &job, &inside, &most);
                scope.spawn(move || {
                    for _ in 0..200 {
                        let share = room.take(weight, job).unwrap();
                        most.fetch_max(inside.fetch_add(weight, Ordering::SeqCst) + weight, Ordering::SeqCst);
                        inside.fetch_sub(weight, Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 10);
        assert_eq!(*room.taken.lock(), 0);
    }

    #[test]
    fn the_largest_goes_alone_and_a_stopped_job_does_not_wait() {
        let (room, job) = (Room::new(10), job());
        let alone = room.take(1000, &job).unwrap();
        job.interrupt();
        assert!(room.take(1, &job).is_none());
        drop(alone);
        assert_eq!(*room.taken.lock(), 0);
    }
}
