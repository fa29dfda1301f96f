//! `GET /v2/openapi.json` and `GET /v2/docs`. Both are made once, at the first request; they differ only by whether
//! callers must say who they are.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;

use super::{openapi, page};
use crate::app::App;
use crate::rest::routes::ROUTES;

/// Routes of this room.
pub(in crate::rest) fn routes() -> Router<Arc<App>> {
    Router::new().route("/v2/openapi.json", get(document)).route("/v2/docs", get(docs))
}

/// Texts without and with authorization.
type Made = [OnceLock<Bytes>; 2];

fn made(texts: &'static Made, authorization: bool, make: fn(bool) -> String) -> Bytes {
    let [without, with] = texts;
    let place = if authorization { with } else { without };
    place.get_or_init(|| make(authorization).into()).clone()
}

async fn document(State(app): State<Arc<App>>) -> Response {
    static TEXTS: Made = [const { OnceLock::new() }; 2];
    let make = |authorization| openapi::document(ROUTES, authorization).to_string();
    let body = made(&TEXTS, app.auth.is_enabled(), make);
    (headers("application/json; charset=utf-8"), body).into_response()
}

async fn docs(State(app): State<Arc<App>>) -> Response {
    static TEXTS: Made = [const { OnceLock::new() }; 2];
    let body = made(&TEXTS, app.auth.is_enabled(), |authorization| page::html(ROUTES, authorization));
    let mut response = (headers("text/html; charset=utf-8"), body).into_response();
    // Should the text not be a header's, the page is sent without: it holds nothing but what is in this program.
    if let Ok(policy) = HeaderValue::from_str(&page::policy()) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn headers(content_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ])
}
