//! The work of a job: every file of a folder becomes a row, a refusal with a reason, or is found stored already. Files
//! are read and decoded by a few workers, embedded through the queue that requests use too, and stored in groups; each
//! step holds a bounded share of memory. What is stored is durable, so work that is interrupted is begun again.
//!
//! ```text
//!   candidates ─► worker ─ read, hash ─┬─ known ─► counted
//!                          (memory)    └─ decode ─► Model (in turn) ─► committer ─ group ─► store ─► counted
//! ```

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use elanus_embed::{Descriptor, EmbedError, ImageError, Input, Pending, Reduction};
use elanus_storage::Digest;
use parking_lot::Mutex;

use super::folder::{Candidate, Unreadable, candidates};
use super::record::ImportTask;
use super::room::{Room, Share};
use super::state::Job;
use crate::error::ApiError;
use crate::images::{EmbeddedImage, Fields, ImageCollection, ImageService, Model, Purpose};

/// Bytes of files that an import holds at one time, from reading to storing.
const MEMORY_BYTES: usize = 256 << 20;
/// Rows of one group: they share the syncs of the disk.
const GROUP_ROWS: usize = 32;
/// A group is stored no later than this after its first image.
const GROUP_WAIT: Duration = Duration::from_millis(200);
/// Images between the workers and the committer, at least.
const UNDERWAY: usize = 2 * GROUP_ROWS;
/// Files counted before the total is shown.
const COUNT_STEP: u64 = 64;
/// Most threads that read and decode.
const MAX_WORKERS: usize = 16;

/// How the work of a job ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Every file was handled, every row copied.
    Done,
    /// The job was asked to stop.
    Stopped,
    /// Something that no single file is to blame for.
    Failed(String),
}

type Files<'a> = Box<dyn Iterator<Item = Result<Candidate, Unreadable>> + Send + 'a>;

/// An image on its way through the model, with the memory it holds until it is stored.
struct Underway {
    image: EmbeddedImage,
    vector: Pending,
    memory: Share,
}

struct Import<'a> {
    job: &'a Job,
    images: &'a Arc<ImageService>,
    model: Arc<Model>,
    collection: Arc<ImageCollection>,
    descriptor: Descriptor,
    reduction: Option<Arc<Reduction>>,
    files: Mutex<Files<'a>>,
    memory: Arc<Room>,
    /// The first fault that ends the job.
    fault: Mutex<Option<String>>,
}

/// Imports a folder, which must be canonical. Blocking; returns soon after the job is stopped.
pub(super) fn import(job: &Job, task: &ImportTask, images: &Arc<ImageService>, folder: &Path) -> End {
    let collection = job.record().collection;
    let may_create = match task.may_create {
        true => Ok(()),
        false => Err(ApiError::forbidden(format!("the collection {collection} is gone"))),
    };
    let planned = match images.check_target(&collection, task.descriptor, &may_create) {
        Ok(descriptor) => descriptor,
        Err(error) => return End::Failed(error.message),
    };
    // No collection is made for a model that can't be had.
    let model = match images.wait_model_blocking(planned.model, job.stop()) {
        None => return End::Stopped,
        Some(Err(reason)) => return End::Failed(reason),
        Some(Ok(model)) => model,
    };
    let opened = images.open_or_create(&collection, planned.into(), &may_create);
    let (collection, descriptor) = match opened.and_then(|it| Ok((Arc::clone(&it), it.descriptor()?))) {
        Ok(opened) => opened,
        Err(error) => return End::Failed(error.message),
    };
    let reduction = match images.reduction(&collection) {
        Ok(reduction) => reduction,
        Err(error) => return End::Failed(error.message),
    };
    if !count(job, folder) {
        return End::Stopped;
    }
    let import = Import {
        job,
        images,
        model,
        collection,
        descriptor,
        reduction,
        files: Mutex::new(Box::new(candidates(folder))),
        memory: Room::new(MEMORY_BYTES),
        fault: Mutex::new(None),
    };
    import.run()
}

/// Finds out how many files there are; false when the job was stopped meanwhile.
fn count(job: &Job, folder: &Path) -> bool {
    let mut found = 0;
    for _ in candidates(folder) {
        found += 1;
        if found == COUNT_STEP {
            job.count_found(std::mem::take(&mut found));
        }
        if job.is_stopped() {
            return false;
        }
    }
    job.count_found(found);
    true
}

