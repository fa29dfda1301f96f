//! `GET /v1/models`: how the photos of a new collection can become vectors.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use elanus_embed::{Descriptor, ModelKey, Pooling, Recipe};
use serde::Serialize;

use crate::app::{App, blocking};
use crate::error::ApiError;
use crate::reply::own_data;

#[derive(Serialize)]
struct Choices {
    /// What a request that says nothing gets.
    default: Choice,
    /// The carried model, then those of weights files.
    models: Vec<ModelChoices>,
}

#[derive(Serialize)]
struct Choice {
    model: String,
    input: Recipe,
    pooling: Pooling,
}

/// A model and the words that make sense with it, its standard first.
#[derive(Serialize)]
struct ModelChoices {
    model: String,
    dimension: usize,
    inputs: &'static [Recipe],
    poolings: &'static [Pooling],
}

impl From<ModelKey> for ModelChoices {
    fn from(model: ModelKey) -> Self {
        let network = model.network;
        Self {
            model: model.to_string(),
            dimension: network.dimension(),
            inputs: network.recipes(),
            poolings: network.poolings(),
        }
    }
}

pub(super) async fn models(State(app): State<Arc<App>>) -> Result<Response, ApiError> {
    let Descriptor { model, recipe: input, pooling } = app.images.default_descriptor();
    let default = Choice { model: model.to_string(), input, pooling };
    let models = blocking(move || app.images.available_models()).await?;
    Ok(own_data(Choices { default, models: models.into_iter().map(ModelChoices::from).collect() }))
}
