//! `GET /v1/images/{collection}/{id}` and `.../thumb`: the original as it was sent, and a small JPEG of it. Files are
//! found by the content hash in the row and named by nobody else; what they are is told by their first bytes. They
//! come from strangers, so a browser is told to run nothing in them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderValue, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use elanus_embed::Recipe;
use elanus_storage::Digest;
use serde::Deserialize;

use crate::app::{App, blocking};
use crate::error::ApiError;
use crate::images::layout::{NAME, SHA256};
use crate::images::{ImageService, Purpose, name};

/// Nothing inside an image runs, loads or frames anything.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
/// A link with the right version never changes its content.
const FOR_EVER: HeaderValue = HeaderValue::from_static("private, max-age=31536000, immutable");
/// A link without a version may lead to another image after its collection was dropped: ask, and get 304.
const ASK: HeaderValue = HeaderValue::from_static("private, no-cache");

/// The version in a link.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Version {
    v: Option<String>,
}

/// Which file of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum File {
    Original,
    Thumbnail,
}

pub(super) async fn original(
    State(app): State<Arc<App>>,
    Path((collection, id)): Path<(String, String)>,
    version: Result<Query<Version>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    respond(&app.images, collection, id, version.unwrap_or_default().0, &headers, File::Original).await
}

pub(super) async fn thumb(
    State(app): State<Arc<App>>,
    Path((collection, id)): Path<(String, String)>,
    version: Result<Query<Version>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    respond(&app.images, collection, id, version.unwrap_or_default().0, &headers, File::Thumbnail).await
}

/// The original of a stored image, for routes under other names.
///
/// # Errors
/// 404 when there is no such image.
pub(crate) async fn original_response(
    images: &Arc<ImageService>,
    collection: String,
    id: String,
    headers: &HeaderMap,
) -> Result<Response, ApiError> {
    respond(images, collection, id, Version::default(), headers, File::Original).await
}

async fn respond(
    images: &Arc<ImageService>,
    collection: String,
    id: String,
    version: Version,
    headers: &HeaderMap,
    file: File,
) -> Result<Response, ApiError> {
    let service = Arc::clone(images);
    let (content, name) = blocking(move || find(&service, &collection, &id)).await?;
    let tag = tag(&content, file);
    let mut response = if is_current(headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let service = Arc::clone(images);
        match file {
            // The first page is read from the disk to tell what the file is.
            File::Original => blocking(move || Ok(with_body(service.original(&content)?, &name))).await?,
            File::Thumbnail => with_body(thumbnail(service, content).await?, &name),
        }
    };
    let fixed =
        version.v.is_some_and(|v| v.len() >= super::VERSION_DIGITS && content.to_string().starts_with(&v));
    let out = response.headers_mut();
    out.insert(ETAG, tag);
    out.insert(CACHE_CONTROL, if fixed { FOR_EVER } else { ASK });
    Ok(response)
}

/// Content and name of a stored image.
fn find(images: &ImageService, collection: &str, id: &str) -> Result<(Digest, String), ApiError> {
    let collection = images.open(collection, Purpose::Read)?;
    let key = collection.parse_key(id)?;
    let row = collection.row(&key, &[NAME, SHA256])?.ok_or_else(|| collection.no_such_image(&key))?;
    let content = collection.layout.sha256(&row, 0).and_then(|sha256| sha256.parse().ok());
    let content = content.ok_or_else(|| ApiError::not_found(format!("the row {key} holds no image")))?;
    Ok((content, collection.layout.name(&row, 0).unwrap_or_else(|| name::UNNAMED.to_owned())))
}

/// The stored thumbnail, or a new one.
async fn thumbnail(images: Arc<ImageService>, content: Digest) -> Result<Bytes, ApiError> {
    let service = Arc::clone(&images);
    if let Some(jpeg) = blocking(move || Ok(service.thumbs.read(&content))).await? {
        return Ok(jpeg.into());
    }
    let service = Arc::clone(&images);
    let original = blocking(move || service.original(&content)).await?;
    let jpeg = images.decoded(original, Recipe::default(), true).await?.thumbnail;
    blocking(move || {
        images.thumbs.write(&content, &jpeg);
        Ok(jpeg.into())
    })
    .await
}

fn with_body(bytes: Bytes, name: &str) -> Response {
    let content_type = elanus_embed::sniff(&bytes).map_or("application/octet-stream", |format| format.mime());
    let length = bytes.len();
    let mut response = Response::new(Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_DISPOSITION, name::content_disposition(name));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn tag(content: &Digest, file: File) -> HeaderValue {
    let suffix = if file == File::Thumbnail { "-thumb" } else { "" };
    HeaderValue::from_str(&format!("\"{content}{suffix}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether the client has this content already.
fn is_current(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let Ok(tag) = tag.to_str() else { return false };
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_tag_saves_the_body() {
        let content = Digest::of(b"x");
        let (original, thumb) = (tag(&content, File::Original), tag(&content, File::Thumbnail));
        assert_ne!(original, thumb);
        let mut headers = HeaderMap::new();
        assert!(!is_current(&headers, &original));
        let list = format!("\"other\", W/{}", original.to_str().unwrap());
        headers.insert(IF_NONE_MATCH, HeaderValue::from_str(&list).unwrap());
        assert!(is_current(&headers, &original) && !is_current(&headers, &thumb));
    }

    #[test]
    fn what_an_image_is_comes_from_its_bytes() {
        let png = with_body(Bytes::from_static(b"\x89PNG\r\n\x1a\n...."), "photo.jpg");
        assert_eq!(png.headers()[CONTENT_TYPE], "image/png");
        let other = with_body(Bytes::from_static(b"<html><script>"), "x.html");
        assert_eq!(other.headers()[CONTENT_TYPE], "application/octet-stream");
        assert!(other.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().contains("sandbox"));
    }
}
