//! `POST /v1/images/{collection}/reduce`: begins a job that makes a collection `to` with vectors of `dimension` values, by a
//! PCA that is learned on the stored ones; with `whiten` all values have equal variance.

use std::sync::Arc;

use axum::extract::{Extension, Path, Request, State};
use axum::response::Response;
use serde_json::Value as Json;

use crate::app::{App, blocking};
use crate::auth::{Asker, DEFAULT_DATABASE, Privilege, Target};
use crate::error::ApiError;
use crate::images::ReduceRequest;
use crate::images::intake::{self, Form};
use crate::reply::own_data;

pub(super) async fn reduce(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    Path(collection): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let request = parse(&intake::read(request, app.config.limits.max_body_bytes).await?)?;
    // The route asks for the right to look at the collection; this is about the new one.
    app.may_create(&asker)?;
    let target = Target::Collection { db: DEFAULT_DATABASE, name: &request.to };
    app.auth.authorize(&asker, Privilege::Insert, target)?;
    let jobs = Arc::clone(&app.jobs);
    let job = blocking(move || jobs.create_reduction(&collection, request)).await?;
    Ok(own_data(job.view()))
}

fn parse(form: &Form) -> Result<ReduceRequest, ApiError> {
    let missing =
        |what: &str| ApiError::invalid(format!("{what} is missing: {{\"to\", \"dimension\", \"whiten\"}}"));
    let whiten = match form.value(&["whiten"]) {
        None => false,
        Some(Json::Bool(whiten)) => *whiten,
        Some(Json::String(text)) if text == "true" => true,
        Some(Json::String(text)) if text == "false" => false,
        Some(_) => return Err(ApiError::invalid("whiten must be true or false")),
    };
    Ok(ReduceRequest {
        to: form.text(&["to"])?.ok_or_else(|| missing("to"))?,
        dimension: form.count(&["dimension"])?.ok_or_else(|| missing("dimension"))?,
        whiten,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(values: Json) -> Result<ReduceRequest, ApiError> {
        let Json::Object(values) = values else { panic!("an object") };
        parse(&Form { values: values.into_iter().collect(), ..Form::default() })
    }

    #[test]
    fn whitening_is_asked_for_and_the_rest_is_said() {
        let expected = ReduceRequest { to: "small".into(), dimension: 64, whiten: false };
        assert_eq!(parsed(json!({"to": "small", "dimension": 64})).unwrap(), expected);
        let whitened = ReduceRequest { whiten: true, ..expected };
        for whiten in [json!(true), json!("true")] {
            assert_eq!(
                parsed(json!({"to": "small", "dimension": "64", "whiten": whiten})).unwrap(),
                whitened
            );
        }
        for (wrong, word) in [
            (json!({"dimension": 64}), "to"),
            (json!({"to": "small"}), "dimension"),
            (json!({"to": "small", "dimension": 6.4}), "dimension"),
            (json!({"to": "small", "dimension": -1}), "dimension"),
            (json!({"to": ["small"], "dimension": 64}), "to"),
            (json!({"to": "small", "dimension": 64, "whiten": 1}), "whiten"),
        ] {
            let error = parsed(wrong).unwrap_err();
            assert!(
                error.status == http::StatusCode::BAD_REQUEST && error.message.contains(word),
                "{error:?}"
            );
        }
    }
}
