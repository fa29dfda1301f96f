//! Imports of files with rows, as Milvus has them: JSON, NumPy, Parquet. A client uploads files, or the operator names
//! folders with them; a job reads the files twice, to check every row before it stores the first. One job runs at a
//! time. Jobs are remembered in memory only: a restart forgets them, and ends those that have not ended; rows that they
//! have stored stay.
//!
//! ```text
//!   POST /v1/imports/{name} ─ upload ─► <data>/imports/{name} ─┐
//!                                       --import-root folders ─┤
//!   jobs/import/create ─► Imports ─ queue ─► work: check ─► store ─► Collection
//!                                             └─ source: json, npy, parquet
//! ```

mod job;
mod place;
mod source;
#[cfg(test)]
mod tests;
mod upload;
mod work;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use elanus_engine::Engine;
use parking_lot::Mutex;

use job::State;
pub(crate) use job::{Job, SummaryJson};
pub(crate) use upload::{UPLOAD_ROUTE, routes};

use crate::config::Config;
use crate::error::{ApiError, code};
use job::{Group, Task};
use source::Format;
use upload::Uploads;

/// Jobs that wait; more are refused.
const MAX_QUEUED: usize = 100;
/// Ended jobs that are remembered.
const MAX_ENDED: usize = 1000;
/// Most files of one job (Milvus: 1,024).
const MAX_FILES: usize = 1024;

/// What a request asks for.
#[derive(Debug)]
pub(crate) struct ImportRequest {
    /// The database, which exists.
    pub(crate) database: String,
    /// The collection.
    pub(crate) collection: String,
    /// The partition; empty for the default one.
    pub(crate) partition: String,
    /// Names of files; those of one group hold the columns of the same rows.
    pub(crate) files: Vec<Vec<String>>,
}

/// All imports of a server, and the uploaded files.
#[derive(Debug)]
pub struct Imports {
    engine: Arc<Engine>,
    uploads: Uploads,
    /// The operator's folders.
    roots: Vec<PathBuf>,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    next_id: u64,
    jobs: BTreeMap<u64, Arc<Job>>,
    worker: Option<JoinHandle<()>>,
    /// Whether the worker is going to look for more jobs.
    working: bool,
    closing: bool,
}

/// 2100 with a reason, in Milvus's order of words.
fn refused(reason: impl std::fmt::Display) -> ApiError {
    ApiError::new(code::IMPORT_FAILED, StatusCode::BAD_REQUEST, format!("{reason}: importing data failed"))
}

impl Imports {
    /// Makes the folder of uploads, and removes what an interrupted upload left in it.
    ///
    /// # Errors
    /// Storage errors of that folder.
    pub(crate) fn start(config: &Config, engine: &Arc<Engine>) -> Result<Arc<Self>, ApiError> {
        let uploads = Uploads::open(config.data.join("imports"), Arc::clone(engine))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // No number of an earlier run of the server: whoever still asks for one must not be told of another job.
        let next_id = u64::try_from(now.as_millis()).unwrap_or(1).max(1);
        let table = Table { next_id, jobs: BTreeMap::new(), worker: None, working: false, closing: false };
        let roots = config.import_roots.clone();
        Ok(Arc::new(Self { engine: Arc::clone(engine), uploads, roots, table: Mutex::new(table) }))
    }

    /// Stops what runs and forgets what waits; returns when the thread has ended.
    pub(crate) fn close(&self) {
        let worker = {
            let mut table = self.table.lock();
            table.closing = true;
            table.jobs.values().for_each(|job| job.interrupt());
            table.worker.take()
        };
        if worker.is_some_and(|worker| worker.join().is_err()) {
            tracing::error!("the thread of an import had panicked");
        }
    }

    /// The uploaded files.
    pub(crate) fn uploads(&self) -> &Uploads {
        &self.uploads
    }

    /// Begins an import. Blocking.
    ///
    /// # Errors
    /// 100 for an unknown collection; 2100 for files that are not there, not allowed or of no known format; 1100 and 200
    /// for a partition; 8 when too many imports wait.
    pub(crate) fn create(self: &Arc<Self>, request: ImportRequest) -> Result<Arc<Job>, ApiError> {
        let collection = self.engine.collection_in(&request.database, &request.collection)?;
        if !request.partition.is_empty() {
            collection.within(None, std::slice::from_ref(&request.partition))?;
        }
        let groups = self.groups(request.files)?;
        let ImportRequest { database, collection, partition, .. } = request;
        let job = self.enqueue(Task { database, collection, partition, groups })?;
        if let Err(error) = self.schedule(&mut self.table.lock()) {
            job.end(Err(error.message.clone()));
            return Err(error);
        }
        Ok(job)
    }

