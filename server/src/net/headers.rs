//! Response headers that do not depend on what is asked: `nosniff` on everything, Milvus's CORS headers on Milvus's
//! API, and the answer to `OPTIONS`. The image API and the page carry no CORS headers: only the server's own page
//! may call them from a browser.

use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};

/// Where Milvus's REST API lives.
const MILVUS_PREFIX: &str = "/v2/vectordb/";

/// Adds the headers for a request to `path`.
pub(super) fn add(headers: &mut HeaderMap, path: &str) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if path.starts_with(MILVUS_PREFIX) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(
            ACCESS_CONTROL_ALLOW_HEADERS,
            HeaderValue::from_static(
                "Content-Type, Content-Length, Authorization, Accept, X-Requested-With, Accept-Type-Allow-Int64, \
                 DB-Name, Request-Timeout",
            ),
        );
        headers.insert(
            ACCESS_CONTROL_ALLOW_METHODS,
            HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE"),
        );
    }
}
