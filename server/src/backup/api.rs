//! `POST /backup` and `POST /restore` on the admin port. They name paths of the server's machine, so they are only taken
//! where the admin port is reachable from that machine alone, or for paths below `backup_root`; and never from a web
//! page, which can't send the header that they ask for. With authorization on it takes a user who may do everything.

use std::path::{Component, Path};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Json, State};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::response::Response;
use axum::routing::post;

use super::{BackupRequest, RestoreRequest, make, restore_collection};
use crate::app::{App, blocking};
use crate::auth::Credentials;
use crate::error::ApiError;
use crate::reply;

/// A header that browsers only send across sites after asking, which is refused here.
pub(crate) const ADMIN_HEADER: &str = "x-elanus-admin";

/// Routes of the admin port; `app` is the server once it is open.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>(app: fn(&S) -> Option<Arc<App>>) -> Router<S> {
    let backup = move |State(state): State<S>, headers: HeaderMap, Json(request): Json<BackupRequest>| async move {
        answer(backup(app(&state), &headers, request).await)
    };
    let restore = move |State(state): State<S>, headers: HeaderMap, Json(request): Json<RestoreRequest>| async move {
        answer(restore(app(&state), &headers, request).await)
    };
    Router::new().route("/backup", post(backup)).route("/restore", post(restore))
}

fn answer(outcome: Result<serde_json::Value, ApiError>) -> Response {
    match outcome {
        Ok(value) => reply::own_data(value),
        Err(error) => reply::own_error(error),
    }
}

async fn backup(
    app: Option<Arc<App>>,
    headers: &HeaderMap,
    request: BackupRequest,
) -> Result<serde_json::Value, ApiError> {
    let app = allowed(app, headers, &request.target).await?;
    let info = blocking(move || make(&app.engine, &app.images, &app.config.data, &request.target)).await?;
    serde_json::to_value(info).map_err(|e| ApiError::internal(e.to_string()))
}

async fn restore(
    app: Option<Arc<App>>,
    headers: &HeaderMap,
    request: RestoreRequest,
) -> Result<serde_json::Value, ApiError> {
    let app = allowed(app, headers, &request.source).await?;
    let name = request.new_name.unwrap_or_else(|| request.collection.clone());
    let restored = name.clone();
    let rows = blocking(move || {
        let (source, collection) = (&request.source, &request.collection);
        restore_collection(&app.engine, &app.images, &app.config.data, source, collection, &restored)
    });
    Ok(serde_json::json!({"collection": name, "rows": rows.await?}))
}

/// The server, if it is open, who asks may see all it holds, and this request may name this path.
async fn allowed(app: Option<Arc<App>>, headers: &HeaderMap, path: &Path) -> Result<Arc<App>, ApiError> {
    let app = app.ok_or_else(|| ApiError::unavailable("the server is loading"))?;
    if !headers.contains_key(ADMIN_HEADER) || !names_an_address(headers) {
        return Err(ApiError::forbidden(format!("this needs the header {ADMIN_HEADER} and no host name")));
    }
    let asker = app.auth.authenticate(Credentials::of_headers(headers), None).await?;
    if !app.auth.is_superuser(&asker) {
        return Err(ApiError::forbidden("this takes root, or a user with the role admin"));
    }
    let plain = path.components().all(|part| !matches!(part, Component::ParentDir | Component::CurDir));
    // Where it really leads, links followed, as far as it is there.
    let real = path.ancestors().find_map(|path| path.canonicalize().ok()).unwrap_or_default();
    let root = app.config.backup_root.as_ref().and_then(|root| root.canonicalize().ok());
    let below_root = plain && root.is_some_and(|root| real.starts_with(root));
    if app.config.admin_listen.ip().is_loopback() || below_root {
        return Ok(app);
    }
    Err(ApiError::forbidden(
        "the admin port is open to other machines: only paths below backup_root of the configuration are taken",
    ))
}

/// Whether the request was sent to an address or to localhost: a page that gave its own name this machine's address
/// would say that name.
fn names_an_address(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
}
