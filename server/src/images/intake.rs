//! Reading request bodies: multipart forms, URL-encoded forms, JSON objects and bare images become one [`Form`]. Every
//! route of the image API reads its input here. The layer around all routes has set room aside for the body and
//! watches the clock; here the body is held to its size, its number of parts and its shape.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value as Json;

use super::name;
use crate::error::ApiError;
use crate::net::Held;

/// Most files in one request.
const MAX_FILES: usize = 1024;
/// Most parts in one form, files and texts.
const MAX_PARTS: usize = 2048;
/// Most bytes of all text parts of one form, and of a JSON or URL-encoded body.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// One file of a request.
#[derive(Debug, Clone)]
pub(crate) struct FilePart {
    /// The client's file name, not cleaned yet; empty when there was none.
    pub(crate) name: String,
    /// The content.
    pub(crate) bytes: Bytes,
}

/// What a request carries: files, and values by name from the body and the query string, in that order.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// Files in order.
    pub(crate) files: Vec<FilePart>,
    /// Values in order; text unless the body was JSON.
    pub(crate) values: Vec<(String, Json)>,
    /// How many of `values` come from the body; the rest is the query string.
    pub(crate) body_values: usize,
}

type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Reads a request of any of the accepted kinds, with at most `max_bytes` of body.
///
/// # Errors
/// 400 for a malformed body, 413 for one that is too large.
pub(crate) async fn read(request: Request, max_bytes: usize) -> Result<Form, ApiError> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, max_bytes);
    let mut form = Form::default();
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let query = url_encoded(parts.uri.query().unwrap_or_default().as_bytes());
    if media_type(content_type).starts_with("multipart/") {
        read_multipart(&mut form, content_type, body).await?;
    } else {
        let bytes = body.collect().await.map_err(|error| broken(&error))?.to_bytes();
        read_single(&mut form, content_type, bytes, &query)?;
    }
    if let Some(room) = parts.extensions.get::<Arc<Held>>() {
        // A file may still be decoded or stored when the client has gone.
        form.files.iter_mut().for_each(|file| file.bytes = room.kept_with(std::mem::take(&mut file.bytes)));
    }
    form.body_values = form.values.len();
    form.values.extend(query);
    Ok(form)
}

/// A body that could not be read to its end.
fn broken(error: &BodyError) -> ApiError {
    if error.is::<LengthLimitError>() {
        return ApiError::too_large("the request body is larger than the server allows");
    }
    ApiError::invalid(format!("the request body broke off: {error}"))
}

impl Form {
    /// The first value of any of these names, whatever its type.
    pub(crate) fn value(&self, names: &[&str]) -> Option<&Json> {
        self.values
            .iter()
            .find(|(name, value)| names.contains(&name.as_str()) && !value.is_null())
            .map(|(_, v)| v)
    }

    /// The same as text; numbers as they are written.
    ///
    /// # Errors
    /// 400 when it is a list or an object.
    pub(crate) fn text(&self, names: &[&str]) -> Result<Option<String>, ApiError> {
        match self.value(names) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Json::Number(_) | Json::Bool(_))) => Ok(Some(value.to_string())),
            Some(_) => Err(ApiError::invalid(format!("{} must be text", names.join(" or ")))),
        }
    }

    /// The first value of this name in the query string.
    pub(crate) fn query_text(&self, name: &str) -> Option<&str> {
        self.values.iter().skip(self.body_values).find(|(other, _)| other == name)?.1.as_str()
    }

    /// The same as [`Form::text`], as a whole number from 0.
    ///
    /// # Errors
    /// 400 when it is none.
    pub(crate) fn count(&self, names: &[&str]) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.text(names)?.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
        match text.trim().parse() {
            Ok(count) => Ok(Some(count)),
            Err(_) => {
                Err(ApiError::invalid(format!("{} must be a whole number, not {text:?}", names.join(" or "))))
            }
        }
    }

    /// The same as a list of names: a JSON list, or text separated by commas.
    ///
    /// # Errors
    /// 400 when it is neither.
    pub(crate) fn list(&self, names: &[&str]) -> Result<Option<Vec<String>>, ApiError> {
        let wrong = || ApiError::invalid(format!("{} must be a list of names", names.join(" or ")));
        let items = match self.value(names) {
            None => return Ok(None),
            Some(Json::String(text)) if text.trim_start().starts_with('[') => {
                serde_json::from_str::<Vec<String>>(text).map_err(|_| wrong())?
            }
            Some(Json::String(text)) => {
                text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
            }
            Some(list) => serde_json::from_value(list.clone()).map_err(|_| wrong())?,
        };
        Ok(Some(items))
    }

    /// The only file of the request.
    ///
    /// # Errors
    /// 400 when there is none, or more than one.
    pub(crate) fn single_file(&mut self) -> Result<FilePart, ApiError> {
        match (self.files.pop(), self.files.is_empty()) {
            (Some(file), true) => Ok(file),
            (Some(_), false) => {
                Err(ApiError::invalid("one image at a time: the request carries several files"))
            }
            (None, _) => Err(ApiError::invalid("no image: send it as the body, or as a file in a form")),
        }
    }
}

