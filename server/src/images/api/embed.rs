//! `POST /v1/embed`: the vector of one image, and which model made it. Nothing is stored.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;

use crate::app::App;
use crate::error::ApiError;
use crate::images::intake;
use crate::reply::own_data;

#[derive(Serialize)]
struct Embedded<'a> {
    /// The canonical identity, which collections are stamped with.
    model: String,
    dimension: usize,
    /// The same identity in its parts.
    identity: &'a elanus_embed::ModelIdentity,
    vector: Vec<f32>,
}

pub(super) async fn embed(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let mut form = intake::read(request, app.config.limits.max_body_bytes).await?;
    let file = form.single_file()?;
    let vector = app.images.vector(file.bytes).await?;
    let model = app.images.wait_model().await?;
    let identity = model.identity();
    Ok(own_data(Embedded { model: identity.to_string(), dimension: identity.dimension, identity, vector }))
}
