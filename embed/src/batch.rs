//! One thread that feeds the network. Callers put images into two bounded queues, one for people who wait and one
//! for imports; the thread takes what is waiting, people first, up to a batch (and waits a moment for more, where that
//! is worth it), runs the embedder and hands each caller its vector, through [`Pending`] or a callback. What must stay true: every accepted image gets exactly one
//! answer, whatever the embedder or a callback does; the queues never grow beyond their bounds. The server owns one
//! [`Batcher`] per embedder.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvError, Sender, TrySendError, bounded, select};

use crate::device::Embedder;
use crate::error::EmbedError;
use crate::preprocess::Input;

/// What a caller gets for one image.
pub type Answer = Result<Vec<f32>, EmbedError>;

/// Receives the answer on the batcher's thread; must be quick.
pub type Callback = Box<dyn FnOnce(Answer) + Send>;

/// How much is run at once and how much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Most images in one run of the network, at least 1.
    pub max_batch: usize,
    /// Most images that wait for people, at least 1; 150 kB each. Imports have room for one batch beside it.
    pub queue: usize,
    /// How long a batch with room waits for more images before it is run.
    pub patience: Duration,
}

impl BatchOptions {
    /// The batch and the patience that suit the embedder's device, and a queue of 64 images.
    pub fn for_embedder(embedder: &dyn Embedder) -> Self {
        Self { max_batch: embedder.preferred_batch(), queue: 64, patience: embedder.patience() }
    }
}

struct Job {
    input: Input,
    reply: Callback,
}

/// The queues and their thread. Dropping it answers everything that still waits with [`EmbedError::Stopped`], lets
/// the batch in work finish, and joins the thread.
pub struct Batcher {
    /// `None` only while dropping.
    queues: Option<Queues<Sender<Job>>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Both ends come in pairs: somebody is waiting in front of `urgent`, nobody in front of `bulk`.
struct Queues<T> {
    urgent: T,
    bulk: T,
}

impl Batcher {
    /// Starts the thread.
    pub fn start(embedder: Arc<dyn Embedder>, options: BatchOptions) -> Self {
        let max_batch = options.max_batch.max(1);
        let (urgent, urgent_end) = bounded(options.queue.max(1));
        let (bulk, bulk_end) = bounded(max_batch);
        let stopping = Arc::new(AtomicBool::new(false));
        let queues = Queues { urgent: urgent_end, bulk: bulk_end };
        let worker = Worker {
            embedder,
            queues,
            stopping: Arc::clone(&stopping),
            max_batch,
            patience: options.patience,
        };
        let spawned = std::thread::Builder::new().name("embed".to_string()).spawn(move || worker.run());
        if let Err(error) = &spawned {
            // The worker is gone and its ends of the queues with it: every submission is answered with `Stopped`.
            tracing::error!(%error, "the embedding thread could not be started");
        }
        Self { queues: Some(Queues { urgent, bulk }), stopping, thread: spawned.ok() }
    }

    /// Queues an image for somebody who waits: it goes before all imports.
    ///
    /// # Errors
    /// [`EmbedError::Busy`] when the queue is full: the caller should answer "try again later".
    pub fn submit(&self, input: Input) -> Result<Pending, EmbedError> {
        let (pending, reply) = Pending::pair();
        self.submit_with(input, reply)?;
        Ok(pending)
    }

    /// Queues an image as [`Batcher::submit`] does and calls `reply` with the answer, so that async code can wait
    /// without a thread. When this returns an error `reply` is dropped uncalled.
    pub fn submit_with(&self, input: Input, reply: Callback) -> Result<(), EmbedError> {
        let sender = &self.queues.as_ref().ok_or(EmbedError::Stopped)?.urgent;
        sender.try_send(Job { input, reply }).map_err(|error| match error {
            TrySendError::Full(_) => EmbedError::Busy { queued: sender.len() },
            TrySendError::Disconnected(_) => EmbedError::Stopped,
        })
    }

    /// Queues an image of an import: waits for room, and lets people go first.
    pub fn submit_blocking(&self, input: Input) -> Result<Pending, EmbedError> {
        let (pending, reply) = Pending::pair();
        let sender = &self.queues.as_ref().ok_or(EmbedError::Stopped)?.bulk;
        sender.send(Job { input, reply }).map_err(|_| EmbedError::Stopped)?;
        Ok(pending)
    }

    /// How many images wait, without the batch in work.
    pub fn queue_depth(&self) -> usize {
        self.queues.as_ref().map_or(0, |queues| queues.urgent.len() + queues.bulk.len())
    }
}

impl Drop for Batcher {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        // With the senders gone the thread ends once it has answered what is left in the queues.
        self.queues = None;
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
    queues: Queues<Receiver<Job>>,
    stopping: Arc<AtomicBool>,
    max_batch: usize,
    patience: Duration,
}

impl Worker {
    fn run(self) {
        while let Some((inputs, replies)) = self.next_batch() {
            for (reply, answer) in replies.into_iter().zip(self.embed(&inputs)) {
                // A callback that panics must not take the other callers' answers with it.
                if catch_unwind(AssertUnwindSafe(|| reply(answer))).is_err() {
                    tracing::error!("a callback that received a vector panicked");
                }
            }
        }
    }

