//! The principal components of what a collection stores.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use elanus_embed::{Covariance, PrincipalComponents, ReductionError};
use elanus_engine::EngineError;
use elanus_engine::row::Projection;

use super::{ImageCollection, ReduceJob, internal, vector};
use crate::error::ApiError;

/// How often it is looked whether the job should stop while the components are computed.
const LOOK: Duration = Duration::from_millis(50);

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

/// Computed on a thread of its own, which nobody waits for any more when the job is stopped: it takes up to minutes and
/// can't be interrupted. `None` when the job was stopped.
///
/// # Errors
/// 400 when the rows are all the same.
pub(super) fn components(
    covariance: Covariance,
    job: &ReduceJob<'_>,
) -> Result<Option<PrincipalComponents>, ApiError> {
    let (sender, receiver) = sync_channel(1);
    let compute = move || drop(sender.send(covariance.principal_components()));
    std::thread::Builder::new()
        .name("principal-components".to_owned())
        .spawn(compute)
        .map_err(|error| ApiError::internal(format!("no thread for the principal components: {error}")))?;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(components) => return Ok(Some(components?)),
            Err(RecvTimeoutError::Timeout) if job.is_stopped() => return Ok(None),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(ReductionError::NotConverged.into()),
        }
    }
}