/// Images that are stored together.
#[derive(Default)]
struct Group {
    images: Vec<EmbeddedImage>,
    /// Room for the next files is made when the group is stored, not before.
    memory: Vec<Share>,
    begun: Option<Instant>,
}

impl Group {
    /// Time until it has to be stored.
    fn patience(&self) -> Duration {
        self.begun.map_or(GROUP_WAIT, |begun| GROUP_WAIT.saturating_sub(begun.elapsed()))
    }

    fn is_due(&self) -> bool {
        self.images.len() >= GROUP_ROWS || self.patience().is_zero()
    }
}

/// Why an image has no vector.
#[derive(Debug, PartialEq, Eq)]
enum NoVector {
    /// It is the image's own fault.
    OfFile(String),
    /// The file is found missing when the folder is imported again.
    OfJob(String),
}

/// The vector of an image as the collection stores it.
fn stored_vector(
    made: Result<Vec<f32>, EmbedError>,
    reduction: Option<&Reduction>,
) -> Result<Vec<f32>, NoVector> {
    let vector = made.map_err(|error| match error {
        EmbedError::NoDirection { .. } => NoVector::OfFile(error.to_string()),
        error => NoVector::OfJob(error.to_string()),
    })?;
    let Some(reduction) = reduction else { return Ok(vector) };
    reduction.apply(&vector).map_err(|error| NoVector::OfFile(error.to_string()))
}

