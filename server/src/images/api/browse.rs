//! `GET /v1/images` and `GET /v1/images/{collection}`: the collections, and the images of one, newest first.
//! `DELETE /v1/images/{collection}/{id}`: removes one image.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use elanus_engine::row::Rows;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use super::{image_json, key_json};
use crate::app::{App, blocking, blocking_write};
use crate::error::ApiError;
use crate::images::Purpose;
use crate::images::collection::keys_of;
use crate::images::layout::Layout;
use crate::reply::{int64_as_string, own_data};

/// Images of a page when the request does not say.
const DEFAULT_LIMIT: usize = 24;
/// Most images of one page.
const MAX_LIMIT: usize = 16_384;

/// Which page of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    limit: Option<usize>,
    offset: Option<usize>,
}

pub(super) async fn collections(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let images = Arc::clone(&app.images);
    Ok(own_data(blocking(move || Ok(images.summaries())).await?))
}

pub(super) async fn images(
    State(app): State<Arc<App>>,
    Path(collection): Path<String>,
    page: Result<Query<Page>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(page) = page.map_err(|_| ApiError::invalid("limit and offset must be whole numbers"))?;
    let (limit, offset) = (page.limit.unwrap_or(DEFAULT_LIMIT), page.offset.unwrap_or(0));
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(ApiError::invalid(format!("limit must be from 1 to {MAX_LIMIT}, not {limit}")));
    }
    let as_string = int64_as_string(&headers);
    let images = Arc::clone(&app.images);
    let list = blocking(move || {
        let (found, rows) = images.browse(&collection, limit, offset)?;
        Ok(own_data(Images { layout: &found.layout, collection: &collection, rows: &rows, as_string }))
    });
    list.await
}

/// Images as JSON. They are written one after the other: as trees all of one page would take many times the room.
struct Images<'a> {
    layout: &'a Layout,
    collection: &'a str,
    rows: &'a Rows,
    as_string: bool,
}

impl Serialize for Images<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { layout, collection, rows, as_string } = *self;
        let image = |row| image_json(layout, collection, rows, row, None, (as_string, true));
        serializer.collect_seq((0..rows.len).map(image))
    }
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path((collection, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let images = Arc::clone(&app.images);
    let deleted = blocking_write(move || {
        let collection = images.open(&collection, Purpose::Read)?;
        let key = collection.parse_key(&id)?;
        if collection.rows.delete_keys(keys_of(std::slice::from_ref(&key)))? == 0 {
            return Err(collection.no_such_image(&key));
        }
        images.request_sweep();
        Ok(key)
    });
    let id = deleted.await?;
    Ok(own_data(json!({"id": key_json(&id, int64_as_string(&headers))})))
}
