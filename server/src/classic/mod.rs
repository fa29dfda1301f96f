//! The calls of two older image-search servers under their old names, so that their clients and pages work unchanged:
//! `/api/v1/...` answers with plain text and lists of pairs, `/img/...` with JSON values. They do what the image API
//! does, through the same functions. `COMPAT.md` beside this crate lists what differs on purpose: folders only
//! below the operator's roots, images by id only, no outgoing requests, and wrong input is a 4xx.

mod answer;
mod api_v1;
mod img;
mod table;

use std::sync::Arc;

use axum::Router;

use crate::app::App;

/// The routes of both.
pub fn routes() -> Router<Arc<App>> {
    api_v1::routes().merge(img::routes())
}
