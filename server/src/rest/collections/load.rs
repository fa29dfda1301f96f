//! Loading and releasing. Nothing has to be loaded to be read; what clients have asked for is kept and told, because
//! they wait for it, and because some changes want a release first. Who releases a collection means it: it is read again
//! when it is loaded.

use elanus_engine::Definition;

use crate::error::ApiError;
use crate::reply::Envelope;
use crate::rest::call::{Call, done, partitions};
use crate::rest::spec;

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

/// Notes that a collection is to be loaded. Its vector fields need indexes, as in Milvus.
pub(crate) fn load(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    let collection = call.collection(&body)?;
    let definition = collection.definition();
    let indexed = |name: &str| definition.indexes.iter().any(|index| index.field == name);
    let fields = definition.schema.vector_fields().map(|field| field.name.as_str());
    let bare: Vec<&str> = fields.filter(|name| !indexed(name)).collect();
    if !bare.is_empty() {
        return Err(ApiError::invalid(format!(
            "there is no vector index on field: [{}], please create index firstly: invalid parameter",
            bare.join(", ")
        )));
    }
    if !definition.is_loaded(&[])? || definition.partitions().iter().any(|partition| !partition.loaded) {
        collection.set_loaded(&[], true)?;
    }
    done()
}

/// Notes that a collection is not needed for now: it is not read until it is loaded.
pub(crate) fn release(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    let collection = call.collection(&body)?;
    if collection.definition().is_loaded(&[])? {
        collection.set_loaded(&[], false)?;
    }
    done()
}
