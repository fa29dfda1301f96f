//! Every method of the service that is here. Others are UNIMPLEMENTED, which clients do not try again.

use axum::http::StatusCode;
use bytes::Bytes;
use prost::Message;

use super::call::Call;
use super::status::{Answer, failure};
use super::{
    aliases, collections, compaction, databases, flush, hybrid, imports, indexes, loading, partitions, query,
    roles, search, statistics, system, users, weight, write,
};
use crate::app::App;
use crate::error::{ApiError, code};

/// A method.
pub(super) struct Rpc {
    /// Its name in the service.
    pub(super) name: &'static str,
    /// The call over REST that does the same, or would: metrics are kept under it.
    pub(super) path: &'static str,
    /// What it does, from the bytes of a message to those of its answer. Blocking.
    pub(super) run: fn(&Call<'_>, Bytes) -> Result<Answered, ApiError>,
    pub(super) place: Place,
}

/// Where a method does its work.
pub(super) enum Place {
    /// Where it was received, unless the message is large: it only looks at what is in memory, and waits for nothing.
    Here,
    /// On a thread that may wait for the disk.
    Blocking,
    /// The same, for what writes rows: only so many of these run at once, so that reads always can.
    Writing,
    /// The same, for what hashes a password: requests take turns.
    Hashing,
    /// Where the engine searches; or where it was received, when this says that it is too small to wake a thread for.
    Searching(fn(&App, &str, &Bytes) -> bool),
}

impl Rpc {
    const fn at(self, place: Place) -> Self {
        Self { place, ..self }
    }
}

/// The answer to a request.
pub(super) struct Answered {
    pub(super) bytes: Bytes,
    /// Whether what was asked for was done.
    pub(super) succeeded: bool,
}

/// The method of this name.
pub(super) fn find(name: &str) -> Option<&'static Rpc> {
    RPCS.iter().find(|rpc| rpc.name == name)
}

macro_rules! rpc {
    ($name:literal, $path:literal, $action:path) => {
        Rpc {
            name: $name,
            path: $path,
            run: |call, body| perform(call, &body, $action),
            place: Place::Blocking,
        }
    };
}

