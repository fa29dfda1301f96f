//! Making a collection with shorter vectors of one that there is: a PCA is learned on the stored vectors, its file is
//! stored, and every row is copied, under its key and with all its fields, with a reduced vector. The copy is put together
//! under a name of its own and gets the asked-for one when it is whole: whatever happens before, nothing is left.

mod copy;
mod learn;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use elanus_embed::ReductionError;
use elanus_embed::reduction::most_dimensions;
use elanus_engine::collection::{Collection, DEFAULT_DATABASE};
use elanus_engine::limits::MIN_DIMENSION;
use elanus_engine::row::OutputValue;
use elanus_engine::schema::check_collection_name;
use elanus_engine::{Engine, EngineError};
use serde::{Deserialize, Serialize};

use super::layout::MODEL_PROPERTY;
use super::{ImageCollection, ImageService, Purpose, descriptor};
use crate::error::ApiError;
use copy::{copy, definition};
use learn::{Turn, components, covariance};

/// Key of the property by which a job finds the collection that it makes or has made, after a restart too.
const JOB_PROPERTY: &str = "elanus.reduced_by";

/// What is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReduceRequest {
    /// Name of the new collection.
    pub(crate) to: String,
    /// Values of its vectors.
    pub(crate) dimension: usize,
    /// Whether they get equal variance.
    pub(crate) whiten: bool,
}

/// Who asks, and who looks on.
pub(crate) struct ReduceJob<'a> {
    /// Another one for each job, of letters that a collection's name may have.
    pub(crate) mark: String,
    /// Set when it should stop.
    pub(crate) stop: &'a AtomicBool,
    /// Is told how many rows there are.
    pub(crate) found: &'a dyn Fn(u64),
    /// Is told of rows that were copied.
    pub(crate) copied: &'a dyn Fn(u64),
}

impl ReduceJob<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Name of the collection that a job makes, while it is put together.
fn draft_name(mark: &str) -> String {
    format!("_reducing_{mark}")
}

/// Whether a job has made the collection, or makes it.
fn is_made_by(rows: &Collection, mark: &str) -> bool {
    rows.properties().get(JOB_PROPERTY).is_some_and(|by| by == mark)
}

/// A collection that is being put together; dropped with this unless it was published.
struct Draft<'a> {
    engine: &'a Engine,
    rows: Arc<Collection>,
    published: bool,
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.published
            && let Err(error) = self.engine.drop_collection(self.rows.name())
        {
            tracing::warn!(%error, collection = self.rows.name(), "an unfinished collection could not be dropped");
        }
    }
}

impl ImageService {
    /// Whether a collection can be reduced so. Blocking.
    ///
    /// # Errors
    /// 404 when it is not there; 400 when it can't hold images, for a bad name, and for a dimension that its rows do not
    /// give; 409 when another model made its vectors, they were reduced already, or the name is taken.
    pub(crate) fn check_reduction(
        &self,
        name: &str,
        request: &ReduceRequest,
    ) -> Result<Arc<ImageCollection>, ApiError> {
        check_collection_name(&request.to)?;
        let source = self.open(name, Purpose::Embed)?;
        if source.reduced.is_some() {
            return Err(ApiError::conflict(format!(
                "the vectors of the collection {name} were reduced already: reduce the collection that it was made of"
            )));
        }
        match self.collections.engine().collection_in(DEFAULT_DATABASE, &request.to) {
            Err(EngineError::CollectionNotFound { .. }) => {}
            _ => return Err(ApiError::conflict(format!("the name {} is taken", request.to))),
        }
        let (rows, dimension) = (source.rows.count(), request.dimension);
        let most = most_dimensions(source.dimension(), usize::try_from(rows).unwrap_or(usize::MAX));
        if !(MIN_DIMENSION..=most).contains(&dimension) {
            let range = match most < MIN_DIMENSION {
                true => "are too few to learn from".to_owned(),
                false => format!("can be reduced to {MIN_DIMENSION} to {most} values, not to {dimension}"),
            };
            return Err(ApiError::invalid(format!("the {rows} vectors of the collection {name} {range}")));
        }
        Ok(source)
    }

