//! Compaction on request. It also runs by itself; a request seals what is in memory and has the segments looked at again.

use crate::error::ApiError;
use crate::reply::Envelope;
use crate::rest::call::Call;
use crate::rest::spec;
use crate::service::number::integer_parameter;

/// Seals and asks for a compaction. The job is named after the collection: its state is that of all compaction there.
pub(crate) fn compact(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COMPACT)?;
    let collection = call.collection(&body)?;
    collection.flush()?;
    collection.request_compaction();
    Envelope::new(serde_json::json!({ "compactionID": collection.id() })).into_bytes()
}

/// How far a compaction is. One of a collection that is gone is done.
pub(crate) fn get_compaction_state(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COMPACTION_STATE)?;
    let id = body.raw("jobID").map(|raw| integer_parameter("jobID", raw)).transpose()?.unwrap_or(0);
    let collection = call.app.engine.open_collections().into_iter().find(|c| i64::try_from(c.id()) == Ok(id));
    let running = collection.is_some_and(|c| c.is_compacting());
    Envelope::new(serde_json::json!({
        "compactionID": id,
        "state": if running { "Executing" } else { "Completed" },
        "executingPlanNumber": u32::from(running),
        "timeoutPlanNumber": 0,
        "completedPlanNumber": u32::from(!running),
    }))
    .into_bytes()
}
