//! The image API: `/v1/embed`, `/v1/models` and `/v1/images`. Handlers translate between HTTP and [`ImageService`]; answers have the
//! Milvus envelope, failures HTTP statuses. The classic calls use the same pieces under their old names.

mod browse;
mod embed;
mod models;
mod original;
mod reduce;
mod search;
mod upload;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use elanus_engine::row::{Key, Rows};
use serde_json::{Map, Value as Json};

pub(crate) use original::original_response;

use super::layout::{Layout, SHA256};
use crate::app::App;
use crate::reply::hit_json;

/// Digits of the content hash that a link carries: a link names one content for ever, even if its id is given to
/// another image after the collection was dropped.
const VERSION_DIGITS: usize = 16;

/// The routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/embed", post(embed::embed))
        .route("/v1/models", get(models::models))
        .route("/v1/images", get(browse::collections))
        .route("/v1/images/{collection}", get(browse::images).post(upload::upload))
        .route("/v1/images/{collection}/search", post(search::search))
        .route("/v1/images/{collection}/reduce", post(reduce::reduce))
        .route("/v1/images/{collection}/{id}", get(original::original).delete(browse::delete))
        .route("/v1/images/{collection}/{id}/thumb", get(original::thumb))
}

/// A key as JSON: a number, or text where the client can't read large numbers.
pub(crate) fn key_json(key: &Key, int64_as_string: bool) -> Json {
    match key {
        Key::Int(key) if int64_as_string => Json::from(key.to_string()),
        Key::Int(key) => Json::from(*key),
        Key::Text(key) => Json::from(key.as_str()),
    }
}

/// A row as the page wants it: id, distance if there is one, fields, and links to the original and the thumbnail.
/// `keep_hash` says whether the content hash itself was asked for.
fn image_json(
    layout: &Layout,
    collection: &str,
    rows: &Rows,
    row: usize,
    distance: Option<f32>,
    (int64_as_string, keep_hash): (bool, bool),
) -> Map<String, Json> {
    let fields = hit_json(rows, row, distance, int64_as_string);
    let key = rows.key(row).map(|key| key.to_key());
    let mut image = Map::new();
    if let Some(key) = &key {
        // First and under this name, whatever the key field is called.
        image.insert("id".to_owned(), key_json(key, int64_as_string));
    }
    image.extend(fields.into_iter().filter(|(name, _)| name != "id" && (keep_hash || name != SHA256)));
    if let Some(key) = key {
        let sha256 = layout.sha256(rows, row).unwrap_or_default();
        let version = sha256.get(..VERSION_DIGITS).map(|v| format!("?v={v}")).unwrap_or_default();
        let link = format!("/v1/images/{collection}/{key}");
        image.insert("url".to_owned(), Json::from(format!("{link}{version}")));
        image.insert("thumb".to_owned(), Json::from(format!("{link}/thumb{version}")));
    }
    image
}