fn media_type(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A body that is not multipart: JSON, a URL-encoded form, or an image. Content decides before the declared type does:
/// `curl --data-binary @photo.jpg` calls everything a form.
fn read_single(
    form: &mut Form,
    content_type: &str,
    bytes: Bytes,
    query: &[(String, Json)],
) -> Result<(), ApiError> {
    let declared = media_type(content_type);
    if bytes.is_empty() && !declared.starts_with("image/") {
        return Ok(());
    }
    let is_image = elanus_embed::sniff(&bytes).is_some();
    let is_text = declared == "application/json" || declared == "application/x-www-form-urlencoded";
    if is_image || !is_text {
        let name =
            query.iter().find(|(key, _)| key == "name").and_then(|(_, v)| v.as_str()).unwrap_or_default();
        form.files.push(FilePart { name: name.to_owned(), bytes });
        return Ok(());
    }
    if bytes.len() > MAX_TEXT_BYTES {
        return Err(ApiError::too_large(format!("a body of text may have {MAX_TEXT_BYTES} bytes")));
    }
    if declared == "application/json" {
        match serde_json::from_slice(&bytes) {
            Ok(Json::Object(object)) => form.values.extend(object),
            Ok(_) => return Err(ApiError::invalid("the JSON body must be an object")),
            Err(error) => return Err(ApiError::invalid(format!("the body is not valid JSON: {error}"))),
        }
    } else {
        form.values.extend(url_encoded(&bytes));
    }
    Ok(())
}

/// The pairs of a query string or URL-encoded form; bytes that are not UTF-8 are replaced.
fn url_encoded(bytes: &[u8]) -> Vec<(String, Json)> {
    let decode = |part: &[u8]| {
        let spaced: Vec<u8> = part.iter().map(|&b| if b == b'+' { b' ' } else { b }).collect();
        percent_encoding::percent_decode(&spaced).decode_utf8_lossy().into_owned()
    };
    bytes
        .split(|&b| b == b'&')
        .filter(|pair| !pair.is_empty())
        .take(MAX_PARTS)
        .map(|pair| {
            let cut = pair.iter().position(|&b| b == b'=');
            let (key, value) = cut.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            (decode(key), Json::String(decode(value)))
        })
        .collect()
}

async fn read_multipart(form: &mut Form, content_type: &str, body: Limited<Body>) -> Result<(), ApiError> {
    let boundary = multer::parse_boundary(content_type).map_err(|error| malformed(&error))?;
    let mut multipart = multer::Multipart::new(body.into_data_stream(), boundary);
    let (mut parts, mut text_bytes) = (0, 0);
    while let Some(field) = multipart.next_field().await.map_err(|error| malformed(&error))? {
        parts += 1;
        if parts > MAX_PARTS {
            return Err(ApiError::invalid(format!("a form may have {MAX_PARTS} parts")));
        }
        match file_name(&field) {
            Some(name) => {
                if form.files.len() == MAX_FILES {
                    return Err(ApiError::too_large(format!("one request may carry {MAX_FILES} files")));
                }
                let bytes = read_part(field, usize::MAX).await?;
                // A browser sends an empty, nameless part for a file input that was left empty.
                if !(name.is_empty() && bytes.is_empty()) {
                    form.files.push(FilePart { name, bytes });
                }
            }
            None => {
                let name = field.name().unwrap_or_default().to_owned();
                let bytes = read_part(field, MAX_TEXT_BYTES - text_bytes).await?;
                text_bytes += bytes.len();
                let text = String::from_utf8(bytes.into()).map_err(|_| {
                    ApiError::invalid(format!("the part {name:?} of the form is not UTF-8 text"))
                })?;
                form.values.push((name, Json::String(text)));
            }
        }
    }
    Ok(())
}

/// The file name of a part; `None` for a part that is text. A part without a file name is a file too when its type says
/// that it is an image.
fn file_name(field: &multer::Field<'_>) -> Option<String> {
    let extended = || {
        let header = field.headers().get(CONTENT_DISPOSITION)?;
        name::extended_filename(header.as_bytes())
    };
    let image =
        || field.content_type().is_some_and(|t| t.type_() == "image" || t.subtype() == "octet-stream");
    extended().or_else(|| field.file_name().map(name::from_form)).or_else(|| image().then(String::new))
}

async fn read_part(mut field: multer::Field<'_>, most: usize) -> Result<Bytes, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|error| malformed(&error))? {
        if bytes.len() + chunk.len() > most {
            return Err(ApiError::too_large(format!(
                "the texts of a form may have {MAX_TEXT_BYTES} bytes together"
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

fn malformed(error: &multer::Error) -> ApiError {
    if let multer::Error::StreamReadFailed(source) = error {
        return broken(source);
    }
    ApiError::invalid(format!("the form is malformed: {error}"))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";

    fn request(content_type: &str, uri: &str, body: impl Into<Body>) -> Request {
        http::Request::post(uri).header(CONTENT_TYPE, content_type).body(body.into()).unwrap()
    }

    async fn read(limit: usize, request: Request) -> Result<Form, ApiError> {
        super::read(request, limit).await
    }

    fn multipart(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (header, content) in parts {
            body.extend_from_slice(b"--XX\r\nContent-Disposition: form-data; ");
            body.extend_from_slice(header.as_bytes());
            body.extend_from_slice(b"\r\n\r\n");
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XX--\r\n");
        body
    }

    const FORM: &str = "multipart/form-data; boundary=XX";

    #[tokio::test]
    async fn a_form_with_files_and_texts() {
        let body = multipart(&[
            ("name=\"file\"; filename=\"图片 1.jpg\"", b"one"),
            ("name=\"year\"", b"2007"),
            ("name=\"x\"; filename*=utf-8''%E5%9B%BE.png", b"two"),
            ("name=\"empty\"; filename=\"\"", b""),
            ("name=\"image\"\r\nContent-Type: image/jpeg", b"three"),
        ]);
        let form = read(10_000, request(FORM, "/?limit=5&q=a+b%2B", body)).await.unwrap();
        let files: Vec<(&str, &[u8])> =
            form.files.iter().map(|f| (f.name.as_str(), f.bytes.as_ref())).collect();
        assert_eq!(files, [("图片 1.jpg", &b"one"[..]), ("图.png", b"two"), ("", b"three")]);
        assert_eq!(form.text(&["year"]).unwrap().unwrap(), "2007");
        assert_eq!(form.count(&["topk", "limit"]).unwrap(), Some(5));
        assert_eq!(form.text(&["q"]).unwrap().unwrap(), "a b+");
        assert_eq!(form.body_values, 1);
    }

    #[tokio::test]
    async fn json_url_encoded_and_bare_images() {
        let json =
            request("application/json", "/", r#"{"id": 9007199254740993, "outputFields": ["a", "b"]}"#);
        let form = read(1000, json).await.unwrap();
        assert_eq!(form.text(&["id"]).unwrap().unwrap(), "9007199254740993");
        assert_eq!(form.list(&["outputFields"]).unwrap().unwrap(), ["a", "b"]);

        let form = read(1000, request("application/x-www-form-urlencoded", "/", "Table=t&names=a,%20b"))
            .await
            .unwrap();
        assert_eq!(form.text(&["Table"]).unwrap().unwrap(), "t");
        assert_eq!(form.list(&["names"]).unwrap().unwrap(), ["a", "b"]);

        // What curl calls a form is an image all the same.
        let form =
            read(1000, request("application/x-www-form-urlencoded", "/?name=a.png", PNG)).await.unwrap();
        assert_eq!((form.files[0].name.as_str(), form.files[0].bytes.as_ref()), ("a.png", PNG));
        let mut form = read(1000, request("image/jpeg", "/", "no image at all")).await.unwrap();
        assert_eq!(form.single_file().unwrap().bytes, "no image at all");
        assert_eq!(form.single_file().unwrap_err().status, StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn hostile_bodies_are_client_errors() {
        let status = async |limit, request| read(limit, request).await.unwrap_err().status;
        let large = multipart(&[("name=\"file\"; filename=\"a\"", &[7; 5000])]);
        assert_eq!(status(1000, request(FORM, "/", large.clone())).await, StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(
            status(1000, request("image/png", "/", vec![0; 1001])).await,
            StatusCode::PAYLOAD_TOO_LARGE
        );
        for cut in [3, 20, 60, 100, large.len() - 20, large.len() - 5] {
            let body = large[..cut].to_vec();
            assert_eq!(
                status(10_000, request(FORM, "/", body)).await,
                StatusCode::BAD_REQUEST,
                "cut at {cut}"
            );
        }
        assert_eq!(status(1000, request("multipart/form-data", "/", "x")).await, StatusCode::BAD_REQUEST);
        assert_eq!(status(1000, request(FORM, "/", "garbage")).await, StatusCode::BAD_REQUEST);
        assert_eq!(status(1000, request("application/json", "/", "[1]")).await, StatusCode::BAD_REQUEST);
        assert_eq!(status(1000, request("application/json", "/", "{")).await, StatusCode::BAD_REQUEST);
        let text = multipart(&[("name=\"t\"", &[0xff, 0xfe])]);
        assert_eq!(status(1000, request(FORM, "/", text)).await, StatusCode::BAD_REQUEST);
        let many: Vec<(&str, &[u8])> = vec![("name=\"t\"", b"x"); MAX_PARTS + 1];
        assert_eq!(status(1 << 20, request(FORM, "/", multipart(&many))).await, StatusCode::BAD_REQUEST);
    }
}
