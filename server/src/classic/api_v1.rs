//! The older of the two: `/api/v1/train`, `process`, `count`, `search`, `delete`, with answers in plain text, and
//! `/data/{collection}/{id}` for the images that its search names.

use std::sync::Arc;

use axum::extract::{Extension, Path, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};

use super::{answer, table};
use crate::app::App;
use crate::auth::Asker;
use crate::error::ApiError;
use crate::images::intake::{self, Form};
use crate::images::original_response;

/// Results when the request does not say.
const DEFAULT_NUM: usize = 1;

/// The routes.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/api/v1/train", post(train))
        .route("/api/v1/process", get(process).post(process))
        .route("/api/v1/count", post(count))
        .route("/api/v1/search", post(search))
        .route("/api/v1/delete", post(delete))
        .route("/data/{collection}/{id}", get(data))
}

async fn read(app: &App, request: Request) -> Result<Form, ApiError> {
    intake::read(request, app.config.limits.max_body_bytes).await
}

async fn train(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Result<&'static str, ApiError> {
    let form = read(&app, request).await?;
    table::load(&app, &asker, &form).await?;
    Ok("Start")
}

async fn process(State(app): State<Arc<App>>) -> String {
    answer::progress(&app.jobs)
}

async fn count(State(app): State<Arc<App>>, request: Request) -> Result<String, ApiError> {
    let form = read(&app, request).await?;
    Ok(table::count(&app, table::name(&form, &["Table"])?).await?.to_string())
}

/// Pairs of an address and a distance, nearest first.
async fn search(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let host = answer::host(request.headers(), request.uri(), app.config.listen);
    let mut form = read(&app, request).await?;
    let table = table::name(&form, &["Table"])?;
    let num = form.count(&["Num"])?.unwrap_or(DEFAULT_NUM);
    let found = table::search(&app, &table, &mut form, num).await?;
    let address = |(id, distance)| (format!("http://{host}/data/{table}/{id}"), distance);
    let pairs: Vec<(String, f64)> = answer::distances(&found).into_iter().map(address).collect();
    Ok(Json(pairs).into_response())
}

async fn delete(State(app): State<Arc<App>>, request: Request) -> Result<&'static str, ApiError> {
    let form = read(&app, request).await?;
    table::drop_table(&app, table::name(&form, &["Table"])?).await?;
    Ok("Status(code=0, message='Delete table successfully!')")
}

async fn data(
    State(app): State<Arc<App>>,
    Path((collection, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    original_response(&app.images, collection, id, &headers).await
}
