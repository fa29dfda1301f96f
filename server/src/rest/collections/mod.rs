//! `/v2/vectordb/collections`: making, changing, describing and dropping collections.

mod alter;
mod compaction;
mod create;
mod describe;
mod field;
mod index;
mod load;

pub(super) use alter::{
    add_field, add_function, alter_field_properties, alter_properties, drop_field, drop_properties, rename,
    truncate,
};
pub(super) use compaction::{compact, get_compaction_state};
pub(super) use create::create;
pub(super) use describe::describe;
pub(super) use index::{read_indexes, texts};
pub(super) use load::{get_load_state, load, release};

use elanus_engine::EngineError;
use elanus_engine::catalog::qualified;

use super::call::{Call, done};
use super::spec;
use crate::error::ApiError;
use crate::reply::Envelope;

/// Names of all collections of a database.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::DATABASE)?;
    Envelope::new(call.app.engine.names_in(&call.database(&body)?)?).into_bytes()
}

/// Whether there is a collection; one that is out of service is there, and so is one under an alias.
pub(super) fn has(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    let name = body.required_text("collectionName")?;
    let found = call.app.engine.collection_in(&call.database(&body)?, &name);
    let has = !matches!(found, Err(EngineError::CollectionNotFound { .. }));
    Envelope::new(serde_json::json!({ "has": has })).into_bytes()
}

/// Drops a collection; dropping an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    let name = body.required_text("collectionName")?;
    let database = call.database(&body)?;
    if !name.contains('/') {
        call.app.engine.drop_collection(&qualified(&database, &name))?;
        call.app.metrics.forget_dropped(&call.app.engine);
    }
    done()
}

/// Number of live rows.
pub(super) fn get_stats(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    let rows = call.collection(&body)?.count();
    Envelope::new(serde_json::json!({ "rowCount": rows })).into_bytes()
}

/// Moves rows from memory and log into files. They are durable before, too.
pub(super) fn flush(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    call.collection(&body)?.flush()?;
    done()
}