impl Import<'_> {
    fn run(&self) -> End {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        // A device that runs many at once must find the next ones waiting.
        let (underway, inbox) = sync_channel(UNDERWAY.max(2 * self.model.preferred_batch()));
        std::thread::scope(|scope| {
            for _ in 0..cores.clamp(2, MAX_WORKERS) {
                let underway = underway.clone();
                scope.spawn(move || while let Some(()) = self.next_file(&underway) {});
            }
            // The committer sees the end when the last worker has let go.
            drop(underway);
            self.commit(inbox);
        });
        match self.fault.lock().take() {
            Some(reason) => End::Failed(reason),
            None if self.job.is_stopped() => End::Stopped,
            None => End::Done,
        }
    }

    /// Ends the job for a reason that no file is to blame for.
    fn fail(&self, reason: String) {
        self.fault.lock().get_or_insert(reason);
    }

    fn is_over(&self) -> bool {
        self.job.is_stopped() || self.fault.lock().is_some()
    }

    /// Handles one file; `None` when there is none left, or the job is over.
    fn next_file(&self, underway: &SyncSender<Underway>) -> Option<()> {
        if self.is_over() {
            return None;
        }
        let next = self.files.lock().next()?;
        match next {
            Ok(file) => self.handle(file, underway),
            Err(Unreadable { name, reason }) => {
                self.job.count_failed(name, reason);
                Some(())
            }
        }
    }

    fn handle(&self, file: Candidate, underway: &SyncSender<Underway>) -> Option<()> {
        let weight =
            std::fs::metadata(&file.path).map_or(0, |m| usize::try_from(m.len()).unwrap_or(usize::MAX));
        let memory = self.memory.take(weight.min(self.images.max_file_bytes()), self.job)?;
        let bytes = match self.read(&file.path) {
            Ok(bytes) => bytes,
            Err(reason) => return self.refuse(file.name, reason),
        };
        let content = Digest::of(&bytes);
        match self.images.has(&self.collection, &content) {
            Ok(false) => {}
            Ok(true) => {
                self.job.count_done(1, 1);
                return Some(());
            }
            Err(error) => {
                self.fail(error.message);
                return None;
            }
        }
        let decoded = match self.images.decode_blocking(&bytes, self.descriptor.recipe, true) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.images.count_refused(&error);
                return self.refuse(file.name, error.to_string());
            }
        };
        let (width, height, thumbnail) = (decoded.width, decoded.height, decoded.thumbnail);
        let image =
            EmbeddedImage { name: file.name, bytes, content, width, height, vector: Vec::new(), thumbnail };
        self.embed(decoded.input, image, memory, underway)
    }

    fn refuse(&self, name: String, reason: String) -> Option<()> {
        self.job.count_failed(name, reason);
        Some(())
    }

    /// The content of a file, read no further than the limit.
    fn read(&self, path: &Path) -> Result<Bytes, String> {
        let limit = self.images.max_file_bytes();
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(limit as u64 + 1).read_to_end(&mut bytes));
        match read {
            Err(error) => Err(format!("it can't be read: {error}")),
            Ok(_) if bytes.len() > limit => {
                let size = std::fs::metadata(path)
                    .map_or(bytes.len(), |m| usize::try_from(m.len()).unwrap_or(usize::MAX));
                let error = ImageError::TooManyBytes { bytes: size, limit };
                self.images.count_refused(&error);
                Err(error.to_string())
            }
            Ok(_) => Ok(bytes.into()),
        }
    }

    /// Hands an image to the model, waiting for its turn.
    fn embed(
        &self,
        input: Input,
        image: EmbeddedImage,
        memory: Share,
        underway: &SyncSender<Underway>,
    ) -> Option<()> {
        match self.model.embed_in_turn(input, self.descriptor.pooling) {
            // The committer is gone when the job is over: then nobody wants it.
            Ok(vector) => underway.send(Underway { image, vector, memory }).ok(),
            Err(error) => {
                self.fail(error.to_string());
                None
            }
        }
    }

    /// Stores what comes out of the model, in groups, until the last worker has let go or the job is over.
    fn commit(&self, inbox: Receiver<Underway>) {
        let mut group = Group::default();
        loop {
            let next = inbox.recv_timeout(group.patience());
            if self.is_over() {
                return;
            }
            let (due, ended) = match next {
                Ok(underway) => (self.collect(&mut group, underway), false),
                Err(RecvTimeoutError::Timeout) => (true, false),
                Err(RecvTimeoutError::Disconnected) => (true, true),
            };
            if due {
                self.store(std::mem::take(&mut group));
            }
            if ended {
                return;
            }
        }
    }

    /// Waits for a vector and adds the image to the group; says whether the group is due.
    fn collect(&self, group: &mut Group, Underway { image, vector, memory }: Underway) -> bool {
        match stored_vector(vector.wait(), self.reduction.as_deref()) {
            Ok(vector) => {
                group.begun.get_or_insert_with(Instant::now);
                group.images.push(EmbeddedImage { vector, ..image });
                group.memory.push(memory);
            }
            Err(NoVector::OfFile(reason)) => self.job.count_failed(image.name, reason),
            Err(NoVector::OfJob(reason)) => self.fail(reason),
        }
        group.is_due()
    }

    fn store(&self, group: Group) {
        if group.images.is_empty() {
            return;
        }
        match self.images.store(&self.collection, &group.images, &Fields::default()) {
            Ok(stored) => {
                let already = stored.iter().filter(|image| image.already).count();
                self.job.count_done(stored.len() as u64, already as u64);
            }
            Err(error) => self.fail(self.in_words(error)),
        }
    }

    fn in_words(&self, error: ApiError) -> String {
        let name = self.collection.rows.name();
        let now = self.images.open(name, Purpose::Read);
        if now.is_ok_and(|now| now.rows.id() == self.collection.rows.id()) {
            error.message
        } else {
            format!("the collection {name} was dropped during the import")
        }
    }
}

#[cfg(test)]
mod tests {
    use elanus_embed::{Covariance, ModelIdentity};

    use super::*;

    #[test]
    fn a_vector_that_one_photo_does_not_give_ends_no_job() {
        let compute = || EmbedError::NoDirection { length: "0".to_owned() };
        assert!(matches!(stored_vector(Err(compute()), None), Err(NoVector::OfFile(_))));
        assert!(matches!(stored_vector(Err(EmbedError::Stopped), None), Err(NoVector::OfJob(_))));
        assert_eq!(stored_vector(Ok(vec![3.0]), None), Ok(vec![3.0]));

        let identity = ModelIdentity::of(Descriptor::default());
        let mut covariance = Covariance::new(identity.dimension);
        for row in 0..3 {
            let mut vector = vec![0.0; identity.dimension];
            vector[row] = 1.0;
            covariance.add(&vector).unwrap();
        }
        let reduction = covariance.principal_components().unwrap();
        let reduction = reduction.reduction(identity.clone(), 2, false).unwrap();
        let nowhere = vec![f32::NAN; identity.dimension];
        assert!(matches!(stored_vector(Ok(nowhere), Some(&reduction)), Err(NoVector::OfFile(_))));
    }
}
