//! `POST /v1/images/{collection}`: adds one or many files. Text parts of the form are scalar fields of all of them; a
//! part `fields` may hold them as one JSON object, with their types. `model`, `input` and `pooling` in the query string say
//! how the images of a new collection become vectors.

use std::sync::Arc;

use axum::extract::{Extension, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value as Json, json};

use super::key_json;
use crate::app::App;
use crate::auth::Asker;
use crate::error::ApiError;
use crate::images::intake::{self, Form};
use crate::images::{Added, AskedDescriptor};
use crate::reply::{int64_as_string, own_data};

pub(super) async fn upload(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    Path(collection): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let as_string = int64_as_string(request.headers());
    let mut form = intake::read(request, app.config.limits.max_body_bytes).await?;
    let asked = AskedDescriptor::of_query(&form)?;
    let files = std::mem::take(&mut form.files);
    let fields = scalar_fields(form)?;
    let added = app.images.add(&collection, files, fields, asked, app.may_create(&asker)).await?;
    Ok(answer(added, as_string))
}

/// The values that are fields of the images: those of the body, with `fields` unfolded. A query string steers the
/// request and is none of them.
///
/// # Errors
/// 400 when `fields` is no JSON object.
pub(crate) fn scalar_fields(form: Form) -> Result<Vec<(String, Json)>, ApiError> {
    let mut fields = Vec::new();
    for (name, value) in form.values.into_iter().take(form.body_values) {
        if name != "fields" {
            fields.push((name, value));
            continue;
        }
        let object = match value {
            Json::String(text) => serde_json::from_str(&text).ok(),
            value => Some(value),
        };
        let Some(Json::Object(object)) = object else {
            return Err(ApiError::invalid("the part \"fields\" must be a JSON object of scalar fields"));
        };
        fields.extend(object);
    }
    Ok(fields)
}

/// 200 when a file was stored; otherwise the status of the first refusal. Either way every refusal is listed.
fn answer(added: Added, as_string: bool) -> Response {
    let ids: Vec<Json> = added.ids.iter().map(|id| key_json(id, as_string)).collect();
    let failed: Vec<Json> =
        added.refused.iter().map(|file| json!({"name": file.name, "reason": file.error.message})).collect();
    let data = json!({"ids": ids, "failed": failed});
    let Some(first) = added.refused.first().filter(|_| added.ids.is_empty()) else { return own_data(data) };
    let message = match added.refused.len() {
        1 => format!("{}: {}", first.name, first.error.message),
        all => format!(
            "none of the {all} files could be stored; the first: {}: {}",
            first.name, first.error.message
        ),
    };
    let body = json!({"code": first.error.code, "message": message, "data": data});
    let mut response = (first.error.status, axum::Json(body)).into_response();
    if first.error.status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(http::header::RETRY_AFTER, http::HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use elanus_engine::row::Key;

    use super::*;
    use crate::images::upload::Refused;

    fn refused(name: &str, error: ApiError) -> Refused {
        Refused { name: name.to_owned(), error }
    }

    #[test]
    fn one_stored_file_makes_a_success() {
        let wrong = || {
            refused("a.txt", ApiError::new(1100, StatusCode::UNSUPPORTED_MEDIA_TYPE, "this is not an image"))
        };
        let some = Added { ids: vec![Key::Int(7)], refused: vec![wrong()] };
        assert_eq!(answer(some, false).status(), StatusCode::OK);
        let none =
            Added { ids: vec![], refused: vec![wrong(), refused("b", ApiError::too_large("too large"))] };
        assert_eq!(answer(none, false).status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }

    #[test]
    fn fields_come_from_the_body_only() {
        let text = |s: &str| Json::from(s);
        let values = vec![
            ("year".to_owned(), text("2007")),
            ("fields".to_owned(), text(r#"{"n": 1, "tags": ["a"]}"#)),
            ("name".to_owned(), text("from the query")),
        ];
        let form = Form { values, body_values: 2, ..Form::default() };
        let fields = scalar_fields(form).unwrap();
        assert_eq!(
            fields,
            [
                ("year".to_owned(), text("2007")),
                ("n".to_owned(), json!(1)),
                ("tags".to_owned(), json!(["a"]))
            ]
        );
        for wrong in ["[1]", "{", "x"] {
            let values = vec![("fields".to_owned(), text(wrong))];
            assert!(scalar_fields(Form { values, body_values: 1, ..Form::default() }).is_err());
        }
    }
}
