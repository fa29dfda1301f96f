//! `POST /v1/embed`: the vector of one image, and which model made it. Nothing is stored. `model`, `input` and `pooling`
//! say how, or else the settings.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use elanus_embed::ModelIdentity;
use serde::Serialize;

use crate::app::{App, blocking};
use crate::error::ApiError;
use crate::images::{AskedDescriptor, intake};
use crate::reply::own_data;

#[derive(Serialize)]
struct Embedded {
    /// The canonical identity, which collections are stamped with.
    model: String,
    dimension: usize,
    /// The same identity in its parts.
    identity: ModelIdentity,
    vector: Vec<f32>,
}

pub(super) async fn embed(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let mut form = intake::read(request, app.config.limits.max_body_bytes).await?;
    let file = form.single_file()?;
    let (asked, shared) = (AskedDescriptor::of(&form)?, Arc::clone(&app));
    let descriptor = blocking(move || shared.images.complete(asked)).await?;
    let vector = app.images.vector(file.bytes, descriptor).await?;
    let identity = ModelIdentity::of(descriptor);
    Ok(own_data(Embedded { model: identity.to_string(), dimension: identity.dimension, identity, vector }))
}
