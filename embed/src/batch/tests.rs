use std::time::Instant;

use crossbeam::channel::Sender;

use super::*;
use crate::device::DeviceReport;
use crate::preprocess::Recipe;

/// Gives for each image a map of two channels by which [`name`] knows its first byte. Panics at 13, gives no maps at 14,
/// and nothing but zeros for 15. Each run waits for a permit and reports the images it was given.
struct Fake {
    report: Arc<DeviceReport>,
    permits: Receiver<()>,
    runs: Sender<Vec<u8>>,
}

impl Embedder for Fake {
    fn device(&self) -> Arc<DeviceReport> {
        Arc::clone(&self.report)
    }

    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        let names: Vec<u8> = inputs.iter().map(|input| input.rgb()[0]).collect();
        self.runs.send(names.clone()).unwrap();
        self.permits.recv().unwrap();
        assert!(!names.contains(&13), "thirteen");
        assert!(inputs.iter().all(|input| input.side() == inputs[0].side()), "one size at a time");
        if names.contains(&14) {
            return Ok(vec![]);
        }
        let map = |name: u8| match name {
            15 => vec![0.0; 8],
            name => vec![1.0, 1.0, 1.0, 1.0, f32::from(name), 0.0, 0.0, 0.0],
        };
        names.into_iter().map(|name| FeatureMap::new(map(name), 2)).collect()
    }
}

/// The name of the image whose maxima these are; a quarter of it if they are means.
fn name(vector: Vec<f32>) -> f32 {
    (vector[1] / vector[0] * 4.0).round() / 4.0
}

fn start(max_batch: usize, queue: usize) -> (Batcher, Sender<()>, Receiver<Vec<u8>>) {
    start_with(BatchOptions { max_batch: Some(max_batch), queue, patience: Some(Duration::ZERO) })
}

fn start_with(options: BatchOptions) -> (Batcher, Sender<()>, Receiver<Vec<u8>>) {
    let (permit, permits) = bounded(100);
    let (runs, seen) = bounded(100);
    let word = String::new;
    let report = Arc::new(DeviceReport { device: word(), detail: word(), precision: word(), reason: word() });
    (Batcher::start(Arc::new(Fake { report, permits, runs }), options), permit, seen)
}

fn image_of(recipe: Recipe, name: u8) -> Input {
    Input::from_rgb(recipe, vec![name; recipe.side().pow(2) * 3]).unwrap()
}

fn image(name: u8) -> Input {
    image_of(Recipe::Keras, name)
}

/// An asker that waits for ever.
struct Calling<F>(F);

impl<F: FnOnce(Answer) + Send> Asker for Calling<F> {
    fn is_waiting(&self) -> bool {
        true
    }

    fn answer(self: Box<Self>, answer: Answer) {
        (self.0)(answer);
    }
}

/// The simplest calls, all of one descriptor.
impl Batcher {
    fn urgent(&self, name: u8) -> Result<Pending, EmbedError> {
        self.submit(image(name), Pooling::Max)
    }

    fn bulk(&self, name: u8) -> Pending {
        self.submit_blocking(image(name), Pooling::Max).unwrap()
    }
}

