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
use elanus_engine::catalog::split;
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc::Receiver;

pub(crate) use job::{Job, State, SummaryJson};
pub(crate) use upload::{UPLOAD_ROUTE, routes};

use crate::config::Config;
use crate::error::{ApiError, code};
use job::{Group, Task};
use source::Format;
use upload::{Piece, Uploads};

/// Jobs that wait; more are refused.
const MAX_QUEUED: usize = 100;
/// Ended jobs that are remembered, and the bytes that they may take together.
const MAX_ENDED: usize = 1000;
const MAX_ENDED_BYTES: usize = 16 << 20;
/// Most files of one job (Milvus: 1,024).
const MAX_FILES: usize = 1024;
/// Most bytes of the names of all files of one job.
const MAX_NAMES: usize = 256 << 10;

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
    /// Held shared while an uploaded file is replaced or removed, and alone while a job is added, so that no job begins
    /// to name a file that is just being replaced.
    placing: RwLock<()>,
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
        let (engine, table) = (Arc::clone(engine), Mutex::new(table));
        Ok(Arc::new(Self { engine, uploads, roots, table, placing: RwLock::default() }))
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

    /// Writes an uploaded file from the pieces of a body; one that is there is replaced. Blocking.
    ///
    /// # Errors
    /// 409 while an import that has not ended names it; those of [`Uploads::receive`].
    fn receive(&self, name: &str, len: Option<u64>, pieces: Receiver<Piece>) -> Result<u64, ApiError> {
        // Now, before the bytes come; and again when they have come.
        self.unless_read(name, || Ok(()))?;
        self.uploads
            .receive(name, len, pieces, |file| self.unless_read(name, || Ok(file.finish().map(drop)?)))
    }

    /// Removes an uploaded file; false when there is none. Blocking.
    ///
    /// # Errors
    /// As [`Imports::receive`].
    fn remove(&self, name: &str) -> Result<bool, ApiError> {
        self.unless_read(name, || self.uploads.remove(name))
    }

    /// Changes an uploaded file unless an import names it: its rows are checked first and stored later, so both must
    /// find the same ones.
    fn unless_read<T>(
        &self,
        name: &str,
        change: impl FnOnce() -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let path = self.uploads.folder()?.join(name);
        let _placing = self.placing.read();
        let reader = self.table.lock().jobs.values().find(|job| job.reads(&path)).map(|job| job.id());
        match reader {
            Some(id) => {
                Err(ApiError::conflict(format!("{name} is read by the import {id}: wait for its end")))
            }
            None => change(),
        }
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
        let (groups, paths) = self.groups(request.files)?;
        // Who may import into this collection was asked now; where an alias leads later is another question.
        let (database, name) = split(collection.name());
        let task = Task {
            database: database.to_owned(),
            collection: name.to_owned(),
            collection_id: collection.id(),
            partition: request.partition,
            groups,
        };
        let job = self.enqueue(task, paths)?;
        if let Err(error) = self.schedule(&mut self.table.lock()) {
            job.end(Err(error.message.clone()));
            return Err(error);
        }
        Ok(job)
    }

    /// Finds the files of a request, and says where those of each group are.
    fn groups(&self, files: Vec<Vec<String>>) -> Result<(Vec<Group>, Vec<Vec<PathBuf>>), ApiError> {
        if files.is_empty() {
            return Err(refused("no files are given"));
        }
        if files.iter().map(Vec::len).sum::<usize>() > MAX_FILES {
            return Err(refused(format!("an import takes at most {MAX_FILES} files")));
        }
        if files.iter().flatten().map(String::len).sum::<usize>() > MAX_NAMES {
            return Err(refused(format!("the names of an import's files have more than {MAX_NAMES} bytes")));
        }
        let canonical = self.roots.iter().filter_map(|root| root.canonicalize().ok());
        let roots: Vec<PathBuf> = std::iter::once(self.uploads.folder()?).chain(canonical).collect();
        let group = |names: Vec<String>| {
            let format = Format::of_group(&names)?;
            let paths =
                names.iter().map(|name| place::resolve(name, &roots)).collect::<Result<Vec<_>, _>>()?;
            let len = |path: &PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
            let bytes = paths.iter().map(len).sum();
            Ok((Group { names, format, bytes }, paths))
        };
        files.into_iter().map(|names| group(names).map_err(|reason: String| refused(reason))).collect()
    }

    fn enqueue(&self, task: Task, paths: Vec<Vec<PathBuf>>) -> Result<Arc<Job>, ApiError> {
        let _alone = self.placing.write();
        let mut table = self.table.lock();
        forget_old(&mut table);
        if table.closing {
            return Err(ApiError::unavailable("the server is stopping"));
        }
        if table.jobs.values().filter(|job| job.state() == State::Pending).count() >= MAX_QUEUED {
            let message = format!("{MAX_QUEUED} imports are waiting already; try again later");
            return Err(ApiError::new(code::RATE_LIMIT, StatusCode::SERVICE_UNAVAILABLE, message));
        }
        let job = Arc::new(Job::new(table.next_id, task, paths));
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

    /// The imports into collections of a database, newest first; into all of them, or into the one of a number.
    pub(crate) fn list(&self, database: &str, collection: Option<u64>) -> Vec<Arc<Job>> {
        let wanted = |job: &&Arc<Job>| {
            let task = job.task();
            task.database == database && collection.is_none_or(|id| task.collection_id == id)
        };
        self.table.lock().jobs.values().rev().filter(wanted).cloned().collect()
    }

    /// Stops an import that has not ended. What it has stored stays.
    pub(crate) fn abort(&self, job: &Job) {
        job.end(Err(work::ABORTED.to_owned()));
    }
}

/// Forgets the oldest of too many ended jobs, or of those that take too much memory.
fn forget_old(table: &mut Table) {
    let (mut count, mut bytes) = (0, 0);
    let mut is_old = |job: &Arc<Job>| {
        count += 1;
        bytes += job.bytes();
        count > MAX_ENDED || bytes > MAX_ENDED_BYTES
    };
    let newest_first = table.jobs.values().rev().filter(|job| !job.state().is_active());
    let old: Vec<u64> = newest_first.filter(|&job| is_old(job)).map(|job| job.id()).collect();
    for id in old {
        table.jobs.remove(&id);
    }
}

fn log_end(job: &Job) {
    let view = serde_json::to_string(&job.summary()).unwrap_or_default();
    tracing::info!(collection = job.task().collection, summary = view, "import ended");
}
