//! The job that makes a collection with shorter vectors of another one: see [`crate::images::ReduceJob`]. Work that is
//! interrupted is begun again.

use std::sync::Arc;

use super::import::End;
use super::record::{Record, Task};
use super::state::Job;
use crate::images::{ImageService, ReduceJob, ReduceRequest};

/// Makes the collection. Blocking; returns soon after the job is stopped, with nothing left of the collection.
pub(super) fn reduce(job: &Job, request: &ReduceRequest, images: &Arc<ImageService>) -> End {
    let record = job.record();
    let asked = ReduceJob {
        mark: mark(&record),
        stop: job.stop(),
        found: &|rows| job.count_found(rows),
        copied: &|rows| job.count_done(rows, 0),
    };
    match images.reduce(&record.collection, request, &asked) {
        Ok(true) => End::Done,
        Ok(false) => End::Stopped,
        Err(error) => End::Failed(error.message),
    }
}

/// Takes back what a job has made that was cancelled in its last moment. What imports have stored stays. Blocking.
pub(super) fn discard(job: &Job, images: &ImageService) {
    let record = job.record();
    if let Task::Reduce(request) = &record.task
        && let Err(error) = images.discard_reduced(&request.to, &mark(&record))
    {
        tracing::warn!(
            collection = request.to,
            error = error.message,
            "a cancelled reduction could not be dropped"
        );
    }
}

/// What tells a job from all others, of letters that a collection's name may have: numbers come again when all jobs were
/// forgotten, and not within a millisecond.
fn mark(record: &Record) -> String {
    format!("{}_{}", record.id, record.created_ms)
}
