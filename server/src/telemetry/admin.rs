//! The admin port: metrics for Prometheus, health in Milvus's form, backups. It answers from the first moment, also while
//! the data directory is still being opened.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::app::{App, blocking};
use crate::error::ApiError;
use crate::reply;

/// The server as the admin port knows it: nothing while it starts, then the app.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health {
    app: Arc<OnceLock<Arc<App>>>,
}

impl Health {
    /// The server is open. Said once.
    pub(crate) fn ready(&self, app: &Arc<App>) {
        // A second app cannot be: there is one for each server.
        let _ = self.app.set(Arc::clone(app));
    }

    /// What is wrong, empty when nothing is.
    fn faults(&self) -> Vec<String> {
        match self.app.get() {
            None => vec!["loading".into()],
            Some(app) if app.shutdown.is_triggered() => vec!["stopping".into()],
            Some(app) => {
                let loading = app.engine.loading();
                let loading =
                    loading.map(|l| format!("loading: {} of {} collections are open", l.done, l.total));
                let fault = |(name, reason)| format!("collection {name} is out of service: {reason}");
                loading.into_iter().chain(app.engine.faults().into_iter().map(fault)).collect()
            }
        }
    }
}

/// Routes of the admin port.
pub(crate) fn admin_routes(health: Health) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/livez", get(|| async { "OK" }))
        .route("/readyz", get(readyz))
        .merge(crate::backup::routes(|health: &Health| health.app.get().cloned()))
        .fallback(reply::no_such_page)
        .with_state(health)
}

async fn metrics(State(health): State<Health>) -> Response {
    let Some(app) = health.app.get().cloned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "loading").into_response();
    };
    app.metrics.embed_queue(app.images.queue_depth());
    let text =
        blocking(move || app.metrics.text(Some(&app.engine)).map_err(|e| ApiError::internal(e.to_string())));
    match text.await {
        Ok(text) => {
            let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
            ([(CONTENT_TYPE, content_type)], text).into_response()
        }
        Err(error) => error.into_response(),
    }
}

/// 200 `OK`, or 500 with the reasons; as JSON for those who say they speak it.
async fn healthz(State(health): State<Health>, headers: HeaderMap) -> Response {
    let faults = health.faults();
    let status = if faults.is_empty() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    let state = if faults.is_empty() { "OK".to_owned() } else { faults.join("\n") };
    let json =
        headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !json {
        return (status, state).into_response();
    }
    // Milvus's codes of components: 1 healthy, 2 abnormal.
    let code = if faults.is_empty() { 1 } else { 2 };
    let body = serde_json::json!({"state": state, "detail": [{"name": "proxy", "code": code}]});
    (status, axum::Json(body)).into_response()
}

/// 200 when requests are answered, whatever state single collections are in.
async fn readyz(State(health): State<Health>) -> Response {
    match health.app.get() {
        Some(app) if !app.shutdown.is_triggered() => "OK".into_response(),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "stopping").into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "loading").into_response(),
    }
}
