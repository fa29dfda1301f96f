//! Deleting rows by a filter.

use super::narrowing;
use crate::error::ApiError;
use crate::reply::Envelope;
use crate::rest::call::Call;
use crate::rest::spec;
use crate::telemetry::VectorCount;

/// Deletes the rows that match; answers how many died, or how many keys were named when the filter does only that: Milvus
/// does not look whether they are there.
pub(crate) fn delete(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_FILTER)?;
    body.required_text("filter")?;
    let narrowing = narrowing(&body)?;
    let collection = call.collection(&body)?;
    let filter = narrowing.of_deletion(&call.context.cancel, &collection)?;
    let named = filter.named_keys();
    let died = collection.delete_where(&filter)?;
    call.context.counted(VectorCount::Deleted, &collection, usize::try_from(died).unwrap_or(usize::MAX));
    Envelope::new(serde_json::json!({ "deleteCount": named.map_or(died, |named| named as u64) }))
        .cost()
        .into_bytes()
}
