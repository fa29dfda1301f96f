//! Deleting rows by a filter.

use super::Narrowing;
use crate::error::ApiError;
use crate::reply::Envelope;
use crate::rest::call::Call;
use crate::rest::spec;
use crate::telemetry::VectorCount;

/// Deletes the rows that match; answers how many died, or how many keys were named when the filter does only that: Milvus
/// does not look whether they are there.
pub(crate) fn delete(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_FILTER)?;
    let expression = body.required_text("filter")?;
    let narrowing = Narrowing::read(&body)?;
    let collection = call.collection(&body)?;
    let filter = narrowing.filter(&collection, "delete")?;
    let everything = || {
        ApiError::invalid(format!(
            "delete plan can't be empty or always true : {expression}: invalid parameter"
        ))
    };
    let filter = filter
        .filter(|filter| !expression.trim().is_empty() && !filter.is_always_true())
        .ok_or_else(everything)?;
    let named = filter.named_keys();
    let died = collection.delete_where(&filter)?;
    call.counted(VectorCount::Deleted, &collection, usize::try_from(died).unwrap_or(usize::MAX));
    Envelope::new(serde_json::json!({ "deleteCount": named.map_or(died, |named| named as u64) }))
        .cost()
        .into_bytes()
}
