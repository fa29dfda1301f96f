//! `/v2/vectordb/jobs/import`: files with rows into collections. The work is done in [`crate::imports`].

use serde::Serialize;

use super::call::{Call, done};
use super::spec;
use crate::error::ApiError;
use crate::imports::{ImportRequest, SummaryJson};
use crate::reply::Envelope;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    job_id: String,
}

#[derive(Serialize)]
struct Listed {
    records: Vec<SummaryJson>,
}

/// Begins to import files. The answer comes when they are found; how they fare, `describe` tells.
pub(super) fn create(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::IMPORT)?;
    let collection = body.required_text("collectionName")?;
    body.required("files")?;
    let request = ImportRequest {
        collection,
        partition: body.get_or_default("partitionName")?,
        files: body.get_or_default("files")?,
        database: call.database(&body)?,
    };
    let job_id = call.app.imports.create(request)?.id().to_string();
    Envelope::new(Created { job_id }).into_bytes()
}

/// The imports that are remembered, newest first.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::LIST_IMPORT)?;
    let collection: String = body.get_or_default("collectionName")?;
    let database = call.database(&body)?;
    let collection = match collection.as_str() {
        "" => None,
        name => Some(call.app.engine.collection_in(&database, name)?.id()),
    };
    let jobs = call.app.imports.list(&database, collection);
    Envelope::new(Listed { records: jobs.iter().map(|job| job.summary()).collect() }).into_bytes()
}

/// How far an import is, or how it ended.
pub(super) fn describe(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::JOB_ID)?;
    let id = body.required_text("jobId")?;
    Envelope::new(call.app.imports.get(&id)?.view()).into_bytes()
}

/// Says yes: rows count as committed when they are stored.
pub(super) fn commit(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::JOB_ID)?;
    call.app.imports.get(&body.required_text("jobId")?)?;
    done()
}

/// Stops an import that has not ended; what it has stored stays.
pub(super) fn abort(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::JOB_ID)?;
    let job = call.app.imports.get(&body.required_text("jobId")?)?;
    call.app.imports.abort(&job);
    done()
}