#[test]
fn waiting_images_form_batches_and_people_go_first() {
    let (batcher, permit, seen) = start(3, 10);
    let first = batcher.urgent(0).unwrap();
    assert_eq!(seen.recv().unwrap(), [0]);
    // The thread is held inside the first run: everything below waits.
    let bulk: Vec<_> = [1, 2].map(|name| batcher.bulk(name)).into();
    let people: Vec<_> = [3, 4].map(|name| batcher.urgent(name).unwrap()).into();
    assert_eq!(batcher.queue_depth(), 4);
    (0..3).for_each(|_| permit.send(()).unwrap());
    assert_eq!(name(first.wait().unwrap()), 0.0);
    assert_eq!(seen.recv().unwrap(), [3, 4, 1]);
    assert_eq!(seen.recv().unwrap(), [2]);
    let answers: Vec<_> =
        bulk.into_iter().chain(people).map(|pending| name(pending.wait().unwrap())).collect();
    assert_eq!(answers, [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(batcher.queue_depth(), 0);
}

#[test]
fn one_run_serves_recipes_of_one_size_and_all_poolings() {
    let (batcher, permit, seen) = start(8, 10);
    let first = batcher.urgent(0).unwrap();
    assert_eq!(seen.recv().unwrap(), [0]);
    let asked =
        [(Recipe::Keras, Pooling::Max), (Recipe::Torchvision, Pooling::Avg), (Recipe::Keras, Pooling::Rmac)];
    let pending = asked.map(|(recipe, pooling)| batcher.submit(image_of(recipe, 8), pooling).unwrap());
    (0..2).for_each(|_| permit.send(()).unwrap());
    first.wait().unwrap();
    assert_eq!(seen.recv().unwrap(), [8, 8, 8]);
    let [max, avg, rmac] = pending.map(|pending| name(pending.wait().unwrap()));
    assert_eq!((max, avg), (8.0, 2.0));
    assert!(rmac < 8.0 && rmac != 2.0, "{rmac}");
}

#[test]
fn sizes_are_not_mixed_and_the_oldest_image_says_which_is_next() {
    let (batcher, permit, seen) = start(3, 10);
    let first = batcher.urgent(0).unwrap();
    assert_eq!(seen.recv().unwrap(), [0]);
    let bulk = [(1, Recipe::Keras320), (2, Recipe::Keras)]
        .map(|(name, recipe)| batcher.submit_blocking(image_of(recipe, name), Pooling::Max).unwrap());
    let sizes = [(3, Recipe::Keras320), (4, Recipe::Keras), (5, Recipe::Keras320), (6, Recipe::Torchvision)];
    let people = sizes.map(|(name, recipe)| batcher.submit(image_of(recipe, name), Pooling::Max).unwrap());
    (0..3).for_each(|_| permit.send(()).unwrap());
    // The first of the people's, joined by those of its size, at last from the import.
    let runs: Vec<_> = (0..2).map(|_| seen.recv().unwrap()).collect();
    assert_eq!(runs, [[3, 5, 1], [4, 6, 2]]);
    let answers: Vec<_> =
        bulk.into_iter().chain(people).chain([first]).map(|pending| name(pending.wait().unwrap())).collect();
    assert_eq!(answers, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0]);
}

#[test]
fn a_patient_batch_waits_for_more_but_not_when_it_is_full() {
    let patience = Duration::from_secs(600);
    let (batcher, permit, seen) =
        start_with(BatchOptions { max_batch: Some(3), queue: 10, patience: Some(patience) });
    (0..2).for_each(|_| permit.send(()).unwrap());
    let first = batcher.urgent(0).unwrap();
    assert!(seen.recv_timeout(Duration::from_millis(50)).is_err(), "it waits");
    let others = [1, 2].map(|name| batcher.bulk(name));
    assert_eq!(seen.recv().unwrap(), [0, 1, 2]);
    assert_eq!(name(first.wait().unwrap()), 0.0);
    others.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
    // Neither does the end wait.
    let last = batcher.urgent(3).unwrap();
    while batcher.queue_depth() > 0 {
        std::thread::yield_now();
    }
    drop(batcher);
    assert!(matches!(last.wait(), Ok(_) | Err(EmbedError::Stopped)));
}

#[test]
fn a_patient_batch_does_not_let_another_size_wait() {
    let patience = Duration::from_secs(600);
    let (batcher, permit, seen) =
        start_with(BatchOptions { max_batch: Some(2), queue: 10, patience: Some(patience) });
    (0..2).for_each(|_| permit.send(()).unwrap());
    let _small = batcher.urgent(1).unwrap();
    let _large = [2, 3].map(|name| batcher.submit(image_of(Recipe::Keras320, name), Pooling::Max).unwrap());
    assert_eq!(seen.recv().unwrap(), [1]);
    assert_eq!(seen.recv().unwrap(), [2, 3]);
}

#[test]
fn a_batch_with_room_runs_when_its_patience_ends() {
    let patience = Duration::from_millis(20);
    let (batcher, permit, seen) =
        start_with(BatchOptions { max_batch: Some(3), queue: 10, patience: Some(patience) });
    permit.send(()).unwrap();
    let begun = Instant::now();
    assert_eq!(name(batcher.urgent(5).unwrap().wait().unwrap()), 5.0);
    assert!(begun.elapsed() >= patience);
    assert_eq!(seen.recv().unwrap(), [5]);
}

#[test]
fn a_full_queue_is_busy_and_recovers() {
    let (batcher, permit, seen) = start(1, 2);
    let mut pending = vec![batcher.urgent(0).unwrap()];
    seen.recv().unwrap();
    pending.extend([1, 2].map(|name| batcher.urgent(name).unwrap()));
    assert_eq!(batcher.urgent(3).err(), Some(EmbedError::Busy { queued: 2 }));
    (0..4).for_each(|_| permit.send(()).unwrap());
    for (expected, pending) in pending.into_iter().enumerate() {
        assert_eq!(name(pending.wait().unwrap()), expected as f32);
    }
    assert_eq!(name(batcher.urgent(3).unwrap().wait().unwrap()), 3.0);
}

#[test]
fn an_import_waits_for_room() {
    let (batcher, permit, seen) = start(1, 2);
    let first = batcher.bulk(0);
    seen.recv().unwrap();
    let second = batcher.bulk(1);
    std::thread::scope(|scope| {
        // There is room for one; this one comes in when the other has left.
        let third = scope.spawn(|| batcher.bulk(2));
        (0..3).for_each(|_| permit.send(()).unwrap());
        assert_eq!(name(third.join().unwrap().wait().unwrap()), 2.0);
    });
    assert_eq!([first, second].map(|pending| name(pending.wait().unwrap())), [0.0, 1.0]);
}

#[test]
fn a_panic_becomes_an_error_and_the_thread_lives_on() {
    let (batcher, permit, _seen) = start(1, 4);
    (0..3).for_each(|_| permit.send(()).unwrap());
    let error = batcher.urgent(13).unwrap().wait().unwrap_err();
    assert!(error.to_string().contains("thirteen"), "{error}");
    let error = batcher.urgent(14).unwrap().wait().unwrap_err();
    assert!(error.to_string().contains("0 feature maps for 1 images"), "{error}");
    assert_eq!(name(batcher.urgent(5).unwrap().wait().unwrap()), 5.0);
}

#[test]
fn a_vector_that_means_nothing_is_an_error_of_its_own() {
    let (batcher, permit, seen) = start(3, 4);
    let first = batcher.urgent(0).unwrap();
    seen.recv().unwrap();
    let [good, bad, other] = [1, 15, 2].map(|name| batcher.urgent(name).unwrap());
    (0..2).for_each(|_| permit.send(()).unwrap());
    first.wait().unwrap();
    assert_eq!(seen.recv().unwrap(), [1, 15, 2]);
    assert!(matches!(bad.wait(), Err(EmbedError::NoDirection { .. })));
    assert_eq!([good, other].map(|pending| name(pending.wait().unwrap())), [1.0, 2.0]);
}

#[test]
fn a_panicking_asker_takes_nobody_with_it() {
    let (batcher, permit, seen) = start(8, 8);
    let first = batcher.urgent(0).unwrap();
    seen.recv().unwrap();
    batcher.submit_with(image(1), Pooling::Max, Box::new(Calling(|_| panic!("asker")))).unwrap();
    let second = batcher.urgent(2).unwrap();
    (0..2).for_each(|_| permit.send(()).unwrap());
    assert_eq!((name(first.wait().unwrap()), name(second.wait().unwrap())), (0.0, 2.0));
}

#[test]
fn what_nobody_waits_for_is_not_run_and_takes_no_place() {
    let (batcher, permit, seen) = start(8, 2);
    let first = batcher.urgent(0).unwrap();
    assert_eq!(seen.recv().unwrap(), [0]);
    drop([1, 2].map(|name| batcher.urgent(name).unwrap()));
    drop([3, 4].map(|name| batcher.bulk(name)));
    // The queue is full of images that nobody waits for.
    let [wanted, also] = [5, 6].map(|name| batcher.urgent(name).unwrap());
    assert_eq!(batcher.urgent(7).err(), Some(EmbedError::Busy { queued: 2 }));
    (0..2).for_each(|_| permit.send(()).unwrap());
    first.wait().unwrap();
    assert_eq!(seen.recv().unwrap(), [5, 6]);
    assert_eq!([wanted, also].map(|pending| name(pending.wait().unwrap())), [5.0, 6.0]);
    // All that is left in the queues when the thread looks is unwanted: it goes on waiting.
    let last = batcher.urgent(8).unwrap();
    assert_eq!(seen.recv().unwrap(), [8]);
    drop(batcher.bulk(9));
    (0..2).for_each(|_| permit.send(()).unwrap());
    last.wait().unwrap();
    let after = batcher.urgent(10).unwrap();
    assert_eq!(seen.recv().unwrap(), [10]);
    assert_eq!(name(after.wait().unwrap()), 10.0);
}

#[test]
fn dropping_answers_everybody() {
    let (batcher, permit, seen) = start(1, 8);
    let running = batcher.urgent(0).unwrap();
    seen.recv().unwrap();
    let waiting = [batcher.urgent(1).unwrap(), batcher.bulk(2)];
    let (sender, receiver) = bounded(1);
    let asker = Box::new(Calling(move |answer| sender.send(answer).unwrap()));
    batcher.submit_with(image(3), Pooling::Max, asker).unwrap();
    let queues = Arc::clone(&batcher.queues);
    let dropper = std::thread::spawn(move || drop(batcher));
    // They do not even wait for the run that goes on.
    for pending in waiting {
        assert_eq!(pending.wait().unwrap_err(), EmbedError::Stopped);
    }
    assert_eq!(receiver.recv().unwrap().unwrap_err(), EmbedError::Stopped);
    assert!(queues.is_closed());
    permit.send(()).unwrap();
    dropper.join().unwrap();
    assert_eq!(name(running.wait().unwrap()), 0.0);
    assert!(seen.try_recv().is_err(), "nothing ran after the drop");
}

#[test]
fn a_batcher_without_a_thread_answers_everybody() {
    let (batcher, permit, seen) = start(1, 8);
    let running = batcher.urgent(0).unwrap();
    seen.recv().unwrap();
    let waiting = batcher.bulk(1);
    // What the thread does when it ends, for whatever reason.
    stop(&batcher.queues);
    assert_eq!(waiting.wait().unwrap_err(), EmbedError::Stopped);
    assert_eq!(batcher.urgent(2).err(), Some(EmbedError::Stopped));
    assert!(batcher.submit_blocking(image(3), Pooling::Max).is_err());
    permit.send(()).unwrap();
    assert_eq!(name(running.wait().unwrap()), 0.0);
}

/// Prefers smaller batches after its first one, as where a GPU is lost.
struct Fading(std::sync::atomic::AtomicUsize);

impl Embedder for Fading {
    fn device(&self) -> Arc<DeviceReport> {
        let word = String::new;
        Arc::new(DeviceReport { device: word(), detail: word(), precision: word(), reason: word() })
    }

    fn preferred_batch(&self) -> usize {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(600)
    }

    fn feature_maps(&self, inputs: &[Input]) -> Result<Vec<FeatureMap>, EmbedError> {
        self.0.store(1, std::sync::atomic::Ordering::Relaxed);
        inputs.iter().map(|_| FeatureMap::new(vec![inputs.len() as f32, 1.0], 2)).collect()
    }
}

/// The first batch waits until there are two; the next one would wait for a second image for ten minutes.
#[test]
fn batches_suit_the_device_of_the_moment() {
    let batcher = Batcher::start(Arc::new(Fading(2.into())), BatchOptions::default());
    let pending: Vec<Pending> = (0..2).map(|_| batcher.submit(image(1), Pooling::Max).unwrap()).collect();
    let sizes: Vec<f32> = pending.into_iter().map(|pending| batch_of(pending.wait().unwrap())).collect();
    assert_eq!(sizes, [2.0, 2.0]);
    assert_eq!(batch_of(batcher.submit(image(1), Pooling::Max).unwrap().wait().unwrap()), 1.0);
}

/// How many images [`Fading`] was given.
fn batch_of(vector: Vec<f32>) -> f32 {
    (vector[0] / vector[1]).round()
}
