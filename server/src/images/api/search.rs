//! `POST /v1/images/{collection}/search`: images like a file, or like the stored image with this `id`.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use serde_json::{Map, Value as Json};

use super::image_json;
use crate::app::App;
use crate::error::ApiError;
use crate::images::intake::{self, Form};
use crate::images::layout::SHA256;
use crate::images::{Query, SimilarRequest};
use crate::reply::{int64_as_string, own_data};

/// Results when the request does not say.
const DEFAULT_LIMIT: usize = 10;

pub(super) async fn search(
    State(app): State<Arc<App>>,
    Path(collection): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let as_string = int64_as_string(request.headers());
    let form = intake::read(request, app.config.limits.max_body_bytes).await?;
    let request = parse(form)?;
    let keep_hash = wants_hash(request.output_fields.as_deref());
    let found = app.images.similar(&collection, request).await?;
    let hit = |(row, distance): (usize, &f32)| {
        let form = (as_string, keep_hash);
        image_json(&found.collection.layout, &collection, &found.rows, row, Some(*distance), form)
    };
    let hits: Vec<Map<String, Json>> = found.distances.iter().enumerate().map(hit).collect();
    Ok(own_data(hits))
}

/// Whether the content hash is part of the answer: it is a field like others, and always read for the links.
pub(super) fn wants_hash(output_fields: Option<&[String]>) -> bool {
    output_fields.is_none_or(|fields| fields.iter().any(|field| field == SHA256 || field == "*"))
}

fn parse(mut form: Form) -> Result<SimilarRequest, ApiError> {
    let id = form.text(&["id"])?.filter(|id| !id.is_empty());
    let query = match (form.files.is_empty(), id) {
        (false, None) => Query::File(form.single_file()?.bytes),
        (true, Some(id)) => Query::Id(id),
        (true, None) => {
            return Err(ApiError::invalid("search with an image: send a file, or the id of a stored one"));
        }
        (false, Some(_)) => return Err(ApiError::invalid("search with a file or with an id, not with both")),
    };
    Ok(SimilarRequest {
        query,
        limit: form.count(&["limit"])?.unwrap_or(DEFAULT_LIMIT),
        offset: form.count(&["offset"])?.unwrap_or(0),
        filter: form.text(&["filter"])?,
        output_fields: form.list(&["outputFields"])?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::images::intake::FilePart;

    fn form(values: Json, files: usize) -> Form {
        let Json::Object(values) = values else { panic!("an object") };
        let files = (0..files).map(|_| FilePart { name: String::new(), bytes: "x".into() }).collect();
        Form { files, values: values.into_iter().collect(), body_values: 0 }
    }

    #[test]
    fn numbers_may_be_text_and_everything_has_a_default() {
        let request = parse(form(json!({"id": "12"}), 0)).unwrap();
        assert!(matches!(request.query, Query::Id(id) if id == "12"));
        assert_eq!((request.limit, request.offset, request.filter), (10, 0, None));
        let given = json!({"id": 12, "limit": "3", "offset": 4, "filter": "width > 10", "outputFields": "name, year"});
        let request = parse(form(given, 0)).unwrap();
        assert_eq!((request.limit, request.offset), (3, 4));
        assert_eq!(request.filter.unwrap(), "width > 10");
        assert_eq!(request.output_fields.unwrap(), ["name", "year"]);
    }

    #[test]
    fn one_example_exactly() {
        assert!(matches!(parse(form(json!({"limit": 1}), 1)).unwrap().query, Query::File(_)));
        for (values, files) in [(json!({}), 0), (json!({"id": 1}), 1), (json!({}), 2)] {
            assert_eq!(parse(form(values, files)).unwrap_err().status.as_u16(), 400);
        }
        assert!(parse(form(json!({"id": 1, "limit": "many"}), 0)).is_err());
        assert!(parse(form(json!({"id": 1, "limit": -1}), 0)).is_err());
        assert!(parse(form(json!({"id": 1, "outputFields": {"a": 1}}), 0)).is_err());
    }
}