    /// Finds the files of a request.
    fn groups(&self, files: Vec<Vec<String>>) -> Result<Vec<Group>, ApiError> {
        if files.is_empty() {
            return Err(refused("no files are given"));
        }
        if files.iter().map(Vec::len).sum::<usize>() > MAX_FILES {
            return Err(refused(format!("an import takes at most {MAX_FILES} files")));
        }
        let canonical = self.roots.iter().filter_map(|root| root.canonicalize().ok());
        let roots: Vec<PathBuf> = std::iter::once(self.uploads.folder()?).chain(canonical).collect();
        let group = |names: Vec<String>| {
            let format = Format::of_group(&names)?;
            let paths =
                names.iter().map(|name| place::resolve(name, &roots)).collect::<Result<Vec<_>, _>>()?;
            let len = |path: &PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
            let bytes = paths.iter().map(len).sum();
            Ok(Group { names, paths, format, bytes })
        };
        files.into_iter().map(|names| group(names).map_err(|reason: String| refused(reason))).collect()
    }

    fn enqueue(&self, task: Task) -> Result<Arc<Job>, ApiError> {
        let mut table = self.table.lock();
        if table.closing {
            return Err(ApiError::unavailable("the server is stopping"));
        }
        if table.jobs.values().filter(|job| job.state() == State::Pending).count() >= MAX_QUEUED {
            let message = format!("{MAX_QUEUED} imports are waiting already; try again later");
            return Err(ApiError::new(code::RATE_LIMIT, StatusCode::SERVICE_UNAVAILABLE, message));
        }
        let job = Arc::new(Job::new(table.next_id, task));
        table.next_id += 1;
        table.jobs.insert(job.id(), Arc::clone(&job));
        Ok(job)
    }

    /// Starts the thread unless it is there.
    fn schedule(self: &Arc<Self>, table: &mut Table) -> Result<(), ApiError> {
        if table.working || table.closing {
            return Ok(());
        }
        let imports = Arc::clone(self);
        let thread = std::thread::Builder::new().name("import".to_owned());
        let spawned = thread.spawn(move || while imports.next_job() {});
        let worker =
            spawned.map_err(|error| ApiError::unavailable(format!("no thread to import: {error}")))?;
        // The one before has done its last job.
        table.worker = Some(worker);
        table.working = true;
        Ok(())
    }

    /// Does the oldest job that waits; false when there is none, and the thread is not counted on any more.
    fn next_job(&self) -> bool {
        let job = {
            let mut table = self.table.lock();
            forget_old(&mut table);
            let next = table.jobs.values().find(|job| job.state() == State::Pending).cloned();
            table.working = next.is_some() && !table.closing;
            match next {
                Some(job) if table.working => job,
                _ => return false,
            }
        };
        if job.begin() {
            let work = AssertUnwindSafe(|| work::run(&self.engine, &job));
            let outcome = std::panic::catch_unwind(work);
            let outcome = outcome
                .unwrap_or_else(|_| Err("internal error; the server's log has the details".to_owned()));
            job.end(outcome);
        }
        log_end(&job);
        true
    }

    /// An import by its number.
    ///
    /// # Errors
    /// 2100.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Job>, ApiError> {
        let job = id.parse().ok().and_then(|number: u64| self.table.lock().jobs.get(&number).cloned());
        job.ok_or_else(|| refused(format!("there is no import job {id}; a restart forgets them")))
    }

    /// The imports into collections of a database, newest first; into all of them, or into one.
    pub(crate) fn list(&self, database: &str, collection: &str) -> Vec<Arc<Job>> {
        let wanted = |job: &&Arc<Job>| {
            let task = job.task();
            task.database == database && (collection.is_empty() || task.collection == collection)
        };
        self.table.lock().jobs.values().rev().filter(wanted).cloned().collect()
    }

    /// Stops an import that has not ended. What it has stored stays.
    pub(crate) fn abort(&self, job: &Job) {
        job.end(Err(work::ABORTED.to_owned()));
    }
}

/// Forgets the oldest of too many ended jobs.
fn forget_old(table: &mut Table) {
    let ended: Vec<u64> =
        table.jobs.values().filter(|job| !job.state().is_active()).map(|job| job.id()).collect();
    for id in ended.iter().take(ended.len().saturating_sub(MAX_ENDED)) {
        table.jobs.remove(id);
    }
}

fn log_end(job: &Job) {
    let view = serde_json::to_string(&job.summary()).unwrap_or_default();
    tracing::info!(collection = job.task().collection, summary = view, "import ended");
}
