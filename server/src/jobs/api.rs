//! `/v1/jobs`: begin, list, look at and cancel imports.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Path, Request, State};
use axum::response::Response;
use axum::routing::{get, post};

use super::DEFAULT_COLLECTION;
use super::state::JobView;
use crate::app::{App, blocking};
use crate::auth::Asker;
use crate::error::ApiError;
use crate::images::{AskedDescriptor, intake};
use crate::reply::own_data;

/// The routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/jobs", get(list).post(create))
        .route("/v1/jobs/{id}", get(look).delete(remove))
        .route("/v1/jobs/{id}/cancel", post(cancel))
}

async fn create(
    State(app): State<Arc<App>>,
    Extension(asker): Extension<Asker>,
    request: Request,
) -> Result<Response, ApiError> {
    let form = intake::read(request, app.config.limits.max_body_bytes).await?;
    let folder = form.text(&["folder"])?.ok_or_else(|| ApiError::invalid("name the folder to import"))?;
    let collection = form.text(&["collection"])?.unwrap_or_else(|| DEFAULT_COLLECTION.to_owned());
    let asked = AskedDescriptor::of(&form)?;
    let (jobs, may_create) = (Arc::clone(&app.jobs), app.may_create(&asker));
    let job = blocking(move || jobs.create(&collection, &folder, asked, &may_create)).await?;
    Ok(own_data(job.view()))
}

async fn list(State(app): State<Arc<App>>) -> Response {
    let views: Vec<JobView> = app.jobs.list().iter().map(|job| job.summary()).collect();
    own_data(views)
}

async fn look(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    Ok(own_data(app.jobs.get(&id)?.view()))
}

async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let job = app.jobs.get(&id)?;
    let jobs = Arc::clone(&app.jobs);
    let view = blocking(move || {
        jobs.cancel(&job);
        Ok(job.view())
    });
    Ok(own_data(view.await?))
}

async fn remove(State(app): State<Arc<App>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let job = app.jobs.get(&id)?;
    let jobs = Arc::clone(&app.jobs);
    let view = blocking(move || {
        jobs.remove(&job);
        Ok(job.view())
    });
    Ok(own_data(view.await?))
}
