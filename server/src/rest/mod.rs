//! Milvus's REST API v2, as far as `server/COMPAT.md` says. Every route is a POST with a JSON body; answers have status
//! 200 and a code. A route is one [`Action`](call::Action): a blocking function from a request to the bytes of its
//! answer, for those who have the privilege that it [needs](permit::Need); [`routes`](self) lists them all, [`spec`]
//! says what they take and answer, [`call`] does what they have in common. Nothing here knows images.

mod aliases;
mod analyzer;
mod call;
mod collections;
mod databases;
mod entities;
mod float;
mod imports;
mod indexes;
mod partitions;
mod permit;
mod privilege_groups;
mod roles;
mod routes;
pub(crate) mod spec;
mod unimplemented;
mod users;

use std::sync::Arc;

use axum::Router;

use crate::app::App;
use crate::reply;
/// The rules for rows, for whoever else takes rows from outside.
pub(crate) use entities::RowReader;

use call::post;
use routes::ROUTES;

/// Routes of this room. Other methods on them are unknown paths, as in Milvus.
pub(crate) fn routes() -> Router<Arc<App>> {
    let routes = ROUTES.iter().fold(spec::routes(), |router, route| {
        router.route(&format!("/v2/vectordb/{}", route.path), post(route))
    });
    routes.method_not_allowed_fallback(reply::no_such_page)
}
