//! Loading and releasing. Nothing has to be loaded to be read; what clients have asked for is kept and told, because
//! they wait for it, and because some changes want a release first. Who releases a collection means it: it is read again
//! when it is loaded.

use elanus_engine::Collection;

use crate::error::ApiError;

/// Notes that a collection is to be loaded. Its vector fields need indexes, as in Milvus.
///
/// # Errors
/// 1100 when one has none; the engine's.
pub(crate) fn load(collection: &Collection) -> Result<(), ApiError> {
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
    Ok(())
}

/// Notes that a collection is not needed for now: it is not read until it is loaded.
///
/// # Errors
/// The engine's.
pub(crate) fn release(collection: &Collection) -> Result<(), ApiError> {
    if collection.definition().is_loaded(&[])? {
        collection.set_loaded(&[], false)?;
    }
    Ok(())
}
