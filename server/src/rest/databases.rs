//! `/v2/vectordb/databases`: groups of collections with names of their own.

use serde::Serialize;

use super::call::{Call, done};
use super::collections::texts;
use super::spec;
use crate::error::ApiError;
use crate::reply::{Envelope, KeyValue};

#[derive(Serialize)]
struct Description {
    #[serde(rename = "dbName")]
    name: String,
    #[serde(rename = "dbID")]
    id: u64,
    properties: Vec<KeyValue>,
}

/// Names of all databases.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    call.body(&spec::EMPTY)?;
    Envelope::new(call.app.engine.databases().into_keys().collect::<Vec<_>>()).into_bytes()
}

/// A database in full.
pub(super) fn describe(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::DATABASE_NAME)?;
    let name = body.required_text("dbName")?;
    call.app.engine.check_database(&name)?;
    let database = call.app.engine.databases().remove(&name).unwrap_or_default();
    let properties = database.properties.into_iter().map(|(key, value)| KeyValue::new(key, value));
    Envelope::new(Description { name, id: database.id, properties: properties.collect() }).into_bytes()
}

/// Adds a database.
pub(super) fn create(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::DATABASE_PROPERTIES)?;
    let name = body.required_text("dbName")?;
    call.app.engine.create_database(&name, texts(&body.object("properties")?))?;
    done()
}

/// Removes an empty database; dropping an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::DATABASE_NAME)?;
    let name = body.required_text("dbName")?;
    call.app.engine.drop_database(&name)?;
    done()
}

/// Sets properties.
pub(super) fn alter(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::DATABASE_PROPERTIES)?;
    let name = body.required_text("dbName")?;
    call.app.engine.alter_database(&name, texts(&body.object("properties")?), &[])?;
    done()
}

/// Removes properties.
pub(super) fn drop_properties(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::DROP_DATABASE_PROPERTIES)?;
    let name = body.required_text("dbName")?;
    let keys: Vec<String> = body.get_or_default("propertyKeys")?;
    call.app.engine.alter_database(&name, std::collections::BTreeMap::new(), &keys)?;
    done()
}
