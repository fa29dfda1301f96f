//! Jobs: imports of folders and reductions of collections, which take longer than a request and survive a restart. A job is a small file and a thread.
//! The file says what to do and how it ended; what was done is in the collection, so a job that was interrupted begins
//! again and passes over what is stored. One job for each collection runs at a time, the others wait their turn.
//!
//! ```text
//!   POST /v1/jobs, --images ─► Jobs ─ queued ─► running ─► done | cancelled | failed
//!                               │                  │
//!                            archive            import: folder ─► workers ─► Model ─► groups ─► ImageService
//!                                               reduce: collection ─► PCA ─► another collection
//! ```

mod api;
mod archive;
mod folder;
mod import;
mod progress;
mod record;
mod reduce;
mod room;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use elanus_engine::EngineError;
use elanus_engine::schema::check_collection_name;
use elanus_storage::DiskVfs;
use parking_lot::Mutex;

pub use api::routes;
pub(crate) use record::JobState;
pub(crate) use state::Job;

use crate::config::Config;
use crate::error::ApiError;
use crate::images::{AskedDescriptor, ImageService, Permission, ReduceRequest};
use crate::telemetry::Metrics;
use archive::Archive;
use import::End;
use record::{ImportTask, Record, Task};

/// The collection that `--images` and requests without a name fill.
pub(crate) const DEFAULT_COLLECTION: &str = "images";
/// Jobs that run at one time, over all collections: they share one model.
const MAX_RUNNING: usize = 2;
/// Jobs that wait; more are refused.
const MAX_QUEUED: usize = 100;
/// Ended jobs that are remembered.
const MAX_ENDED: usize = 100;

/// All jobs of a server.
#[derive(Debug)]
pub struct Jobs {
    config: Config,
    images: Arc<ImageService>,
    metrics: Arc<Metrics>,
    archive: Archive,
    /// One state is written at a time, so that a later one is never replaced by an earlier one. Taken before the table.
    saving: Mutex<()>,
    /// Nobody waits for the disk while holding it: requests that only look take it, too.
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next_id: u64,
    jobs: BTreeMap<u64, Arc<Job>>,
    /// Threads of the jobs that run, by id; with the collection that each fills.
    running: HashMap<u64, (String, JoinHandle<()>)>,
    closing: bool,
}

impl Jobs {
    /// Takes up the jobs that a stop or a crash interrupted, and begins those of `--images`. Their progress is shown on
    /// the terminal.
    ///
    /// # Errors
    /// Storage errors of the folder of jobs. A job file that can't be read is reported and left alone.
    pub fn start(
        config: &Config,
        images: &Arc<ImageService>,
        metrics: &Arc<Metrics>,
    ) -> Result<Arc<Self>, ApiError> {
        let archive =
            Archive::open(Arc::new(DiskVfs), config.data.join("jobs")).map_err(EngineError::from)?;
        let mut table = Table { next_id: 1, ..Table::default() };
        for record in archive.load().map_err(EngineError::from)? {
            table.next_id = table.next_id.max(record.id + 1);
            table.jobs.insert(record.id, Arc::new(Job::new(record.resumed())));
        }
        let (saving, table) = (Mutex::new(()), Mutex::new(table));
        let (images, metrics) = (Arc::clone(images), Arc::clone(metrics));
        let jobs = Arc::new(Self { config: config.clone(), images, metrics, archive, saving, table });
        let shown: Vec<Arc<Job>> =
            config.images.iter().filter_map(|folder| jobs.begin_at_start(folder)).collect();
        jobs.schedule();
        progress::show(shown);
        Ok(jobs)
    }

    /// Interrupts what runs, and waits until it has stopped. It goes on at the next start.
    pub fn close(&self) {
        let running: Vec<_> = {
            let mut table = self.table.lock();
            table.closing = true;
            table.jobs.values().for_each(|job| job.interrupt());
            table.running.drain().map(|(_, (_, thread))| thread).collect()
        };
        for thread in running {
            if thread.join().is_err() {
                tracing::error!("the thread of a job had panicked");
            }
        }
    }