    /// Makes the collection; false when the job was stopped. Begun again after a crash, it finds what it had made.
    /// Blocking.
    ///
    /// # Errors
    /// As [`ImageService::check_reduction`]; engine and storage errors. Nothing is left of the new collection then.
    pub(crate) fn reduce(
        &self,
        name: &str,
        request: &ReduceRequest,
        job: &ReduceJob<'_>,
    ) -> Result<bool, ApiError> {
        let engine = self.collections.engine();
        // The crash may have come after the last step.
        if let Ok(rows) = engine.collection_in(DEFAULT_DATABASE, &request.to)
            && is_made_by(&rows, &job.mark)
        {
            (job.found)(rows.count());
            (job.copied)(rows.count());
            return Ok(true);
        }
        // Before anything is kept: it may take minutes.
        let Some(turn) = Turn::wait(job) else { return Ok(false) };
        engine.drop_collection(&draft_name(&job.mark))?;
        let source = self.check_reduction(name, request)?;
        (job.found)(source.rows.count());
        // The file until the collection names it, the collection until it has its name, and originals of rows that are
        // deleted while they are copied.
        let kept = self.keep_originals();
        let made = self.make_reduced(&source, request, job, turn);
        drop(kept);
        self.request_sweep();
        made
    }

    /// Drops what was made by a job that was cancelled in its last moment. Blocking.
    ///
    /// # Errors
    /// Engine errors.
    pub(crate) fn discard_reduced(&self, name: &str, mark: &str) -> Result<(), ApiError> {
        let engine = self.collections.engine();
        if engine.collection(name).is_ok_and(|rows| is_made_by(&rows, mark)) {
            engine.drop_collection(name)?;
            self.request_sweep();
        }
        Ok(())
    }

    /// Drops what a crash has left of collections that were being put together. Blocking.
    ///
    /// # Errors
    /// Engine errors.
    pub(super) fn drop_drafts(&self) -> Result<(), ApiError> {
        let engine = self.collections.engine();
        let is_draft = |rows: &Arc<Collection>| {
            rows.properties().get(JOB_PROPERTY).is_some_and(|mark| rows.name() == draft_name(mark))
        };
        let drafts: Vec<_> = engine.open_collections().into_iter().filter(is_draft).collect();
        // Whoever puts one together keeps the originals: when nobody does, those found before are nobody's.
        if drafts.is_empty() || self.sweep_gate.is_kept() {
            return Ok(());
        }
        for rows in drafts {
            engine.drop_collection(rows.name())?;
            tracing::info!(collection = rows.name(), "an unfinished collection was dropped");
        }
        Ok(())
    }

    fn make_reduced(
        &self,
        source: &ImageCollection,
        request: &ReduceRequest,
        job: &ReduceJob<'_>,
        turn: Turn,
    ) -> Result<bool, ApiError> {
        let engine = self.collections.engine();
        let Some(covariance) = unless_stopped(covariance(source, job))? else { return Ok(false) };
        let Some(components) = components(covariance, turn, job)? else { return Ok(false) };
        let identity = descriptor::identity(source.descriptor()?);
        let identity = identity.parse().map_err(|error| ApiError::internal(format!("{error}")))?;
        let reduction = components.reduction(identity, request.dimension, request.whiten)?;
        drop(components);
        let bytes = reduction.to_bytes();
        self.admit(bytes.len() as u64)?;
        self.reductions.put(&bytes).map_err(EngineError::from)?;
        let rows = engine.create(definition(source, &reduction, request, job)?)?;
        let mut draft = Draft { engine, rows, published: false };
        if unless_stopped(copy(source, &reduction, &draft.rows, job))?.is_none() {
            return Ok(false);
        }
        // Whatever the server acknowledges when: what gets the name is on the disk.
        draft.rows.flush()?;
        if job.is_stopped() {
            return Ok(false);
        }
        engine.rename((DEFAULT_DATABASE, &draft_name(&job.mark)), (DEFAULT_DATABASE, &request.to))?;
        draft.published = true;
        Ok(true)
    }
}

/// `None` when the job was stopped, which ends a scan as if it was cancelled.
fn unless_stopped<T>(scanned: Result<T, EngineError>) -> Result<Option<T>, ApiError> {
    match scanned {
        Err(EngineError::Cancelled) => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// The vector of a row, if it has one.
fn vector<'a>(value: &OutputValue<'a>) -> Option<&'a [f32]> {
    match value {
        OutputValue::Vector(vector) | OutputValue::Packed(_, vector) => Some(vector),
        _ => None,
    }
}

fn internal(error: &ReductionError) -> EngineError {
    EngineError::Internal(error.to_string())
}