    /// Waits for work; `None` when the batcher is gone and the queues are empty.
    fn next_batch(&self) -> Option<(Vec<Input>, Vec<Callback>)> {
        let Queues { urgent, bulk } = &self.queues;
        let waited = || {
            select! {
                recv(urgent) -> job => job,
                recv(bulk) -> job => job,
            }
        };
        let first = match urgent.try_recv().map_err(|_| RecvError).or_else(|_| waited()) {
            Ok(job) => job,
            // The batcher drops both senders together, so nothing can be added any more.
            Err(RecvError) => urgent.try_recv().or_else(|_| bulk.try_recv()).ok()?,
        };
        let deadline = Instant::now() + self.patience;
        let rest = std::iter::from_fn(|| self.next_until(deadline)).take(self.max_batch - 1);
        Some(std::iter::once(first).chain(rest).map(|job| (job.input, job.reply)).unzip())
    }

    /// What waits, or comes before the deadline; people first.
    fn next_until(&self, deadline: Instant) -> Option<Job> {
        let Queues { urgent, bulk } = &self.queues;
        urgent.try_recv().or_else(|_| bulk.try_recv()).ok().or_else(|| {
            // At the end of the batcher both queues fail at once: then nobody is waited for.
            select! {
                recv(urgent) -> job => job.ok(),
                recv(bulk) -> job => job.ok(),
                default(deadline.saturating_duration_since(Instant::now())) => None,
            }
        })
    }

