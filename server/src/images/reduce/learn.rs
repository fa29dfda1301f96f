//! The principal components of what a collection stores.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use elanus_embed::{Covariance, PrincipalComponents, ReductionError};
use elanus_engine::EngineError;
use elanus_engine::row::Projection;
use parking_lot::{Condvar, Mutex};

use super::{ImageCollection, ReduceJob, internal, vector};
use crate::error::ApiError;

/// How often it is looked whether the job should stop while the components are computed.
const LOOK: Duration = Duration::from_millis(50);

/// Whether somebody learns. A reduction that was cancelled may still do so for minutes, with several matrices of the square
/// of the dimension: the next one waits until it has ended, however often one is begun and cancelled.
static LEARNING: Mutex<bool> = Mutex::new(false);
static ENDED: Condvar = Condvar::new();

/// The turn to learn, of which there is one in the process.
#[derive(Debug)]
pub(super) struct Turn(());

impl Turn {
    /// Waits for it; `None` when the job was stopped.
    pub(super) fn wait(job: &ReduceJob<'_>) -> Option<Self> {
        let mut learning = LEARNING.lock();
        while *learning {
            if job.is_stopped() {
                return None;
            }
            ENDED.wait_for(&mut learning, LOOK);
        }
        *learning = true;
        Some(Self(()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *LEARNING.lock() = false;
        ENDED.notify_one();
    }
}

/// Reads all rows.
///
/// # Errors
/// `Cancelled` when the job was stopped; engine errors.
pub(super) fn covariance(source: &ImageCollection, job: &ReduceJob<'_>) -> Result<Covariance, EngineError> {
    let name = source.layout.vector_name();
    let projection = Projection::resolve(&source.rows.schema(), &[name])?;
    let mut covariance = Covariance::new(source.dimension());
    source.rows.scan(&projection, &mut |rows| {
        if job.is_stopped() {
            return Err(EngineError::Cancelled);
        }
        let column = rows.column(name);
        let values = (0..rows.len).filter_map(|row| vector(&column?.value(row)));
        values.into_iter().try_for_each(|vector| covariance.add(vector).map_err(|error| internal(&error)))
    })?;
    Ok(covariance)
}

/// Takes up to minutes. `None` when the job was stopped.
///
/// # Errors
/// 400 when the rows are all the same.
pub(super) fn components(
    covariance: Covariance,
    turn: Turn,
    job: &ReduceJob<'_>,
) -> Result<Option<PrincipalComponents>, ApiError> {
    unless_abandoned(turn, job, move || covariance.principal_components())
}

/// Computes on a thread of its own, which nobody waits for any more when the job is stopped: it can't be interrupted. It
/// has the turn until it ends. `None` when the job was stopped.
fn unless_abandoned<T: Send + 'static>(
    turn: Turn,
    job: &ReduceJob<'_>,
    compute: impl FnOnce() -> Result<T, ReductionError> + Send + 'static,
) -> Result<Option<T>, ApiError> {
    let (sender, receiver) = sync_channel(1);
    let compute = move || {
        let _turn = turn;
        drop(sender.send(compute()));
    };
    std::thread::Builder::new()
        .name("principal-components".to_owned())
        .spawn(compute)
        .map_err(|error| ApiError::internal(format!("no thread for the principal components: {error}")))?;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(computed) => return Ok(Some(computed?)),
            Err(RecvTimeoutError::Timeout) if job.is_stopped() => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ReductionError::NotConverged.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc::channel;

    use super::*;

    fn job(stop: &AtomicBool) -> ReduceJob<'_> {
        ReduceJob { mark: "1".to_owned(), stop, found: &|_| {}, copied: &|_| {} }
    }

    #[test]
    fn a_job_that_was_stopped_has_its_turn_until_its_thread_ends() {
        let (runs, stopped) = (AtomicBool::new(false), AtomicBool::new(true));
        let turn = Turn::wait(&job(&runs)).unwrap();
        let (end, ended) = channel::<()>();
        let abandoned = unless_abandoned(turn, &job(&stopped), move || {
            let _ = ended.recv();
            Ok(())
        });
        assert!(abandoned.unwrap().is_none());
        assert!(Turn::wait(&job(&stopped)).is_none(), "its thread still computes");
        drop(end);
        let turn = Turn::wait(&job(&runs)).unwrap();
        assert_eq!(unless_abandoned(turn, &job(&runs), || Ok(7)).unwrap(), Some(7));
        let turn = Turn::wait(&job(&runs)).unwrap();
        assert!(
            unless_abandoned(turn, &job(&runs), || Err::<(), _>(ReductionError::NothingToLearn)).is_err()
        );
    }
}
