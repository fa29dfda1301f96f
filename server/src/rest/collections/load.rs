//! Loading and releasing: see [`crate::service::load`].

use elanus_engine::Definition;

use crate::error::ApiError;
use crate::reply::Envelope;
use crate::rest::call::{Call, done, partitions};
use crate::rest::spec;
use crate::service;

/// The words for a collection that is loaded, and for one that is not.
pub(super) const LOADED: &str = "LoadStateLoaded";
const NOT_LOADED: &str = "LoadStateNotLoad";

/// The word for a collection.
pub(super) fn state(definition: &Definition) -> &'static str {
    if definition.is_loaded(&[]).unwrap_or(false) { LOADED } else { NOT_LOADED }
}

/// Whether a collection, or some of its partitions, were asked to be loaded.
pub(crate) fn get_load_state(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    let partitions = partitions(&body)?;
    let loaded = call.collection(&body)?.definition().is_loaded(&partitions)?;
    let data = match loaded {
        true => serde_json::json!({ "loadState": LOADED, "loadProgress": 100 }),
        false => serde_json::json!({ "loadState": NOT_LOADED }),
    };
    Envelope::new(data).message().into_bytes()
}

/// Notes that a collection is to be loaded.
pub(crate) fn load(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    let collection = call.collection(&body)?;
    service::load::load(&collection)?;
    done()
}

/// Notes that a collection is not needed for now.
pub(crate) fn release(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    let collection = call.collection(&body)?;
    service::load::release(&collection)?;
    done()
}
