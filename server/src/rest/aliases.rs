//! `/v2/vectordb/aliases`: further names of collections.

use super::call::{Call, done};
use super::spec;
use crate::error::ApiError;
use crate::reply::Envelope;

/// Aliases of a database, or of one of its collections.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::OPTIONAL_COLLECTION_NAME)?;
    let collection: String = body.get_or_default("collectionName")?;
    let database = call.database(&body)?;
    let collection = Some(collection.as_str()).filter(|name| !name.is_empty());
    let aliases = call.app.engine.aliases(&database, collection)?;
    Envelope::new(aliases.into_keys().collect::<Vec<_>>()).into_bytes()
}

/// What an alias names.
pub(super) fn describe(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::ALIAS)?;
    let alias = body.required_text("aliasName")?;
    let database = call.database(&body)?;
    let collection = call.app.engine.alias(&database, &alias)?;
    let data = serde_json::json!({ "dbName": database, "collectionName": collection, "aliasName": alias });
    Envelope::new(data).into_bytes()
}

/// Gives a collection an alias.
pub(super) fn create(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    set(call, false)
}

/// Moves an alias to another collection.
pub(super) fn alter(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    set(call, true)
}

fn set(call: &Call<'_>, move_it: bool) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::ALIAS_COLLECTION)?;
    let collection = body.required_text("collectionName")?;
    let alias = body.required_text("aliasName")?;
    let database = call.database(&body)?;
    call.app.engine.set_alias(&database, &collection, &alias, move_it)?;
    done()
}

/// Takes an alias away; an unknown one is none already.
pub(super) fn drop(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::ALIAS)?;
    let alias = body.required_text("aliasName")?;
    let database = call.database(&body)?;
    call.app.engine.drop_alias(&database, &alias)?;
    done()
}
