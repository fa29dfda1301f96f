//! Numbers of rows, and which segments hold them. A segment holds rows of any partition; there is one replica of each
//! collection, on this one node.

use elanus_engine::Collection;
use elanus_engine::segment::SegmentView;

use super::call::Call;
use super::common::{KeyValuePair, SegmentLevel, SegmentState};
use super::params::pair;
use super::status::success;
use super::{indexes, messages};
use crate::auth::Privilege as P;
use crate::error::ApiError;

/// The number of this node.
pub(super) const NODE: i64 = 1;
/// The group that every node of Milvus is in at first.
const RESOURCE_GROUP: &str = "__default_resource_group";
/// The partition of segments: the default one, as none is theirs.
const PARTITION: i64 = 0;

/// Number of live rows.
pub(super) fn of_collection(
    call: &Call<'_>,
    request: messages::GetCollectionStatisticsRequest,
) -> Result<messages::GetCollectionStatisticsResponse, ApiError> {
    let collection = call.collection(P::GetStatistics, &request.db_name, &request.collection_name)?;
    Ok(messages::GetCollectionStatisticsResponse {
        status: Some(success()),
        stats: row_count(collection.count()),
    })
}

/// Number of live rows of a partition.
pub(super) fn of_partition(
    call: &Call<'_>,
    request: messages::GetPartitionStatisticsRequest,
) -> Result<messages::GetPartitionStatisticsResponse, ApiError> {
    let collection = call.collection(P::GetStatistics, &request.db_name, &request.collection_name)?;
    let rows = collection.count_partition(&request.partition_name)?;
    Ok(messages::GetPartitionStatisticsResponse { status: Some(success()), stats: row_count(rows) })
}

fn row_count(rows: u64) -> Vec<KeyValuePair> {
    vec![pair("row_count", rows.to_string())]
}

/// Segments as they are stored: in files, or still in the log. Rows that are dead and not yet away are counted.
pub(super) fn of_segments(
    call: &Call<'_>,
    request: messages::GetPersistentSegmentInfoRequest,
) -> Result<messages::GetPersistentSegmentInfoResponse, ApiError> {
    let collection = call.collection(P::GetStatistics, &request.db_name, &request.collection_name)?;
    let info = |view: &SegmentView| messages::PersistentSegmentInfo {
        segment_id: view.segment.id() as i64,
        collection_id: collection.id() as i64,
        partition_id: PARTITION,
        num_rows: view.segment.rows() as i64,
        state: state(view, SegmentState::Flushed).into(),
        level: SegmentLevel::L1.into(),
        ..messages::PersistentSegmentInfo::default()
    };
    let mut infos: Vec<_> = collection.snapshot().views().iter().map(info).collect();
    if !request.states.is_empty() {
        infos.retain(|info| request.states.contains(&info.state));
    }
    Ok(messages::GetPersistentSegmentInfoResponse { status: Some(success()), infos })
}

/// Segments as they are in memory. The index named is that of the first vector field that has one.
#[expect(deprecated, reason = "clients of Milvus 2.1 look here for the node")]
pub(super) fn of_query_segments(
    call: &Call<'_>,
    request: messages::GetQuerySegmentInfoRequest,
) -> Result<messages::GetQuerySegmentInfoResponse, ApiError> {
    let collection = call.collection(P::GetStatistics, &request.db_name, &request.collection_name)?;
    let (index_name, index_id) = index(&collection);
    let info = |view: &SegmentView| messages::QuerySegmentInfo {
        segment_id: view.segment.id() as i64,
        collection_id: collection.id() as i64,
        partition_id: PARTITION,
        mem_size: view.segment.bytes() as i64,
        num_rows: view.segment.rows() as i64,
        index_name: index_name.clone(),
        index_id,
        node_id: NODE,
        state: state(view, SegmentState::Sealed).into(),
        node_ids: vec![NODE],
        level: SegmentLevel::L1.into(),
        is_sorted: false,
        storage_version: 0,
    };
    let infos = collection.snapshot().views().iter().map(info).collect();
    Ok(messages::GetQuerySegmentInfoResponse { status: Some(success()), infos })
}

/// The state of a segment: `sealed` when it is in a file.
fn state(view: &SegmentView, sealed: SegmentState) -> SegmentState {
    if view.segment.is_sealed() { sealed } else { SegmentState::Growing }
}

/// Name and number of the index on the first vector field that has one.
fn index(collection: &Collection) -> (String, i64) {
    let mut indexes = collection.definition().indexes.clone().into_iter();
    let found = indexes.find(|index| index.metric.is_some());
    found.map_or_else(Default::default, |index| {
        let number = indexes::number(collection, &index);
        (index.name, number)
    })
}

/// The replicas of a collection: one when it is loaded, else none.
pub(super) fn of_replicas(
    call: &Call<'_>,
    request: messages::GetReplicasRequest,
) -> Result<messages::GetReplicasResponse, ApiError> {
    let collection = call.collection_or_number(
        P::GetStatistics,
        &request.db_name,
        &request.collection_name,
        request.collection_id,
    )?;
    let (id, definition) = (collection.id() as i64, collection.definition());
    let shard = |number: u32| messages::ShardReplica {
        leader_id: NODE,
        leader_addr: String::new(),
        dm_channel_name: format!("by-dev-rootcoord-dml_{number}_{id}v0"),
        node_ids: if request.with_shard_nodes { vec![NODE] } else { Vec::new() },
    };
    let loaded = definition.partitions().into_iter().filter(|partition| partition.loaded);
    let replica = messages::ReplicaInfo {
        replica_id: id,
        collection_id: id,
        partition_ids: loaded.map(|partition| partition.id.into()).collect(),
        shard_replicas: (0..definition.shards).map(shard).collect(),
        node_ids: vec![NODE],
        resource_group_name: RESOURCE_GROUP.to_owned(),
        ..messages::ReplicaInfo::default()
    };
    let replicas = if replica.partition_ids.is_empty() { Vec::new() } else { vec![replica] };
    Ok(messages::GetReplicasResponse { status: Some(success()), replicas })
}
