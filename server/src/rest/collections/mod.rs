//! `/v2/vectordb/collections`: what collections there are and what they are. Loading, releasing and flushing are
//! accepted as clients send them and needed for nothing: every collection is always loaded.

mod create;
mod describe;
mod field;
mod index;

pub(super) use create::create;
pub(super) use describe::describe;
pub(super) use index::read_indexes;

use elanus_engine::EngineError;

use super::call::{Call, check_partitions, done};
use crate::error::ApiError;
use crate::reply::Envelope;

/// Names of all collections.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body("DatabaseReq")?;
    call.check_database(&body)?;
    Envelope::new(call.app.engine.names()).into_bytes()
}

/// Whether there is a collection; one that is out of service is there.
pub(super) fn has(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body("CollectionNameReq")?;
    let name = body.required_text("collectionName")?;
    call.check_database(&body)?;
    let has = !matches!(call.app.engine.collection(&name), Err(EngineError::CollectionNotFound { .. }));
    Envelope::new(serde_json::json!({ "has": has })).into_bytes()
}

/// Drops a collection; dropping an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body("CollectionNameReq")?;
    let name = body.required_text("collectionName")?;
    call.check_database(&body)?;
    call.app.engine.drop_collection(&name)?;
    done()
}

/// Number of live rows.
pub(super) fn get_stats(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body("CollectionNameReq")?;
    let rows = call.collection(&body)?.count();
    Envelope::new(serde_json::json!({ "rowCount": rows })).into_bytes()
}

/// Always loaded.
pub(super) fn get_load_state(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body("CollectionNameReq")?;
    check_partitions(&body)?;
    call.collection(&body)?;
    Envelope::new(serde_json::json!({ "loadState": describe::LOADED, "loadProgress": 100 }))
        .message()
        .into_bytes()
}

/// Nothing to do for a collection that is there.
pub(super) fn load(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body("CollectionNameReq")?;
    call.collection(&body)?;
    done()
}

/// Nothing to do for a collection that is there: it stays searchable.
pub(super) fn release(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    load(call)
}

/// Moves rows from memory and log into files. They are durable before, too.
pub(super) fn flush(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body("CollectionNameReq")?;
    call.collection(&body)?.flush()?;
    done()
}
