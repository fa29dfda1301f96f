//! Named parts of a collection. Numbers of partitions are unique in their collection only.

use super::call::Call;
use super::common::Status;
use super::messages;
use super::status::success;
use super::time;
use crate::auth::Privilege as P;
use crate::error::ApiError;

/// Adds a partition; one that is there stays as it is.
pub(super) fn create(call: &Call<'_>, request: messages::CreatePartitionRequest) -> Result<Status, ApiError> {
    let collection = call.collection(P::CreatePartition, &request.db_name, &request.collection_name)?;
    collection.create_partition(&request.partition_name)?;
    Ok(success())
}

/// Removes a partition with its rows; dropping an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>, request: messages::DropPartitionRequest) -> Result<Status, ApiError> {
    let collection = call.collection(P::DropPartition, &request.db_name, &request.collection_name)?;
    collection.drop_partition(&request.partition_name)?;
    Ok(success())
}

/// Whether there is a partition.
pub(super) fn has(
    call: &Call<'_>,
    request: messages::HasPartitionRequest,
) -> Result<messages::BoolResponse, ApiError> {
    let collection = call.collection(P::HasPartition, &request.db_name, &request.collection_name)?;
    let value = collection.partitions().iter().any(|partition| partition.name == request.partition_name);
    Ok(messages::BoolResponse { status: Some(success()), value })
}

/// The partitions, the default one first; only those that are loaded, and of these only those that are named, if that
/// is asked for.
#[expect(deprecated, reason = "clients of Milvus 2.2 look here for what is loaded")]
pub(super) fn show(
    call: &Call<'_>,
    request: messages::ShowPartitionsRequest,
) -> Result<messages::ShowPartitionsResponse, ApiError> {
    let collection = call.collection_or_number(
        P::ShowPartitions,
        &request.db_name,
        &request.collection_name,
        request.collection_id,
    )?;
    let mut partitions = collection.partitions();
    if request.r#type() == messages::ShowType::InMemory {
        let names = &request.partition_names;
        partitions.retain(|found| found.loaded && (names.is_empty() || names.contains(&found.name)));
    }
    let created: Vec<u64> = partitions.iter().map(|partition| partition.created_ms).collect();
    Ok(messages::ShowPartitionsResponse {
        status: Some(success()),
        partition_i_ds: partitions.iter().map(|partition| partition.id.into()).collect(),
        created_timestamps: created.iter().map(|&ms| time::of_ms(ms)).collect(),
        created_utc_timestamps: created,
        in_memory_percentages: partitions.iter().map(|found| if found.loaded { 100 } else { 0 }).collect(),
        partition_names: partitions.into_iter().map(|partition| partition.name).collect(),
    })
}