    /// Begins to import a folder below one of the operator's roots; a collection that is not there is made as it was asked
    /// for. The job is durable when this returns. Blocking.
    ///
    /// # Errors
    /// 403 for a folder outside of the roots, 404 for one that is not there, 400 for a bad collection name, 409 when
    /// images can't go into the collection, 503 when too many jobs wait; the refusal when the collection is not there
    /// and may not be made.
    pub(crate) fn create(
        self: &Arc<Self>,
        collection: &str,
        folder: &str,
        asked: AskedDescriptor,
        may_create: &Permission,
    ) -> Result<Arc<Job>, ApiError> {
        let folder = folder::resolve(folder, &self.config.roots())?;
        let _ = self.images.check_target(collection, asked, may_create)?;
        let task = ImportTask { folder: in_utf8(folder)?, may_create: may_create.is_ok(), descriptor: asked };
        self.enqueue_and_schedule(collection, Task::Import(task))
    }

    /// Begins to make a collection of another one, with shorter vectors. The job is durable when this returns. Blocking.
    ///
    /// # Errors
    /// As [`ImageService::check_reduction`]; 503 when too many jobs wait.
    pub(crate) fn create_reduction(
        self: &Arc<Self>,
        collection: &str,
        request: ReduceRequest,
    ) -> Result<Arc<Job>, ApiError> {
        self.images.check_reduction(collection, &request)?;
        self.enqueue_and_schedule(collection, Task::Reduce(request))
    }

    fn enqueue_and_schedule(self: &Arc<Self>, collection: &str, task: Task) -> Result<Arc<Job>, ApiError> {
        let job = self.enqueue(collection, task)?;
        self.schedule();
        Ok(job)
    }

    /// A job by its id.
    ///
    /// # Errors
    /// 404.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Job>, ApiError> {
        let unknown = || ApiError::not_found(format!("there is no job {id}"));
        let number: u64 = id.parse().map_err(|_| unknown())?;
        self.table.lock().jobs.get(&number).cloned().ok_or_else(unknown)
    }

    /// All jobs, newest first.
    pub(crate) fn list(&self) -> Vec<Arc<Job>> {
        self.table.lock().jobs.values().rev().cloned().collect()
    }

    /// Cancels a job that waits or runs; one that has ended stays as it is. What it stored stays. Blocking.
    pub(crate) fn cancel(self: &Arc<Self>, job: &Job) {
        if job.end(JobState::Cancelled, None) {
            self.remember(job);
        }
        self.schedule();
    }

    /// Cancels a job that is active, forgets one that has ended. Blocking.
    pub(crate) fn remove(self: &Arc<Self>, job: &Job) {
        if job.state().is_active() {
            return self.cancel(job);
        }
        self.table.lock().jobs.remove(&job.id());
        self.archive.remove(job.id());
    }

    /// The job of a folder of `--images`: the one that was interrupted, or a new one.
    fn begin_at_start(&self, folder: &Path) -> Option<Arc<Job>> {
        let path = match folder.canonicalize() {
            Ok(path) => path,
            Err(error) => {
                tracing::error!(folder = %folder.display(), %error, "this folder can't be imported");
                return None;
            }
        };
        let same = |job: &&Arc<Job>| {
            let record = job.record();
            record.state.is_active()
                && record.collection == DEFAULT_COLLECTION
                && matches!(&record.task, Task::Import(task) if Path::new(&task.folder) == path)
        };
        let interrupted = self.table.lock().jobs.values().find(same).cloned();
        if interrupted.is_some() {
            return interrupted;
        }
        let task = in_utf8(path).map(|folder| Task::Import(ImportTask::new(folder)));
        match task.and_then(|task| self.enqueue(DEFAULT_COLLECTION, task)) {
            Ok(job) => Some(job),
            Err(error) => {
                tracing::error!(folder = %folder.display(), %error, "this folder can't be imported");
                None
            }
        }
    }

    fn enqueue(&self, collection: &str, task: Task) -> Result<Arc<Job>, ApiError> {
        check_collection_name(collection)?;
        // Until it is in the table, nobody else gets its number or its place in the queue.
        let _one_at_a_time = self.saving.lock();
        let id = self.table.lock().admit()?;
        let record = Record::new(id, collection.to_owned(), task);
        self.archive.save(&record).map_err(EngineError::from)?;
        let job = Arc::new(Job::new(record));
        let old = {
            let mut table = self.table.lock();
            table.next_id = id + 1;
            table.jobs.insert(id, Arc::clone(&job));
            table.forget_old()
        };
        self.remove_files(&old);
        Ok(job)
    }

    /// Starts every waiting job whose collection is free, oldest first.
    fn schedule(self: &Arc<Self>) {
        let mut table = self.table.lock();
        let waiting: Vec<Arc<Job>> =
            table.jobs.values().filter(|job| job.state() == JobState::Queued).cloned().collect();
        for job in waiting {
            let collection = job.record().collection;
            let busy = table.running.values().any(|(other, _)| *other == collection);
            if table.closing || busy || table.running.len() >= MAX_RUNNING || !job.begin() {
                continue;
            }
            let (jobs, worker) = (Arc::clone(self), Arc::clone(&job));
            let thread = std::thread::Builder::new().name(format!("job-{}", job.id()));
            match thread.spawn(move || jobs.run(&worker)) {
                Ok(thread) => drop(table.running.insert(job.id(), (collection, thread))),
                Err(error) => {
                    job.end(JobState::Failed, Some(format!("no thread for the job: {error}")));
                }
            }
        }
        self.metrics.jobs_running(table.running.len() as i64);
    }

    /// The life of a job's thread.
    fn run(self: &Arc<Self>, job: &Arc<Job>) {
        self.remember(job);
        let work = || match job.record().task {
            Task::Reduce(request) => reduce::reduce(job, &request, &self.images),
            Task::Import(task) => match folder::resolve(&task.folder, &self.config.roots()) {
                Ok(folder) => import::import(job, &task, &self.images, &folder),
                Err(error) => End::Failed(error.message),
            },
        };
        let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        let ended = match end
            .unwrap_or_else(|_| End::Failed("internal error; the server's log has the details".into()))
        {
            End::Done => {
                let ended = job.end(JobState::Done, None);
                if !ended {
                    reduce::discard(job, &self.images);
                }
                ended
            }
            End::Failed(reason) => job.end(JobState::Failed, Some(reason)),
            // Cancelled, which has been noted; or the server stops, and the file says that there is work left.
            End::Stopped => false,
        };
        if ended {
            self.remember(job);
        }
        log_end(job);
        let mut table = self.table.lock();
        drop(table.running.remove(&job.id()));
        let old = table.forget_old();
        drop(table);
        self.remove_files(&old);
        self.schedule();
    }

    /// Writes the job's file. A failure is logged: at worst the job runs once more after a restart and finds
    /// everything stored.
    fn remember(&self, job: &Job) {
        let _one_at_a_time = self.saving.lock();
        if let Err(error) = self.archive.save(&job.record()) {
            tracing::warn!(job = job.id(), %error, "the state of a job could not be stored");
        }
    }

    fn remove_files(&self, jobs: &[u64]) {
        jobs.iter().for_each(|id| self.archive.remove(*id));
    }
}

