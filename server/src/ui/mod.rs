//! The page: files of `ui/assets`, carried inside the program. They are plain HTML, CSS and JavaScript modules without a
//! build step. The page may load nothing but what this server sends, and nobody may frame it.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use elanus_storage::Digest;

use crate::app::App;
use crate::error::ApiError;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; object-src 'none'; \
     base-uri 'none'; frame-ancestors 'none'",
);
/// A new program may carry a new page: ask every time, and get 304 while it is the same.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");

/// Names and contents, by the names of the files.
macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("assets/", $name)).as_slice())),*]
    };
}

/// Every file of the folder; a test compares.
const ASSETS: &[(&str, &[u8])] = assets![
    "activities.js",
    "activityview.js",
    "add.css",
    "addview.js",
    "api.js",
    "base.css",
    "collections.js",
    "confirm.js",
    "descriptor.js",
    "dom.js",
    "errors.js",
    "favicon.svg",
    "files.js",
    "format.js",
    "gallery.css",
    "gallery.js",
    "imports.js",
    "index.html",
    "layout.css",
    "main.js",
    "messages.js",
    "navigation.js",
    "overlays.css",
    "preferences.js",
    "preview.js",
    "pulse.js",
    "search.js",
    "searchzone.js",
    "statuscard.js",
    "store.js",
    "theme-boot.js",
    "theme.js",
    "tokens.css",
    "uploads.js",
];

/// A file of the page, ready to be sent.
#[derive(Debug)]
struct Asset {
    name: &'static str,
    content: &'static [u8],
    tag: HeaderValue,
}

static TABLE: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let tag = |content: &[u8]| HeaderValue::from_str(&format!("\"{}\"", Digest::of(content)));
    ASSETS
        .iter()
        .filter_map(|&(name, content)| Some(Asset { name, content, tag: tag(content).ok()? }))
        .collect()
});

/// The routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { respond("index.html", &headers) }))
        .route("/favicon.ico", get(|headers: HeaderMap| async move { respond("favicon.svg", &headers) }))
        .route("/favicon.svg", get(|headers: HeaderMap| async move { respond("favicon.svg", &headers) }))
        .route(
            "/ui/{name}",
            get(|Path(name): Path<String>, headers: HeaderMap| async move { respond(&name, &headers) }),
        )
}

fn respond(name: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = TABLE.iter().find(|asset| asset.name == name) else {
        return ApiError::not_found(format!("the page has no file {name}")).into_response();
    };
    let known = headers.get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).zip(asset.tag.to_str().ok());
    let mut response = if known.is_some_and(|(tags, tag)| tags.contains(tag)) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        asset.content.into_response()
    };
    let out = response.headers_mut();
    out.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    out.insert(ETAG, asset.tag.clone());
    out.insert(CACHE_CONTROL, ASK);
    out.insert(CONTENT_SECURITY_POLICY, POLICY);
    out.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    out.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_folder() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ui/assets");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let names: Vec<&str> = ASSETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, files);
        assert_eq!(TABLE.len(), ASSETS.len());
        assert!(names.iter().all(|name| content_type(name) != "application/octet-stream"));
    }

    #[test]
    fn every_file_that_the_page_names_is_there() {
        let (_, page) = ASSETS.iter().find(|(name, _)| *name == "index.html").unwrap();
        let page = std::str::from_utf8(page).unwrap();
        let named: Vec<&str> =
            page.split("\"/ui/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(!named.is_empty());
        for name in named {
            assert!(ASSETS.iter().any(|(asset, _)| *asset == name), "{name}");
        }
    }

    #[test]
    fn known_files_are_not_sent_again_and_unknown_ones_are_404() {
        let mut headers = HeaderMap::new();
        let first = respond("main.js", &headers);
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(first.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
        assert!(
            first.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("frame-ancestors 'none'")
        );
        headers.insert(IF_NONE_MATCH, first.headers()[ETAG].clone());
        assert_eq!(respond("main.js", &headers).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(respond("index.html", &headers).status(), StatusCode::OK);
        for name in ["", "..", "../mod.rs", "none.js"] {
            assert_eq!(respond(name, &HeaderMap::new()).status(), StatusCode::NOT_FOUND, "{name}");
        }
    }
}
