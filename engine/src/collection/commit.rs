//! Group commit. Writers line up; one of them leads: it takes everything waiting, writes it to the log with a single
//! sync, applies it, publishes the next snapshot and wakes the others. Nothing is visible before it is durable, and
//! nothing is acknowledged before it is visible.

use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;

use super::delete::Doomed;
use crate::error::{EngineError, Result};
use crate::limits::MAX_BATCH_BYTES;
use crate::row::{Batch, Keys};

/// A change that waits to be committed.
#[derive(Debug)]
pub(crate) enum Change {
    Insert(Batch),
    Delete(Keys),
    /// Deletes rows that were found by a filter.
    DeleteMatching(Doomed),
    /// Deletes every row.
    Truncate,
}

/// What a committed change did.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Keys of the rows added, in order.
    pub(crate) keys: Option<Keys>,
    /// Rows that died.
    pub(crate) died: u64,
}

enum Message {
    /// Your turn to lead: your change still waits in the queue.
    Lead,
    Done(Result<Outcome>),
}

/// A change with the way back to its writer.
pub(crate) struct Waiting {
    change: Change,
    reply: Reply,
}

/// The way back to a writer.
pub(crate) struct Reply(Sender<Message>);

impl Reply {
    /// Answers the writer. A writer that has gone is no error.
    pub(crate) fn answer(self, outcome: Result<Outcome>) {
        let _ = self.0.send(Message::Done(outcome));
    }
}

/// Answers a whole group with one error: the first writer gets it, the others its text and class.
pub(crate) fn refuse(writers: Vec<Reply>, error: EngineError) {
    let copies: Vec<EngineError> = writers.iter().skip(1).map(|_| error.for_another()).collect();
    for (reply, error) in writers.into_iter().zip(std::iter::once(error).chain(copies)) {
        reply.answer(Err(error));
    }
}

impl Waiting {
    /// The change and the way back, apart.
    pub(crate) fn split(self) -> (Change, Reply) {
        (self.change, self.reply)
    }

    fn weight(&self) -> usize {
        match &self.change {
            Change::Insert(batch) => batch.bytes() + batch.rows() * 16,
            Change::Truncate => 1,
            Change::DeleteMatching(doomed) => doomed.len() * 16,
            Change::Delete(Keys::Int(keys)) => keys.len() * 8,
            Change::Delete(Keys::Text(keys)) => keys.iter().map(|key| key.len() + 8).sum(),
        }
    }
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Waiting>,
    led: bool,
}

/// The line of writers of one collection.
#[derive(Default)]
pub(crate) struct CommitQueue {
    queue: Mutex<Queue>,
}

impl CommitQueue {
    /// Hands in a change and waits until it is committed. `write` commits a group and answers each of its members; it
    /// runs on the thread of whichever writer leads, which first gives others `window` to join.
    pub(crate) fn submit(
        &self,
        change: Change,
        window: Duration,
        write: impl Fn(Vec<Waiting>),
    ) -> Result<Outcome> {
        let (reply, inbox) = bounded(2);
        let leads = {
            let mut queue = self.queue.lock();
            queue.waiting.push(Waiting { change, reply: Reply(reply) });
            !std::mem::replace(&mut queue.led, true)
        };
        if !leads {
            match receive(&inbox)? {
                Message::Done(outcome) => return outcome,
                Message::Lead => {}
            }
        }
        let turn = Turn { queue: self };
        if !window.is_zero() {
            std::thread::sleep(window);
        }
        let group = self.take_group();
        write(group);
        drop(turn);
        match receive(&inbox)? {
            Message::Done(outcome) => outcome,
            Message::Lead => Err(EngineError::Internal("a leader was asked to lead".into())),
        }
    }

    /// Everything that waits, up to the weight of one large batch; at least one change.
    fn take_group(&self) -> Vec<Waiting> {
        let mut queue = self.queue.lock();
        let mut weight = 0;
        let fit = queue
            .waiting
            .iter()
            .take_while(|w| {
                weight += w.weight();
                weight <= MAX_BATCH_BYTES
            })
            .count();
        queue.waiting.drain(..fit.max(1)).collect()
    }
}

/// Being the leader: on drop, also while panicking, the lead passes to the first that waits.
struct Turn<'a> {
    queue: &'a CommitQueue,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut queue = self.queue.queue.lock();
        match queue.waiting.first() {
            Some(next) => drop(next.reply.0.send(Message::Lead)),
            None => queue.led = false,
        }
    }
}

fn receive(inbox: &Receiver<Message>) -> Result<Message> {
    inbox.recv().map_err(|_| EngineError::Internal("the commit was abandoned by its leader".into()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_writer_is_answered_and_groups_form() {
        let queue = CommitQueue::default();
        let (groups, changes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for i in 0..200 {
                        let outcome = queue
                            .submit(Change::Delete(Keys::Int(vec![i])), Duration::ZERO, |group| {
                                groups.fetch_add(1, Ordering::Relaxed);
                                for waiting in group {
                                    changes.fetch_add(1, Ordering::Relaxed);
                                    let (Change::Delete(Keys::Int(keys)), reply) = waiting.split() else {
                                        panic!()
                                    };
                                    reply.answer(Ok(Outcome { keys: None, died: keys[0] as u64 }));
                                }
                            })
                            .unwrap();
                        assert_eq!(outcome.died, i as u64);
                    }
                });
            }
        });
        assert_eq!(changes.into_inner(), 1600);
        assert!(groups.into_inner() <= 1600);
        assert!(!queue.queue.lock().led);
    }

    #[test]
    fn a_leader_that_panics_does_not_block_the_line() {
        let queue = CommitQueue::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ =
                queue.submit(Change::Delete(Keys::Int(vec![])), Duration::ZERO, |_| panic!("as a bug would"));
        }));
        assert!(panicked.is_err());
        let done = queue.submit(Change::Delete(Keys::Int(vec![])), Duration::ZERO, |group| {
            group.into_iter().for_each(|w| w.split().1.answer(Ok(Outcome { keys: None, died: 0 })));
        });
        assert!(done.is_ok());
    }
}