/// Decodes a message, has the work done, encodes the answer.
fn perform<Q: Message + Default, A: Answer>(
    call: &Call<'_>,
    body: &Bytes,
    action: impl Fn(&Call<'_>, Q) -> Result<A, ApiError>,
) -> Result<Answered, ApiError> {
    weight::check(body)?;
    let decode = || {
        let unreadable = |error| ApiError::invalid(format!("the message cannot be read: {error}"));
        Q::decode(body.clone()).map_err(unreadable)
    };
    let outcome = match action(call, decode()?) {
        // Fields came or went between reading the schema and using it: nothing has happened yet.
        Err(error) if error.code == code::SCHEMA_MISMATCH => action(call, decode()?),
        other => other,
    };
    let (answer, succeeded) = match outcome {
        Ok(answer) => (answer, true),
        // Who may not, or is not known, is told so by the transport, as in Milvus.
        Err(error) if error.status == StatusCode::FORBIDDEN => return Err(error),
        Err(error) => (A::with_status(failure(&error)), false),
    };
    Ok(Answered { bytes: answer.encode_to_vec().into(), succeeded })
}

/// The table.
#[rustfmt::skip] // One line each, to be read down the columns.
pub(super) static RPCS: &[Rpc] = &[
    rpc!("Connect", "system/connect", system::connect).at(Place::Here),
    rpc!("GetVersion", "system/version", system::get_version).at(Place::Here),
    rpc!("CheckHealth", "system/health", system::check_health),
    rpc!("GetComponentStates", "system/states", system::get_component_states).at(Place::Here),
    rpc!("GetMetrics", "system/metrics", system::get_metrics),
    rpc!("AllocTimestamp", "system/timestamp", system::alloc_timestamp).at(Place::Here),

    rpc!("CreateCollection", "collections/create", collections::create),
    rpc!("DropCollection", "collections/drop", collections::drop),
    rpc!("HasCollection", "collections/has", collections::has).at(Place::Here),
    rpc!("DescribeCollection", "collections/describe", collections::describe).at(Place::Here),
    rpc!("BatchDescribeCollection", "collections/describe", collections::describe_several),
    rpc!("ShowCollections", "collections/list", collections::show),
    rpc!("RenameCollection", "collections/rename", collections::rename),
    rpc!("TruncateCollection", "collections/truncate", collections::truncate),
    rpc!("AlterCollection", "collections/alter_properties", collections::alter),
    rpc!("AlterCollectionField", "collections/fields/alter_properties", collections::alter_field),
    rpc!("AddCollectionField", "collections/fields/add", collections::add_field),
    rpc!("AlterCollectionSchema", "collections/fields/add", collections::alter_schema),
    rpc!("GetCollectionStatistics", "collections/get_stats", statistics::of_collection),

    rpc!("LoadCollection", "collections/load", loading::load_collection),
    rpc!("ReleaseCollection", "collections/release", loading::release_collection),
    rpc!("LoadPartitions", "partitions/load", loading::load_partitions),
    rpc!("ReleasePartitions", "partitions/release", loading::release_partitions),
    rpc!("GetLoadState", "collections/get_load_state", loading::get_state).at(Place::Here),
    rpc!("GetLoadingProgress", "collections/get_load_state", loading::get_progress).at(Place::Here),

    rpc!("CreatePartition", "partitions/create", partitions::create),
    rpc!("DropPartition", "partitions/drop", partitions::drop),
    rpc!("HasPartition", "partitions/has", partitions::has).at(Place::Here),
    rpc!("ShowPartitions", "partitions/list", partitions::show).at(Place::Here),
    rpc!("GetPartitionStatistics", "partitions/get_stats", statistics::of_partition),

    rpc!("CreateAlias", "aliases/create", aliases::create),
    rpc!("AlterAlias", "aliases/alter", aliases::alter),
    rpc!("DropAlias", "aliases/drop", aliases::drop),
    rpc!("DescribeAlias", "aliases/describe", aliases::describe).at(Place::Here),
    rpc!("ListAliases", "aliases/list", aliases::list).at(Place::Here),

    rpc!("CreateDatabase", "databases/create", databases::create),
    rpc!("DropDatabase", "databases/drop", databases::drop),
    rpc!("ListDatabases", "databases/list", databases::list).at(Place::Here),
    rpc!("DescribeDatabase", "databases/describe", databases::describe).at(Place::Here),
    rpc!("AlterDatabase", "databases/alter", databases::alter),

    rpc!("CreateIndex", "indexes/create", indexes::create),
    rpc!("AlterIndex", "indexes/alter_properties", indexes::alter),
    rpc!("DropIndex", "indexes/drop", indexes::drop),
    rpc!("DescribeIndex", "indexes/describe", indexes::describe).at(Place::Here),
    rpc!("GetIndexStatistics", "indexes/describe", indexes::get_statistics),
    rpc!("GetIndexState", "indexes/describe", indexes::get_state).at(Place::Here),
    rpc!("GetIndexBuildProgress", "indexes/describe", indexes::get_build_progress).at(Place::Here),

    rpc!("Insert", "entities/insert", write::insert).at(Place::Writing),
    rpc!("Upsert", "entities/upsert", write::upsert).at(Place::Writing),
    rpc!("Delete", "entities/delete", write::delete).at(Place::Writing),
    rpc!("Search", "entities/search", search::search).at(Place::Searching(search::is_small)),
    rpc!("HybridSearch", "entities/hybrid_search", hybrid::hybrid_search).at(Place::Searching(|_, _, _| false)),
    rpc!("Query", "entities/query", query::query),

    rpc!("Flush", "collections/flush", flush::flush),
    rpc!("GetFlushState", "collections/flush", flush::get_state),
    rpc!("FlushAll", "collections/flush", flush::flush_all),
    rpc!("GetFlushAllState", "collections/flush", flush::get_all_state),
    rpc!("ManualCompaction", "collections/compact", compaction::compact),
    rpc!("GetCompactionState", "collections/get_compaction_state", compaction::get_state),
    rpc!("GetCompactionStateWithPlans", "collections/get_compaction_state", compaction::get_plans),
    rpc!("GetPersistentSegmentInfo", "segments/describe", statistics::of_segments),
    rpc!("GetQuerySegmentInfo", "segments/describe", statistics::of_query_segments),
    rpc!("GetReplicas", "segments/describe", statistics::of_replicas),

    rpc!("CreateCredential", "users/create", users::create).at(Place::Hashing),
    rpc!("UpdateCredential", "users/update_password", users::update).at(Place::Hashing),
    rpc!("DeleteCredential", "users/drop", users::drop),
    rpc!("ListCredUsers", "users/list", users::list),
    rpc!("SelectUser", "users/describe", users::select),
    rpc!("OperateUserRole", "users/grant_role", users::operate_role),
    rpc!("CreateRole", "roles/create", roles::create),
    rpc!("AlterRole", "roles/alter", roles::alter),
    rpc!("DropRole", "roles/drop", roles::drop),
    rpc!("SelectRole", "roles/describe", roles::select),
    rpc!("SelectGrant", "roles/describe", roles::select_grant),
    rpc!("OperatePrivilege", "roles/grant_privilege", roles::operate_privilege),
    rpc!("OperatePrivilegeV2", "roles/grant_privilege_v2", roles::operate_privilege_v2),
    rpc!("CreatePrivilegeGroup", "privilege_groups/create", roles::create_group),
    rpc!("DropPrivilegeGroup", "privilege_groups/drop", roles::drop_group),
    rpc!("ListPrivilegeGroups", "privilege_groups/list", roles::list_groups),
    rpc!("OperatePrivilegeGroup", "privilege_groups/add_privileges_to_group", roles::operate_group),

    rpc!("Import", "jobs/import/create", imports::create),
    rpc!("GetImportState", "jobs/import/describe", imports::get_state),
    rpc!("ListImportTasks", "jobs/import/list", imports::list),
    rpc!("RunAnalyzer", "common/run_analyzer", system::run_analyzer),
];
