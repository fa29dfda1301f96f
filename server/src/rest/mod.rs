//! Milvus's REST API v2, as far as `server/COMPAT.md` says. Every route is a POST with a JSON body; answers have status
//! 200 and a code. A route is one [`Action`](call::Action): a blocking function from a request to the bytes of its
//! answer; [`call`] does what all have in common. Nothing here knows images.

mod call;
mod collections;
mod entities;
mod indexes;
mod json;
mod number;

use std::sync::Arc;

use axum::Router;

use crate::app::App;
use crate::reply;
use call::{Action, post};

/// Every route: its path below `/v2/vectordb` and what it does.
const ACTIONS: [(&str, Action); 22] = [
    ("collections/create", collections::create),
    ("collections/list", collections::list),
    ("collections/has", collections::has),
    ("collections/describe", collections::describe),
    ("collections/drop", collections::drop),
    ("collections/get_stats", collections::get_stats),
    ("collections/get_load_state", collections::get_load_state),
    ("collections/load", collections::load),
    ("collections/release", collections::release),
    ("collections/flush", collections::flush),
    ("entities/insert", entities::insert),
    ("entities/upsert", entities::upsert),
    ("entities/get", entities::get),
    ("entities/query", entities::query),
    ("entities/search", entities::search),
    ("entities/hybrid_search", entities::hybrid_search),
    ("entities/advanced_search", entities::hybrid_search),
    ("entities/delete", entities::delete),
    ("indexes/list", indexes::list),
    ("indexes/describe", indexes::describe),
    ("indexes/create", indexes::create),
    ("indexes/drop", indexes::drop),
];

/// Routes of this room. Other methods on them are unknown paths, as in Milvus.
pub(crate) fn routes() -> Router<Arc<App>> {
    let routes = ACTIONS.into_iter().fold(Router::new(), |router, (path, action)| {
        router.route(&format!("/v2/vectordb/{path}"), post(action))
    });
    routes.method_not_allowed_fallback(reply::no_such_page)
}