    /// Exactly one answer per input.
    fn embed(&self, inputs: &[Input]) -> Vec<Answer> {
        if self.stopping.load(Ordering::Acquire) {
            return vec![Err(EmbedError::Stopped); inputs.len()];
        }
        // The embedder keeps no state between calls that a panic could leave half-changed.
        let result = catch_unwind(AssertUnwindSafe(|| self.embedder.embed(inputs))).unwrap_or_else(|panic| {
            let reason = format!("the backend panicked: {}", panic_text(panic.as_ref()));
            tracing::error!(batch = inputs.len(), "{reason}");
            Err(EmbedError::Compute { reason })
        });
        match result {
            Ok(vectors) if vectors.len() == inputs.len() => vectors.into_iter().map(Ok).collect(),
            Ok(vectors) => {
                let reason = format!("{} vectors for {} images", vectors.len(), inputs.len());
                vec![Err(EmbedError::Compute { reason }); inputs.len()]
            }
            Err(error) => vec![Err(error); inputs.len()],
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceReport;
    use crate::identity::ModelIdentity;
    use crate::vgg16::Pooling;

    /// Answers each image with its first byte; panics at 13, fails at 14; each run waits for a permit and reports
    /// the images it was given.
    struct Fake {
        identity: ModelIdentity,
        report: DeviceReport,
        permits: Receiver<()>,
        runs: Sender<Vec<u8>>,
    }

    impl Embedder for Fake {
        fn identity(&self) -> &ModelIdentity {
            &self.identity
        }

        fn device(&self) -> &DeviceReport {
            &self.report
        }

        fn embed(&self, inputs: &[Input]) -> Result<Vec<Vec<f32>>, EmbedError> {
            let names: Vec<u8> = inputs.iter().map(|input| input.rgb()[0]).collect();
            self.runs.send(names.clone()).unwrap();
            self.permits.recv().unwrap();
            assert!(!names.contains(&13), "thirteen");
            if names.contains(&14) {
                return Ok(vec![]);
            }
            Ok(names.into_iter().map(|name| vec![f32::from(name)]).collect())
        }
    }

    fn start(max_batch: usize, queue: usize) -> (Batcher, Sender<()>, Receiver<Vec<u8>>) {
        start_with(BatchOptions { max_batch, queue, patience: Duration::ZERO })
    }

    fn start_with(options: BatchOptions) -> (Batcher, Sender<()>, Receiver<Vec<u8>>) {
        let (permit, permits) = bounded(100);
        let (runs, seen) = bounded(100);
        let word = String::new;
        let report = DeviceReport { device: word(), detail: word(), precision: word(), reason: word() };
        let fake = Fake { identity: ModelIdentity::vgg16(Pooling::Max), report, permits, runs };
        (Batcher::start(Arc::new(fake), options), permit, seen)
    }

    fn image(name: u8) -> Input {
        Input::from_rgb(vec![name; 224 * 224 * 3]).unwrap()
    }

    #[test]
    fn waiting_images_form_batches_and_people_go_first() {
        let (batcher, permit, seen) = start(3, 10);
        let first = batcher.submit(image(0)).unwrap();
        assert_eq!(seen.recv().unwrap(), [0]);
        // The thread is held inside the first run: everything below waits.
        let bulk: Vec<_> = [1, 2].map(|name| batcher.submit_blocking(image(name)).unwrap()).into();
        let people: Vec<_> = [3, 4].map(|name| batcher.submit(image(name)).unwrap()).into();
        assert_eq!(batcher.queue_depth(), 4);
        (0..3).for_each(|_| permit.send(()).unwrap());
        assert_eq!(first.wait().unwrap(), [0.0]);
        assert_eq!(seen.recv().unwrap(), [3, 4, 1]);
        assert_eq!(seen.recv().unwrap(), [2]);
        let answers: Vec<_> =
            bulk.into_iter().chain(people).map(|pending| pending.wait().unwrap()[0]).collect();
        assert_eq!(answers, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(batcher.queue_depth(), 0);
    }

    #[test]
    fn a_patient_batch_waits_for_more_but_not_when_it_is_full() {
        let patience = Duration::from_secs(600);
        let (batcher, permit, seen) = start_with(BatchOptions { max_batch: 3, queue: 10, patience });
        (0..2).for_each(|_| permit.send(()).unwrap());
        let first = batcher.submit(image(0)).unwrap();
        assert!(seen.recv_timeout(Duration::from_millis(50)).is_err(), "it waits");
        let others = [1, 2].map(|name| batcher.submit_blocking(image(name)).unwrap());
        assert_eq!(seen.recv().unwrap(), [0, 1, 2]);
        assert_eq!(first.wait().unwrap(), [0.0]);
        others.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
        // Neither does the end wait.
        let last = batcher.submit(image(3)).unwrap();
        while batcher.queue_depth() > 0 {
            std::thread::yield_now();
        }
        drop(batcher);
        assert!(matches!(last.wait(), Ok(_) | Err(EmbedError::Stopped)));
    }

    #[test]
    fn a_batch_with_room_runs_when_its_patience_ends() {
        let patience = Duration::from_millis(20);
        let (batcher, permit, seen) = start_with(BatchOptions { max_batch: 3, queue: 10, patience });
        permit.send(()).unwrap();
        let begun = Instant::now();
        assert_eq!(batcher.submit(image(5)).unwrap().wait().unwrap(), [5.0]);
        assert!(begun.elapsed() >= patience);
        assert_eq!(seen.recv().unwrap(), [5]);
    }

    #[test]
    fn a_full_queue_is_busy_and_recovers() {
        let (batcher, permit, seen) = start(1, 2);
        let mut pending = vec![batcher.submit(image(0)).unwrap()];
        seen.recv().unwrap();
        pending.extend([1, 2].map(|name| batcher.submit(image(name)).unwrap()));
        assert_eq!(batcher.submit(image(3)).err(), Some(EmbedError::Busy { queued: 2 }));
        (0..4).for_each(|_| permit.send(()).unwrap());
        for (name, pending) in pending.into_iter().enumerate() {
            assert_eq!(pending.wait().unwrap(), [name as f32]);
        }
        assert_eq!(batcher.submit(image(3)).unwrap().wait().unwrap(), [3.0]);
    }

    #[test]
    fn a_panic_becomes_an_error_and_the_thread_lives_on() {
        let (batcher, permit, _seen) = start(1, 4);
        (0..3).for_each(|_| permit.send(()).unwrap());
        let error = batcher.submit(image(13)).unwrap().wait().unwrap_err();
        assert!(error.to_string().contains("thirteen"), "{error}");
        let error = batcher.submit(image(14)).unwrap().wait().unwrap_err();
        assert!(error.to_string().contains("0 vectors for 1 images"), "{error}");
        assert_eq!(batcher.submit(image(5)).unwrap().wait().unwrap(), [5.0]);
    }

    #[test]
    fn a_panicking_callback_takes_nobody_with_it() {
        let (batcher, permit, seen) = start(8, 8);
        let first = batcher.submit(image(0)).unwrap();
        seen.recv().unwrap();
        batcher.submit_with(image(1), Box::new(|_| panic!("callback"))).unwrap();
        let second = batcher.submit(image(2)).unwrap();
        (0..2).for_each(|_| permit.send(()).unwrap());
        assert_eq!((first.wait().unwrap(), second.wait().unwrap()), (vec![0.0], vec![2.0]));
    }

    #[test]
    fn dropping_answers_everybody() {
        let (batcher, permit, seen) = start(1, 8);
        let running = batcher.submit(image(0)).unwrap();
        seen.recv().unwrap();
        let waiting = [batcher.submit(image(1)).unwrap(), batcher.submit_blocking(image(2)).unwrap()];
        let (sender, receiver) = bounded(1);
        batcher.submit_with(image(3), Box::new(move |answer| sender.send(answer).unwrap())).unwrap();
        let stopping = Arc::clone(&batcher.stopping);
        let dropper = std::thread::spawn(move || drop(batcher));
        while !stopping.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
        permit.send(()).unwrap();
        dropper.join().unwrap();
        assert_eq!(running.wait().unwrap(), [0.0]);
        for pending in waiting {
            assert_eq!(pending.wait().unwrap_err(), EmbedError::Stopped);
        }
        assert_eq!(receiver.recv().unwrap().unwrap_err(), EmbedError::Stopped);
        assert!(seen.try_recv().is_err(), "nothing ran after the drop");
    }
}
