//! One thread that feeds the network. Callers put images into two bounded queues, one for people who wait and one
//! for imports, and say how their vector is to be pooled; the thread takes what is waiting, people first, up to a batch of
//! one input size (and waits a moment for more, where that is worth it), runs the embedder and hands each caller its
//! vector, through [`Pending`] or a callback. What must stay true: every accepted image gets exactly one answer, whatever
//! the embedder or a callback does; the queues never grow beyond their bounds. The server owns one [`Batcher`], for all
//! descriptors.

mod queues;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, bounded};

use crate::device::Embedder;
use crate::error::EmbedError;
use crate::pool::{FeatureMap, Pooling};
use crate::preprocess::Input;
use queues::{Job, Queues};

/// What a caller gets for one image.
pub type Answer = Result<Vec<f32>, EmbedError>;

/// Receives the answer, on the batcher's thread or the one that ends the batcher; must be quick.
pub type Callback = Box<dyn FnOnce(Answer) + Send>;

/// How much is run at once and how much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Most images in one run of the network, at least 1.
    pub max_batch: usize,
    /// Most images that wait for people, at least 1; 150 kB each, 307 kB of 320x320. Imports have room for one batch
    /// beside it.
    pub queue: usize,
    /// How long a batch with room waits for more images before it is run. It does not wait while others wait for it.
    pub patience: Duration,
}

impl BatchOptions {
    /// The batch and the patience that suit the embedder's device, and a queue of 64 images.
    pub fn for_embedder(embedder: &dyn Embedder) -> Self {
        Self { max_batch: embedder.preferred_batch(), queue: 64, patience: embedder.patience() }
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
        let max_batch = options.max_batch.max(1);
        let queues = Arc::new(Queues::new(options.queue.max(1), max_batch));
        let worker = Worker { embedder, queues: Arc::clone(&queues), max_batch, patience: options.patience };
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
        let (pending, reply) = Pending::pair();
        self.submit_with(input, pooling, reply)?;
        Ok(pending)
    }

    /// Queues an image as [`Batcher::submit`] does and calls `reply` with the answer, so that async code can wait
    /// without a thread. When this returns an error `reply` is dropped uncalled.
    pub fn submit_with(&self, input: Input, pooling: Pooling, reply: Callback) -> Result<(), EmbedError> {
        self.queues.add_urgent(Job { input, pooling, reply })
    }

    /// Queues an image of an import: waits for room, and lets people go first.
    ///
    /// # Errors
    /// [`EmbedError::Stopped`] at the end.
    pub fn submit_blocking(&self, input: Input, pooling: Pooling) -> Result<Pending, EmbedError> {
        let (pending, reply) = Pending::pair();
        self.queues.add_bulk(Job { input, pooling, reply })?;
        Ok(pending)
    }

    /// How many images wait, without the batch in work.
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

/// A vector on its way.
pub struct Pending(Receiver<Answer>);

impl Pending {
    fn pair() -> (Self, Callback) {
        let (sender, receiver) = bounded(1);
        // The caller may have given up and dropped its end.
        (Self(receiver), Box::new(move |answer| drop(sender.send(answer))))
    }

    /// Waits for the answer.
    pub fn wait(self) -> Answer {
        self.0.recv().unwrap_or(Err(EmbedError::Stopped))
    }
}

struct Worker {
    embedder: Arc<dyn Embedder>,
    queues: Arc<Queues>,
    max_batch: usize,
    patience: Duration,
}

impl Worker {
    fn run(self) {
        while let Some(jobs) = self.queues.next_batch(self.max_batch, self.patience) {
            let (inputs, askers): (Vec<Input>, Vec<_>) =
                jobs.into_iter().map(|job| (job.input, (job.pooling, job.reply))).unzip();
            match self.feature_maps(&inputs) {
                Ok(maps) => {
                    for (map, (pooling, callback)) in maps.iter().zip(askers) {
                        reply(callback, map.pool(pooling));
                    }
                }
                Err(error) => {
                    askers.into_iter().for_each(|(_, callback)| reply(callback, Err(error.clone())))
                }
            }
        }
    }

    /// Exactly one map per input.
    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        if self.queues.is_closed() {
            return Err(EmbedError::Stopped);
        }
        // The embedder keeps no state between calls that a panic could leave half-changed.
        let run = AssertUnwindSafe(|| self.embedder.feature_maps(inputs));
        let maps = catch_unwind(run).unwrap_or_else(|panic| {
            let reason = format!("the backend panicked: {}", panic_text(panic.as_ref()));
            tracing::error!(batch = inputs.len(), "{reason}");
            Err(EmbedError::Compute { reason })
        })?;
        if maps.len() != inputs.len() {
            let reason = format!("{} feature maps for {} images", maps.len(), inputs.len());
            return Err(EmbedError::Compute { reason });
        }
        Ok(maps)
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
    queues.close().into_iter().for_each(|job| reply(job.reply, Err(EmbedError::Stopped)));
}

/// A callback that panics must not take the other callers' answers with it.
fn reply(callback: Callback, answer: Answer) {
    if catch_unwind(AssertUnwindSafe(|| callback(answer))).is_err() {
        tracing::error!("a callback that received a vector panicked");
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