impl Table {
    /// The number of a new job.
    ///
    /// # Errors
    /// 503 while the server stops, and when too many jobs wait.
    fn admit(&self) -> Result<u64, ApiError> {
        if self.closing {
            return Err(ApiError::unavailable("the server is stopping"));
        }
        if self.jobs.values().filter(|job| job.state() == JobState::Queued).count() >= MAX_QUEUED {
            return Err(ApiError::unavailable(format!("{MAX_QUEUED} jobs are waiting already")));
        }
        Ok(self.next_id)
    }

    /// Forgets the oldest of too many ended jobs, and says which: their files are to be removed.
    fn forget_old(&mut self) -> Vec<u64> {
        let ended = self.jobs.values().filter(|job| !job.state().is_active()).map(|job| job.id());
        let mut old: Vec<u64> = ended.collect();
        old.truncate(old.len().saturating_sub(MAX_ENDED));
        old.iter().for_each(|id| drop(self.jobs.remove(id)));
        old
    }
}

fn in_utf8(folder: PathBuf) -> Result<String, ApiError> {
    let folder = folder.into_os_string().into_string();
    folder.map_err(|_| ApiError::invalid("the name of the folder is not UTF-8"))
}

fn log_end(job: &Job) {
    let record = job.record();
    tracing::info!(
        job = record.id,
        collection = record.collection,
        what = record.what(),
        state = record.state.name(),
        done = record.done,
        total = record.total,
        skipped = record.skipped,
        failed = record.failed_count,
        reason = record.message.as_deref().unwrap_or_default(),
        "job ended"
    );
}
