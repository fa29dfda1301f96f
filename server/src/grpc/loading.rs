//! Loading and releasing. What is done is in [`crate::service::load`]: nothing has to be loaded to be read, so all of it
//! is done at once, and whoever waits for a load finds it complete.

use axum::http::StatusCode;

use super::call::Call;
use super::common::{LoadState, Status};
use super::messages;
use super::status::success;
use crate::auth::Privilege as P;
use crate::error::{ApiError, code};
use crate::service;

/// Notes that a collection is to be loaded.
pub(super) fn load_collection(
    call: &Call<'_>,
    request: messages::LoadCollectionRequest,
) -> Result<Status, ApiError> {
    let collection = call.collection(P::Load, &request.db_name, &request.collection_name)?;
    service::load::load(&collection)?;
    Ok(success())
}

/// Notes that a collection is not needed for now.
pub(super) fn release_collection(
    call: &Call<'_>,
    request: messages::ReleaseCollectionRequest,
) -> Result<Status, ApiError> {
    let collection = call.collection(P::Release, &request.db_name, &request.collection_name)?;
    service::load::release(&collection)?;
    Ok(success())
}

/// Notes that partitions are to be loaded.
pub(super) fn load_partitions(
    call: &Call<'_>,
    request: messages::LoadPartitionsRequest,
) -> Result<Status, ApiError> {
    let collection = call.collection(P::Load, &request.db_name, &request.collection_name)?;
    check_named(&request.partition_names)?;
    collection.set_loaded(&request.partition_names, true)?;
    Ok(success())
}

/// Notes that partitions are not needed for now.
pub(super) fn release_partitions(
    call: &Call<'_>,
    request: messages::ReleasePartitionsRequest,
) -> Result<Status, ApiError> {
    let collection = call.collection(P::Release, &request.db_name, &request.collection_name)?;
    check_named(&request.partition_names)?;
    collection.set_loaded(&request.partition_names, false)?;
    Ok(success())
}

/// To the engine, no names are all of them.
fn check_named(partitions: &[String]) -> Result<(), ApiError> {
    match partitions {
        [] => Err(ApiError::invalid("partition names should not be empty: invalid parameter")),
        _ => Ok(()),
    }
}

/// Whether a collection, or all of some partitions, were asked to be loaded. One that is not there is a state, too.
pub(super) fn get_state(
    call: &Call<'_>,
    request: messages::GetLoadStateRequest,
) -> Result<messages::GetLoadStateResponse, ApiError> {
    let state = match call.collection(P::GetLoadState, &request.db_name, &request.collection_name) {
        Ok(collection) if collection.definition().is_loaded(&request.partition_names)? => LoadState::Loaded,
        Ok(_) => LoadState::NotLoad,
        Err(error) if error.code == code::COLLECTION_NOT_FOUND => LoadState::NotExist,
        Err(error) => return Err(error),
    };
    Ok(messages::GetLoadStateResponse { status: Some(success()), state: state.into() })
}

/// How far a load is: complete.
///
/// # Errors
/// 101 where nothing was asked to be loaded.
pub(super) fn get_progress(
    call: &Call<'_>,
    request: messages::GetLoadingProgressRequest,
) -> Result<messages::GetLoadingProgressResponse, ApiError> {
    const COMPLETE: i64 = 100;
    let collection = call.collection(P::GetLoadingProgress, &request.db_name, &request.collection_name)?;
    if !collection.definition().is_loaded(&request.partition_names)? {
        let message = format!("collection not loaded[collection={}]", request.collection_name);
        return Err(ApiError::new(code::NOT_LOADED, StatusCode::BAD_REQUEST, message));
    }
    Ok(messages::GetLoadingProgressResponse {
        status: Some(success()),
        progress: COMPLETE,
        refresh_progress: COMPLETE,
    })
}
