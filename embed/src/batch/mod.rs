//! One thread that feeds the network. Callers put images into two bounded queues, one for people who wait and one
//! for imports, and say how their vector is to be pooled; the thread takes what is waiting, people first, up to a batch of
//! one input size (and waits a moment for more, where that is worth it), runs the embedder and hands each caller its
//! vector, through [`Pending`] or another [`Asker`]. What must stay true: every accepted image that is still waited for
//! gets exactly one answer, whatever the embedder or an asker does; the queues never grow beyond their bounds. The server
//! owns one [`Batcher`] for each model that is open, for all its descriptors.

mod queues;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};

use crate::device::{Embedder, run};
use crate::error::EmbedError;
use crate::pool::{FeatureMap, Pooling};
use crate::preprocess::Input;
use queues::{Job, Queues};

/// What a caller gets for one image.
pub type Answer = Result<Vec<f32>, EmbedError>;

/// Who wants the vector of an image.
pub trait Asker: Send {
    /// Whether anybody still waits for it: an image that nobody waits for is dropped instead of run.
    fn is_waiting(&self) -> bool;
    /// Takes the answer, on the batcher's thread or the one that ends the batcher; must be quick.
    fn answer(self: Box<Self>, answer: Answer);
}

/// How much is run at once and how much may wait. What is `None` suits the embedder's device: it is asked before each
/// batch, because a device that was lost is replaced by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Most images in one run of the network, at least 1.
    pub max_batch: Option<usize>,
    /// Most images that wait for people, at least 1; 150 kB each, 307 kB of 320x320. Imports have room for one batch
    /// beside it.
    pub queue: usize,
    /// How long a batch with room waits for more images before it is run. It does not wait while others wait for it.
    pub patience: Option<Duration>,
}

impl Default for BatchOptions {
    /// A queue of 64 images.
    fn default() -> Self {
        Self { max_batch: None, queue: 64, patience: None }
    }
}

/// The queues and their thread. Dropping it answers everything that still waits with [`EmbedError::Stopped`], lets
/// the batch in work finish, and joins the thread.
pub struct Batcher {
    queues: Arc<Queues>,
    /// `None` only while dropping, or if it could not be started.
    thread: Option<JoinHandle<()>>,
}

impl Batcher {
    /// Starts the thread.
    pub fn start(embedder: Arc<dyn Embedder>, options: BatchOptions) -> Self {
        let max_batch = options.max_batch.unwrap_or_else(|| embedder.preferred_batch());
        let queues = Arc::new(Queues::new(options.queue.max(1), max_batch.max(1)));
        let worker = Worker { embedder, queues: Arc::clone(&queues), options };
        let spawned = std::thread::Builder::new().name("embed".to_string()).spawn(move || worker.run());
        if let Err(error) = &spawned {
            // The worker is gone and has closed the queues: every submission is answered with `Stopped`.
            tracing::error!(%error, "the embedding thread could not be started");
        }
        Self { queues, thread: spawned.ok() }
    }

    /// Queues an image for somebody who waits: it goes before all imports.
    ///
    /// # Errors
    /// [`EmbedError::Busy`] when the queue is full: the caller should answer "try again later".
    pub fn submit(&self, input: Input, pooling: Pooling) -> Result<Pending, EmbedError> {
        let (pending, asker) = Pending::pair();
        self.submit_with(input, pooling, asker)?;
        Ok(pending)
    }

    /// Queues an image as [`Batcher::submit`] does for any asker, so that async code can wait without a thread. When this
    /// returns an error the asker is dropped without an answer.
    pub fn submit_with(
        &self,
        input: Input,
        pooling: Pooling,
        asker: Box<dyn Asker>,
    ) -> Result<(), EmbedError> {
        self.queues.add_urgent(Job { input, pooling, asker })
    }

    /// Queues an image of an import: waits for room, and lets people go first.
    ///
    /// # Errors
    /// [`EmbedError::Stopped`] at the end.
    pub fn submit_blocking(&self, input: Input, pooling: Pooling) -> Result<Pending, EmbedError> {
        let (pending, asker) = Pending::pair();
        self.queues.add_bulk(Job { input, pooling, asker })?;
        Ok(pending)
    }

    /// How many images wait, without the batch in work. Those that nobody waits for are counted until their turn comes.
    pub fn queue_depth(&self) -> usize {
        self.queues.len()
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        stop(&self.queues);
        if let Some(thread) = self.thread.take() {
            // It catches panics itself; and there is nobody to tell during a drop.
            let _ = thread.join();
        }
    }
}

/// A vector on its way. Whoever drops it does not want it any more.
pub struct Pending {
    receiver: Receiver<Answer>,
    /// The asker sees by it that this is still there.
    _here: Arc<()>,
}

impl Pending {
    fn pair() -> (Self, Box<dyn Asker>) {
        let (sender, receiver) = bounded(1);
        let here = Arc::new(());
        let asker = Box::new(PendingAsker { sender, there: Arc::downgrade(&here) });
        (Self { receiver, _here: here }, asker)
    }

    /// Waits for the answer.
    pub fn wait(self) -> Answer {
        self.receiver.recv().unwrap_or(Err(EmbedError::Stopped))
    }
}

struct PendingAsker {
    sender: Sender<Answer>,
    there: Weak<()>,
}

impl Asker for PendingAsker {
    fn is_waiting(&self) -> bool {
        self.there.strong_count() > 0
    }

    fn answer(self: Box<Self>, answer: Answer) {
        // It may have been dropped just now.
        let _ = self.sender.send(answer);
    }
}

struct Worker {
    embedder: Arc<dyn Embedder>,
    queues: Arc<Queues>,
    options: BatchOptions,
}

impl Worker {
    fn run(self) {
        while let Some(jobs) = self.next_batch() {
            let (inputs, askers): (Vec<Input>, Vec<_>) =
                jobs.into_iter().map(|job| (job.input, (job.pooling, job.asker))).unzip();
            match self.feature_maps(&inputs) {
                Ok(maps) => {
                    for (map, (pooling, asker)) in maps.iter().zip(askers) {
                        answer(asker, map.pool(pooling));
                    }
                }
                Err(error) => askers.into_iter().for_each(|(_, asker)| answer(asker, Err(error.clone()))),
            }
        }
    }

    fn next_batch(&self) -> Option<Vec<Job>> {
        let BatchOptions { max_batch, patience, .. } = self.options;
        let most = max_batch.unwrap_or_else(|| self.embedder.preferred_batch());
        self.queues.next_batch(most.max(1), patience.unwrap_or_else(|| self.embedder.patience()))
    }

    /// Exactly one map per input.
    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        if self.queues.is_closed() {
            return Err(EmbedError::Stopped);
        }
        run(self.embedder.as_ref(), inputs)
    }
}

impl Drop for Worker {
    /// Whatever ends the thread, nobody waits in vain.
    fn drop(&mut self) {
        stop(&self.queues);
    }
}

/// Closes the queues and tells everybody who waits.
fn stop(queues: &Queues) {
    queues.close().into_iter().for_each(|job| answer(job.asker, Err(EmbedError::Stopped)));
}

/// An asker that panics must not take the other askers' answers with it.
fn answer(asker: Box<dyn Asker>, answer: Answer) {
    if catch_unwind(AssertUnwindSafe(|| asker.answer(answer))).is_err() {
        tracing::error!("whoever received a vector panicked");
    }
}
