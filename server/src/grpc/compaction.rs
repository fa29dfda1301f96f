//! Compaction on request. It also runs by itself; a request seals what is in memory and has the segments looked at again.
//! The job is named after the collection: its state is that of all compaction there.

use std::sync::Arc;

use elanus_engine::Collection;

use super::call::Call;
use super::common::CompactionState;
use super::messages;
use super::status::success;
use crate::auth::Privilege as P;
use crate::error::ApiError;

/// Seals and asks for a compaction.
pub(super) fn compact(
    call: &Call<'_>,
    request: messages::ManualCompactionRequest,
) -> Result<messages::ManualCompactionResponse, ApiError> {
    let collection = call.collection_or_number(
        P::Compaction,
        &request.db_name,
        &request.collection_name,
        request.collection_id,
    )?;
    collection.flush()?;
    collection.request_compaction();
    Ok(messages::ManualCompactionResponse {
        status: Some(success()),
        compaction_id: collection.id() as i64,
        compaction_plan_count: 1,
    })
}

/// How far a compaction is. One of a collection that is gone is done.
pub(super) fn get_state(
    call: &Call<'_>,
    request: messages::GetCompactionStateRequest,
) -> Result<messages::GetCompactionStateResponse, ApiError> {
    call.on_cluster(P::Compaction)?;
    let state = state(call.numbered(request.compaction_id));
    let count = |wanted: CompactionState| i64::from(state == wanted);
    Ok(messages::GetCompactionStateResponse {
        status: Some(success()),
        state: state.into(),
        executing_plan_no: count(CompactionState::Executing),
        timeout_plan_no: 0,
        completed_plan_no: count(CompactionState::Completed),
        failed_plan_no: 0,
    })
}

/// The same, for clients that want to know which segments become which. That is not told.
pub(super) fn get_plans(
    call: &Call<'_>,
    request: messages::GetCompactionPlansRequest,
) -> Result<messages::GetCompactionPlansResponse, ApiError> {
    let collection = if request.collection_name.is_empty() {
        call.on_cluster(P::Compaction)?;
        call.numbered(if request.compaction_id == 0 { request.collection_id } else { request.compaction_id })
    } else {
        Some(call.collection(P::Compaction, &request.db_name, &request.collection_name)?)
    };
    Ok(messages::GetCompactionPlansResponse {
        status: Some(success()),
        state: state(collection).into(),
        merge_infos: Vec::new(),
    })
}

fn state(collection: Option<Arc<Collection>>) -> CompactionState {
    match collection {
        Some(collection) if collection.is_compacting() => CompactionState::Executing,
        _ => CompactionState::Completed,
    }
}
