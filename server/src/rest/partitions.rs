//! `/v2/vectordb/partitions`: named parts of a collection.

use super::call::{Call, done};
use super::spec;
use crate::body::Object;
use crate::error::ApiError;
use crate::reply::Envelope;

/// Names of the partitions, the default one first.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    let names: Vec<String> = call.collection(&body)?.partitions().into_iter().map(|p| p.name).collect();
    Envelope::new(names).into_bytes()
}

/// Whether there is a partition.
pub(super) fn has(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::PARTITION)?;
    let name = partition_name(&body)?;
    let has = call.collection(&body)?.partitions().iter().any(|partition| partition.name == name);
    Envelope::new(serde_json::json!({ "has": has })).into_bytes()
}

/// Adds a partition; one that is there stays as it is.
pub(super) fn create(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::PARTITION)?;
    let name = partition_name(&body)?;
    call.collection(&body)?.create_partition(&name)?;
    done()
}

/// Removes a partition with its rows; dropping an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::PARTITION)?;
    let name = partition_name(&body)?;
    call.collection(&body)?.drop_partition(&name)?;
    done()
}

/// Live rows of a partition.
pub(super) fn get_stats(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::PARTITION)?;
    let name = partition_name(&body)?;
    let rows = call.collection(&body)?.count_partition(&name)?;
    Envelope::new(serde_json::json!({ "rowCount": rows })).into_bytes()
}

/// Notes that partitions are to be loaded. Reading them needs no load.
pub(super) fn load(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    set_loaded(call, true)
}

/// Notes that partitions are not needed for now.
pub(super) fn release(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    set_loaded(call, false)
}

fn set_loaded(call: &Call<'_>, loaded: bool) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::PARTITIONS)?;
    let names: Vec<String> = body.get_or_default("partitionNames")?;
    if names.is_empty() {
        return Err(body.missing("partitionNames"));
    }
    call.collection(&body)?.set_loaded(&names, loaded)?;
    done()
}

fn partition_name(body: &Object<'_>) -> Result<String, ApiError> {
    body.required_text("collectionName")?;
    body.required_text("partitionName")
}
