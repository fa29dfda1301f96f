//! Moves rows from memory and log into files. They are durable before, too; and when the answer comes it is done, so
//! that whoever asks how far it is gets the same answer always.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use elanus_engine::catalog::split;
use elanus_engine::{Collection, EngineError};

use super::call::Call;
use super::status::success;
use super::{messages, time};
use crate::auth::Privilege as P;
use crate::error::ApiError;

/// Flushes collections.
pub(super) fn flush(
    call: &Call<'_>,
    request: messages::FlushRequest,
) -> Result<messages::FlushResponse, ApiError> {
    let names = request.collection_names;
    if names.is_empty() {
        return Err(ApiError::invalid("collection names should not be empty: invalid parameter"));
    }
    // First whether all of them may be, then the first of them.
    let find = |name: &String| call.collection(P::Flush, &request.db_name, name);
    let collections: Vec<Arc<Collection>> = names.iter().map(find).collect::<Result<_, _>>()?;
    for collection in collections {
        collection.flush()?;
    }
    let (flushed, sealed) = (time::now(), seconds());
    Ok(messages::FlushResponse {
        status: Some(success()),
        db_name: call.database(&request.db_name).to_owned(),
        coll_seal_times: names.iter().map(|name| (name.clone(), sealed)).collect(),
        coll_flush_ts: names.iter().map(|name| (name.clone(), flushed)).collect(),
        ..messages::FlushResponse::default()
    })
}

/// Seconds since 1970.
fn seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() as i64
}

/// Whether a flush is done: it is. Without a collection nobody is told anything of one.
pub(super) fn get_state(
    call: &Call<'_>,
    request: messages::GetFlushStateRequest,
) -> Result<messages::GetFlushStateResponse, ApiError> {
    if !request.collection_name.is_empty() {
        call.on_collection(P::GetFlushState, &request.db_name, &request.collection_name)?;
    }
    Ok(messages::GetFlushStateResponse { status: Some(success()), flushed: true })
}

/// Flushes every collection of the server, or of a database, or those that are named.
#[expect(deprecated, reason = "pymilvus sends the database and waits for the time")]
pub(super) fn flush_all(
    call: &Call<'_>,
    request: messages::FlushAllRequest,
) -> Result<messages::FlushAllResponse, ApiError> {
    call.on_cluster(P::FlushAll)?;
    let engine = &call.app().engine;
    let wanted = |collection: &Collection| {
        let (database, name) = split(collection.name());
        let of = |target: &messages::FlushAllTarget| {
            let named = |given: &String| engine.own_name(database, given) == name;
            call.database(&target.db_name) == database
                && (target.collection_names.is_empty() || target.collection_names.iter().any(named))
        };
        match (request.flush_targets.as_slice(), request.db_name.as_str()) {
            ([], "") => true,
            ([], named) => named == database,
            (targets, _) => targets.iter().any(of),
        }
    };
    for collection in engine.open_collections() {
        if !wanted(&collection) {
            continue;
        }
        match collection.flush() {
            // Dropped meanwhile: there is nothing to flush.
            Err(EngineError::CollectionNotFound { .. }) => {}
            outcome => outcome?,
        }
    }
    Ok(messages::FlushAllResponse {
        status: Some(success()),
        flush_all_ts: time::now(),
        ..messages::FlushAllResponse::default()
    })
}

/// Whether a flush of everything is done: it is. Nothing else is told, so nobody needs a right.
pub(super) fn get_all_state(
    _: &Call<'_>,
    _: messages::GetFlushAllStateRequest,
) -> Result<messages::GetFlushAllStateResponse, ApiError> {
    Ok(messages::GetFlushAllStateResponse {
        status: Some(success()),
        flushed: true,
        ..messages::GetFlushAllStateResponse::default()
    })
}
