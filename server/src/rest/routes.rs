//! Every route of Milvus's REST API v2 that is here: its path below `/v2/vectordb`, what it does, the privilege that it
//! takes, and what clients are told of it.

use super::call::Action;
use super::permit::{Need, on_alias, on_cluster, on_collection, on_database, on_import, on_role, on_user};
use super::spec::{self, Spec};
use super::{
    aliases, analyzer, collections, databases, entities, imports, indexes, partitions, privilege_groups,
    roles, unimplemented, users,
};
use crate::auth::Privilege as P;

/// A route.
pub(super) struct Route {
    /// Its path below `/v2/vectordb`.
    pub(super) path: &'static str,
    /// What it does.
    pub(super) action: Action,
    /// The privilege that it takes.
    pub(super) need: Need,
    /// What it takes and answers.
    pub(super) spec: &'static Spec,
    /// Whether it hashes a password, for which requests take turns.
    pub(super) hashes: bool,
    /// Whether it is above all a search: it runs where the engine searches.
    pub(super) searches: bool,
    /// Whether it writes rows: only so many of these run at once, so that reads always can.
    pub(super) writes: bool,
}

impl Route {
    /// The first part of its path: what it is about.
    pub(super) fn group(&self) -> &'static str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// A name of its own that is a word.
    pub(super) fn id(&self) -> String {
        self.path.replace('/', "_")
    }

    /// The same, which hashes a password.
    const fn hashing(self) -> Self {
        Self { hashes: true, ..self }
    }

    /// The same, which searches.
    const fn searching(self) -> Self {
        Self { searches: true, ..self }
    }

    /// The same, which writes rows.
    const fn writing(self) -> Self {
        Self { writes: true, ..self }
    }
}

const fn route(path: &'static str, action: Action, need: Need, spec: &'static Spec) -> Route {
    Route { path, action, need, spec, hashes: false, searches: false, writes: false }
}

