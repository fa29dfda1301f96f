//! Milvus's REST API v2, as far as `server/COMPAT.md` says. Every route is a POST with a JSON body; answers have status
//! 200 and a code. A route is one [`Action`](call::Action): a blocking function from a request to the bytes of its
//! answer; [`call`] does what all have in common. Nothing here knows images.

mod aliases;
mod call;
mod collections;
mod databases;
mod entities;
mod imports;
mod indexes;
mod json;
mod number;
mod partitions;
mod unimplemented;

use std::sync::Arc;

use axum::Router;

use crate::app::App;
use crate::reply;
use call::{Action, post};
/// The rules for rows, for whoever else takes rows from outside.
pub(crate) use entities::RowReader;

/// Every route: its path below `/v2/vectordb` and what it does.
const ACTIONS: [(&str, Action); 76] = [
    ("collections/create", collections::create),
    ("collections/list", collections::list),
    ("collections/has", collections::has),
    ("collections/describe", collections::describe),
    ("collections/drop", collections::drop),
    ("collections/truncate", collections::truncate),
    ("collections/rename", collections::rename),
    ("collections/get_stats", collections::get_stats),
    ("collections/get_load_state", collections::get_load_state),
    ("collections/load", collections::load),
    ("collections/refresh_load", collections::load),
    ("collections/release", collections::release),
    ("collections/flush", collections::flush),
    ("collections/compact", collections::compact),
    ("collections/get_compaction_state", collections::get_compaction_state),
    ("collections/alter_properties", collections::alter_properties),
    ("collections/drop_properties", collections::drop_properties),
    ("collections/fields/add", collections::add_field),
    ("collections/fields/drop", collections::drop_field),
    ("collections/fields/alter_properties", collections::alter_field_properties),
    ("collections/add_function", collections::add_function),
    ("collections/alter_function", collections::add_function),
    ("collections/drop_function", collections::add_function),
    ("collections/add_function_field", collections::add_function),
    ("collections/drop_function_field", collections::add_function),
    ("collections/struct_fields/add", unimplemented::refuse),
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
    ("indexes/alter_properties", indexes::alter_properties),
    ("indexes/drop_properties", indexes::drop_properties),
    ("partitions/list", partitions::list),
    ("partitions/has", partitions::has),
    ("partitions/create", partitions::create),
    ("partitions/drop", partitions::drop),
    ("partitions/get_stats", partitions::get_stats),
    ("partitions/load", partitions::load),
    ("partitions/release", partitions::release),
    ("aliases/list", aliases::list),
    ("aliases/describe", aliases::describe),
    ("aliases/create", aliases::create),
    ("aliases/alter", aliases::alter),
    ("aliases/drop", aliases::drop),
    ("databases/list", databases::list),
    ("databases/describe", databases::describe),
    ("databases/create", databases::create),
    ("databases/drop", databases::drop),
    ("databases/alter", databases::alter),
    ("databases/alter_properties", databases::alter),
    ("databases/drop_properties", databases::drop_properties),
    ("jobs/import/create", imports::create),
    ("jobs/import/list", imports::list),
    ("jobs/import/describe", imports::describe),
    ("jobs/import/get_progress", imports::describe),
    ("jobs/import/commit", imports::commit),
    ("jobs/import/abort", imports::abort),
    ("resource_groups/list", unimplemented::refuse),
    ("resource_groups/create", unimplemented::refuse),
    ("resource_groups/drop", unimplemented::refuse),
    ("resource_groups/describe", unimplemented::refuse),
    ("resource_groups/alter", unimplemented::refuse),
    ("resource_groups/transfer_replica", unimplemented::refuse),
    ("segments/describe", unimplemented::refuse),
    ("quotacenter/describe", unimplemented::refuse),
    ("file_resources/add", unimplemented::refuse),
    ("file_resources/list", unimplemented::refuse),
    ("file_resources/remove", unimplemented::refuse),
];

/// Routes of this room. Other methods on them are unknown paths, as in Milvus.
pub(crate) fn routes() -> Router<Arc<App>> {
    let routes = ACTIONS.into_iter().fold(Router::new(), |router, (path, action)| {
        router.route(&format!("/v2/vectordb/{path}"), post(action))
    });
    routes.method_not_allowed_fallback(reply::no_such_page)
}
