//! The younger of the two: `/img/load`, `upload`, `search`, `count`, `drop`, `/progress` and `/data`, with answers in
//! JSON. Its search names images as `<collection>/<id>`, which `/data?image_path=` takes back; no other path is known.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::{answer, table};
use crate::app::App;
use crate::auth::Asker;
use crate::error::ApiError;
use crate::images::intake::{self, Form};
use crate::images::{AskedDescriptor, original_response};
use crate::jobs::{Job, JobState};

/// Results when the request does not say.
const DEFAULT_TOPK: usize = 10;
/// How often a load that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// The routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/img/load", post(load))
        .route("/img/upload", post(upload))
        .route("/img/search", post(search))
        .route("/img/count", post(count))
        .route("/img/drop", post(drop_table))
        .route("/progress", get(progress))
        .route("/data", get(data))
}

async fn read(app: &App, request: Request) -> Result<Form, ApiError> {
    intake::read(request, app.config.limits.max_body_bytes).await
}

/// As the old server, this answers when everything is loaded. A client that goes away does not stop the import.
async fn load(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Result<Json<&'static str>, ApiError> {
    let form = read(&app, request).await?;
    let job = table::load(&app, &asker, &form).await?;
    ended(&app, &job).await?;
    Ok(Json("Successfully loaded data!"))
}

async fn ended(app: &App, job: &Job) -> Result<(), ApiError> {
    loop {
        match job.state() {
            JobState::Done => return Ok(()),
            JobState::Cancelled => return Err(ApiError::conflict("the import was cancelled")),
            JobState::Failed => {
                return Err(ApiError::internal(
                    job.record().message.unwrap_or_else(|| "the import failed".to_owned()),
                ));
            }
            JobState::Queued | JobState::Running if app.shutdown.is_triggered() => {
                return Err(ApiError::unavailable(
                    "the server is stopping; the import goes on at the next start",
                ));
            }
            JobState::Queued | JobState::Running => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn upload(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Result<Json<String>, ApiError> {
    let mut form = read(&app, request).await?;
    if form.text(&["url"])?.is_some_and(|url| !url.is_empty()) {
        return Err(ApiError::invalid(
            "this server fetches nothing from other places: send the image itself",
        ));
    }
    let table = table::name(&form, &["table_name", "Table"])?;
    let file = form.single_file()?;
    let (asked, may_create) = (AskedDescriptor::default(), app.may_create(&asker));
    let mut added = app.images.add(&table, vec![file], Vec::new(), asked, may_create).await?;
    match (added.ids.pop(), added.refused.pop()) {
        (Some(id), _) => Ok(Json(format!("Successfully loaded data: {id}"))),
        (None, Some(refused)) => Err(refused.error.within(&refused.name)),
        (None, None) => Err(ApiError::internal("an upload without a result")),
    }
}

/// A list of `[name, distance]`, nearest first, as the old server made by sorting its results.
async fn search(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let mut form = read(&app, request).await?;
    let table = table::name(&form, &["table_name", "Table"])?;
    let topk = form.count(&["topk"])?.unwrap_or(DEFAULT_TOPK);
    let found = table::search(&app, &table, &mut form, topk).await?;
    let named = |(id, distance)| (format!("{table}/{id}"), distance);
    let hits: Vec<(String, f64)> = answer::distances(&found).into_iter().map(named).collect();
    Ok(Json(hits).into_response())
}

async fn count(State(app): State<Arc<App>>, request: Request) -> Result<Json<u64>, ApiError> {
    let form = read(&app, request).await?;
    Ok(Json(table::count(&app, table::name(&form, &["table_name", "Table"])?).await?))
}

async fn drop_table(State(app): State<Arc<App>>, request: Request) -> Result<Json<&'static str>, ApiError> {
    let form = read(&app, request).await?;
    table::drop_table(&app, table::name(&form, &["table_name", "Table"])?).await?;
    Ok(Json("ok"))
}

async fn progress(State(app): State<Arc<App>>) -> Json<String> {
    Json(answer::progress(&app.jobs))
}

async fn data(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let headers = request.headers().clone();
    let form = read(&app, request).await?;
    let given = form.text(&["image_path"])?.unwrap_or_default();
    let (collection, id) = parse_image_path(&given).ok_or_else(|| {
        ApiError::invalid("image_path must be the name of an image as a search gives it: <collection>/<id>")
    })?;
    original_response(&app.images, collection.to_owned(), id.to_owned(), &headers).await
}

/// Collection and id of a name that a search gave. Anything that could be a path of the file system is none.
fn parse_image_path(name: &str) -> Option<(&str, &str)> {
    let (collection, id) = name.split_once('/')?;
    let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    (plain(collection) && plain(id)).then_some((collection, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_search_gave_are_images() {
        assert_eq!(parse_image_path("images/12"), Some(("images", "12")));
        for path in [
            "",
            "images",
            "/images/12",
            "images/12/..",
            "../12",
            "images/../12",
            "/etc/passwd",
            "a/b.jpg",
            "a/",
            "a\\b/1",
        ] {
            assert_eq!(parse_image_path(path), None, "{path}");
        }
    }
}