/// The table.
#[rustfmt::skip] // One line each, to be read down the columns.
pub(super) static ROUTES: &[Route] = &[
    route("collections/create", collections::create, on_database(P::CreateCollection), &spec::collections::CREATE),
    route("collections/list", collections::list, on_database(P::ShowCollections), &spec::collections::LIST),
    route("collections/has", collections::has, on_collection(P::DescribeCollection), &spec::collections::HAS),
    route("collections/describe", collections::describe, on_collection(P::DescribeCollection), &spec::collections::DESCRIBE),
    route("collections/drop", collections::drop, on_collection(P::DropCollection), &spec::collections::DROP),
    route("collections/truncate", collections::truncate, on_collection(P::DropCollection), &spec::collections::TRUNCATE),
    route("collections/rename", collections::rename, on_cluster(P::RenameCollection), &spec::collections::RENAME_IT),
    route("collections/get_stats", collections::get_stats, on_collection(P::GetStatistics), &spec::collections::STATS),
    route("collections/get_load_state", collections::get_load_state, on_collection(P::GetLoadState), &spec::collections::LOAD_STATE),
    route("collections/load", collections::load, on_collection(P::Load), &spec::collections::LOAD),
    route("collections/refresh_load", collections::load, on_collection(P::Load), &spec::collections::LOAD),
    route("collections/release", collections::release, on_collection(P::Release), &spec::collections::RELEASE),
    route("collections/flush", collections::flush, on_collection(P::Flush), &spec::collections::FLUSH),
    route("collections/compact", collections::compact, on_collection(P::Compaction), &spec::collections::COMPACT_IT),
    route("collections/get_compaction_state", collections::get_compaction_state, on_cluster(P::Compaction), &spec::collections::COMPACTION),
    route("collections/alter_properties", collections::alter_properties, on_collection(P::AddCollectionField), &spec::collections::ALTER_PROPERTIES),
    route("collections/drop_properties", collections::drop_properties, on_collection(P::AddCollectionField), &spec::collections::DROP_PROPERTIES),
    route("collections/fields/add", collections::add_field, on_collection(P::AddCollectionField), &spec::fields::ADD),
    route("collections/fields/drop", collections::drop_field, on_collection(P::AddCollectionField), &spec::fields::DROP),
    route("collections/fields/alter_properties", collections::alter_field_properties, on_collection(P::AddCollectionField), &spec::fields::ALTER_PROPERTIES),
    route("collections/add_function", collections::add_function, on_collection(P::AddCollectionField), &spec::fields::FUNCTIONS),
    route("collections/alter_function", collections::add_function, on_collection(P::AddCollectionField), &spec::fields::FUNCTIONS),
    route("collections/drop_function", collections::add_function, on_collection(P::AddCollectionField), &spec::fields::FUNCTIONS),
    route("collections/add_function_field", collections::add_function, on_collection(P::AddCollectionField), &spec::fields::FUNCTIONS),
    route("collections/drop_function_field", collections::add_function, on_collection(P::AddCollectionField), &spec::fields::FUNCTIONS),
    route("collections/struct_fields/add", unimplemented::refuse, on_collection(P::AddCollectionField), &spec::unimplemented::REFUSED),
    route("entities/insert", entities::insert, on_collection(P::Insert), &spec::entities::INSERT).writing(),
    route("entities/upsert", entities::upsert, on_collection(P::Upsert), &spec::entities::UPSERT).writing(),
    route("entities/get", entities::get, on_collection(P::Query), &spec::entities::GET),
    route("entities/query", entities::query, on_collection(P::Query), &spec::entities::QUERY_IT),
    route("entities/search", entities::search, on_collection(P::Search), &spec::entities::SEARCH_IT).searching(),
    route("entities/hybrid_search", entities::hybrid_search, on_collection(P::Search), &spec::entities::HYBRID).searching(),
    route("entities/advanced_search", entities::hybrid_search, on_collection(P::Search), &spec::entities::HYBRID).searching(),
    route("entities/delete", entities::delete, on_collection(P::Delete), &spec::entities::DELETE).writing(),
    route("indexes/list", indexes::list, on_collection(P::IndexDetail), &spec::indexes::LIST),
    route("indexes/describe", indexes::describe, on_collection(P::IndexDetail), &spec::indexes::DESCRIBE),
    route("indexes/create", indexes::create, on_collection(P::CreateIndex), &spec::indexes::CREATE),
    route("indexes/drop", indexes::drop, on_collection(P::DropIndex), &spec::indexes::DROP),
    route("indexes/alter_properties", indexes::alter_properties, on_collection(P::CreateIndex), &spec::indexes::ALTER_PROPERTIES),
    route("indexes/drop_properties", indexes::drop_properties, on_collection(P::CreateIndex), &spec::indexes::DROP_PROPERTIES),
    route("partitions/list", partitions::list, on_collection(P::ShowPartitions), &spec::partitions::LIST),
    route("partitions/has", partitions::has, on_collection(P::HasPartition), &spec::partitions::HAS),
    route("partitions/create", partitions::create, on_collection(P::CreatePartition), &spec::partitions::CREATE),
    route("partitions/drop", partitions::drop, on_collection(P::DropPartition), &spec::partitions::DROP),
    route("partitions/get_stats", partitions::get_stats, on_collection(P::GetStatistics), &spec::partitions::STATS),
    route("partitions/load", partitions::load, on_collection(P::Load), &spec::partitions::LOAD),
    route("partitions/release", partitions::release, on_collection(P::Release), &spec::partitions::RELEASE),
    route("aliases/list", aliases::list, on_collection(P::ListAliases), &spec::aliases::LIST),
    route("aliases/describe", aliases::describe, on_database(P::DescribeAlias), &spec::aliases::DESCRIBE),
    route("aliases/create", aliases::create, on_collection(P::CreateAlias), &spec::aliases::CREATE),
    route("aliases/alter", aliases::alter, on_alias(P::CreateAlias), &spec::aliases::ALTER),
    route("aliases/drop", aliases::drop, on_database(P::DropAlias), &spec::aliases::DROP),
    route("databases/list", databases::list, on_cluster(P::ListDatabases), &spec::databases::LIST),
    route("databases/describe", databases::describe, on_database(P::DescribeDatabase), &spec::databases::DESCRIBE),
    route("databases/create", databases::create, on_cluster(P::CreateDatabase), &spec::databases::CREATE),
    route("databases/drop", databases::drop, on_cluster(P::DropDatabase), &spec::databases::DROP),
    route("databases/alter", databases::alter, on_database(P::AlterDatabase), &spec::databases::ALTER),
    route("databases/alter_properties", databases::alter, on_database(P::AlterDatabase), &spec::databases::ALTER),
    route("databases/drop_properties", databases::drop_properties, on_database(P::AlterDatabase), &spec::databases::DROP_PROPERTIES),
    route("users/list", users::list, on_cluster(P::SelectOwnership), &spec::users::LIST),
    route("users/describe", users::describe, on_user(P::SelectUser), &spec::users::DESCRIBE),
    route("users/create", users::create, on_cluster(P::CreateOwnership), &spec::users::CREATE).hashing(),
    route("users/update_password", users::update_password, on_user(P::UpdateUser), &spec::users::UPDATE_PASSWORD).hashing(),
    route("users/drop", users::drop, on_cluster(P::DropOwnership), &spec::users::DROP),
    route("users/grant_role", users::grant_role, on_cluster(P::ManageOwnership), &spec::users::GRANT_ROLE),
    route("users/revoke_role", users::revoke_role, on_cluster(P::ManageOwnership), &spec::users::REVOKE_ROLE),
    route("roles/list", roles::list, on_cluster(P::SelectOwnership), &spec::roles::LIST),
    route("roles/describe", roles::describe, on_role(P::SelectOwnership), &spec::roles::DESCRIBE),
    route("roles/create", roles::create, on_cluster(P::CreateOwnership), &spec::roles::CREATE),
    route("roles/alter", roles::alter, on_cluster(P::ManageOwnership), &spec::roles::ALTER),
    route("roles/drop", roles::drop, on_cluster(P::DropOwnership), &spec::roles::DROP),
    route("roles/grant_privilege", roles::grant_privilege, on_cluster(P::ManageOwnership), &spec::roles::GRANT_PRIVILEGE),
    route("roles/revoke_privilege", roles::revoke_privilege, on_cluster(P::ManageOwnership), &spec::roles::REVOKE_PRIVILEGE),
    route("roles/grant_privilege_v2", roles::grant_privilege_v2, on_cluster(P::ManageOwnership), &spec::roles::GRANT_PRIVILEGE_V2),
    route("roles/revoke_privilege_v2", roles::revoke_privilege_v2, on_cluster(P::ManageOwnership), &spec::roles::REVOKE_PRIVILEGE_V2),
    route("privilege_groups/list", privilege_groups::list, on_cluster(P::ListPrivilegeGroups), &spec::privileges::LIST),
    route("privilege_groups/create", privilege_groups::create, on_cluster(P::CreatePrivilegeGroup), &spec::privileges::CREATE),
    route("privilege_groups/drop", privilege_groups::drop, on_cluster(P::DropPrivilegeGroup), &spec::privileges::DROP),
    route("privilege_groups/add_privileges_to_group", privilege_groups::add, on_cluster(P::OperatePrivilegeGroup), &spec::privileges::ADD),
    route("privilege_groups/remove_privileges_from_group", privilege_groups::remove, on_cluster(P::OperatePrivilegeGroup), &spec::privileges::REMOVE),
    route("jobs/import/create", imports::create, on_collection(P::Import), &spec::jobs::CREATE),
    route("jobs/import/list", imports::list, on_collection(P::Import), &spec::jobs::LIST),
    route("jobs/import/describe", imports::describe, on_import(P::Import), &spec::jobs::DESCRIBE),
    route("jobs/import/get_progress", imports::describe, on_import(P::Import), &spec::jobs::DESCRIBE),
    route("jobs/import/commit", imports::commit, on_import(P::Import), &spec::jobs::COMMIT),
    route("jobs/import/abort", imports::abort, on_import(P::Import), &spec::jobs::ABORT),
    route("common/run_analyzer", analyzer::run, on_cluster(P::RunAnalyzer), &spec::analyzer::RUN),
    route("jobs/snapshot/create", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("jobs/snapshot/drop", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("jobs/snapshot/list", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("jobs/snapshot/describe", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("jobs/snapshot/restore", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("jobs/external_collection/refresh", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("jobs/external_collection/list", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("jobs/external_collection/describe", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("resource_groups/list", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("resource_groups/create", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("resource_groups/drop", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("resource_groups/describe", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("resource_groups/alter", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("resource_groups/transfer_replica", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("segments/describe", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("quotacenter/describe", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("file_resources/add", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("file_resources/list", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
    route("file_resources/remove", unimplemented::refuse, on_cluster(P::ListResourceGroups), &spec::unimplemented::REFUSED),
];
