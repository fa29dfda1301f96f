//! Milvus's REST API v2, as far as `server/COMPAT.md` says. Every route is a POST with a JSON body; answers have status
//! 200 and a code. A route is one [`Action`](call::Action): a blocking function from a request to the bytes of its
//! answer, for those who have the privilege that it [needs](permit::Need); [`call`] does what all have in common. Nothing here knows images.

mod call;
mod collections;
mod entities;
mod indexes;
mod json;
mod number;
mod permit;
mod privilege_groups;
mod roles;
mod users;

use std::sync::Arc;

use axum::Router;

use crate::app::App;
use crate::auth::Privilege as P;
use crate::reply;
use call::{Action, post};
use permit::{Need, on_cluster, on_collection, on_database, on_role, on_user};

/// Every route: its path below `/v2/vectordb`, what it does, and the privilege it takes.
const ACTIONS: [(&str, Action, Need); 43] = [
    ("collections/create", collections::create, on_database(P::CreateCollection)),
    ("collections/list", collections::list, on_database(P::ShowCollections)),
    ("collections/has", collections::has, on_collection(P::DescribeCollection)),
    ("collections/describe", collections::describe, on_collection(P::DescribeCollection)),
    ("collections/drop", collections::drop, on_collection(P::DropCollection)),
    ("collections/get_stats", collections::get_stats, on_collection(P::GetStatistics)),
    ("collections/get_load_state", collections::get_load_state, on_collection(P::GetLoadState)),
    ("collections/load", collections::load, on_collection(P::Load)),
    ("collections/release", collections::release, on_collection(P::Release)),
    ("collections/flush", collections::flush, on_collection(P::Flush)),
    ("entities/insert", entities::insert, on_collection(P::Insert)),
    ("entities/upsert", entities::upsert, on_collection(P::Upsert)),
    ("entities/get", entities::get, on_collection(P::Query)),
    ("entities/query", entities::query, on_collection(P::Query)),
    ("entities/search", entities::search, on_collection(P::Search)),
    ("entities/hybrid_search", entities::hybrid_search, on_collection(P::Search)),
    ("entities/advanced_search", entities::hybrid_search, on_collection(P::Search)),
    ("entities/delete", entities::delete, on_collection(P::Delete)),
    ("indexes/list", indexes::list, on_collection(P::IndexDetail)),
    ("indexes/describe", indexes::describe, on_collection(P::IndexDetail)),
    ("indexes/create", indexes::create, on_collection(P::CreateIndex)),
    ("indexes/drop", indexes::drop, on_collection(P::DropIndex)),
    ("users/list", users::list, on_cluster(P::SelectOwnership)),
    ("users/describe", users::describe, on_user(P::SelectUser)),
    ("users/create", users::create, on_cluster(P::CreateOwnership)),
    ("users/update_password", users::update_password, on_user(P::UpdateUser)),
    ("users/drop", users::drop, on_cluster(P::DropOwnership)),
    ("users/grant_role", users::grant_role, on_cluster(P::ManageOwnership)),
    ("users/revoke_role", users::revoke_role, on_cluster(P::ManageOwnership)),
    ("roles/list", roles::list, on_cluster(P::SelectOwnership)),
    ("roles/describe", roles::describe, on_role(P::SelectOwnership)),
    ("roles/create", roles::create, on_cluster(P::CreateOwnership)),
    ("roles/alter", roles::alter, on_cluster(P::ManageOwnership)),
    ("roles/drop", roles::drop, on_cluster(P::DropOwnership)),
    ("roles/grant_privilege", roles::grant_privilege, on_cluster(P::ManageOwnership)),
    ("roles/revoke_privilege", roles::revoke_privilege, on_cluster(P::ManageOwnership)),
    ("roles/grant_privilege_v2", roles::grant_privilege_v2, on_cluster(P::ManageOwnership)),
    ("roles/revoke_privilege_v2", roles::revoke_privilege_v2, on_cluster(P::ManageOwnership)),
    ("privilege_groups/list", privilege_groups::list, on_cluster(P::ListPrivilegeGroups)),
    ("privilege_groups/create", privilege_groups::create, on_cluster(P::CreatePrivilegeGroup)),
    ("privilege_groups/drop", privilege_groups::drop, on_cluster(P::DropPrivilegeGroup)),
    ("privilege_groups/add_privileges_to_group", privilege_groups::add, on_cluster(P::OperatePrivilegeGroup)),
    (
        "privilege_groups/remove_privileges_from_group",
        privilege_groups::remove,
        on_cluster(P::OperatePrivilegeGroup),
    ),
];

/// Routes of this room. Other methods on them are unknown paths, as in Milvus.
pub(crate) fn routes() -> Router<Arc<App>> {
    let routes = ACTIONS.into_iter().fold(Router::new(), |router, (path, action, need)| {
        router.route(&format!("/v2/vectordb/{path}"), post(action, need))
    });
    routes.method_not_allowed_fallback(reply::no_such_page)
}
