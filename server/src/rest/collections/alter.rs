//! Changing a collection: its name, properties and fields, or emptying it.

use std::collections::BTreeMap;

use elanus_engine::schema::check_collection_name;

use super::field::{read_field, text_of_param};
use super::index::texts;
use crate::body::Object;
use crate::error::ApiError;
use crate::rest::call::{Call, done};
use crate::rest::spec;
use crate::service::properties;

/// Gives a collection another name, and another database if one is named.
pub(crate) fn rename(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::RENAME)?;
    let old = body.required_text("collectionName")?;
    let new = body.required_text("newCollectionName")?;
    let database = call.database(&body)?;
    let target: String = body.get_or_default("newDbName")?;
    let target = if target.is_empty() { database.clone() } else { target };
    check_collection_name(&new)?;
    call.app.engine.rename((&database, &old), (&target, &new))?;
    done()
}

/// Deletes all rows.
pub(crate) fn truncate(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    call.collection(&body)?.truncate()?;
    done()
}

/// Sets properties. Values of any type are stored as text.
pub(crate) fn alter_properties(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_PROPERTIES)?;
    let given = texts(&body.object("properties")?);
    let collection = call.collection(&body)?;
    let properties = properties::to_alter(given)?;
    collection.set_properties(properties)?;
    done()
}

/// Removes properties.
pub(crate) fn drop_properties(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::DROP_COLLECTION_PROPERTIES)?;
    let keys: Vec<String> = body.get_or_default("propertyKeys")?;
    let collection = call.collection(&body)?;
    if keys.is_empty() {
        return Err(ApiError::invalid(
            "The collection properties to alter and keys to delete must not be empty at the same time: invalid parameter",
        ));
    }
    collection.drop_properties(&keys)?;
    done()
}

/// Adds a field that may be null.
pub(crate) fn add_field(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::FIELD_WITH_SCHEMA)?;
    let field = read_field(body.required("schema")?)?;
    call.collection(&body)?.add_field(field)?;
    done()
}

/// Removes a field, by name or number.
pub(crate) fn drop_field(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::FIELD)?;
    let name: String = body.get_or_default("fieldName")?;
    let id: Option<i64> = body.get("fieldId")?;
    let collection = call.collection(&body)?;
    let schema = collection.schema();
    let by_id = || schema.fields().iter().find(|field| Some(field.id) == id).map(|field| field.name.clone());
    let name = match name.is_empty() {
        false => name,
        true => by_id().ok_or_else(|| {
            ApiError::invalid(format!(
                "field not found[fieldId={}]: invalid parameter",
                id.unwrap_or_default()
            ))
        })?,
    };
    collection.drop_field(&name)?;
    done()
}

/// Changes sizes and further parameters of a field.
pub(crate) fn alter_field_properties(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::FIELD_WITH_PARAMS)?;
    let name = body.required_text("fieldName")?;
    let params = field_params(&body)?;
    let collection = call.collection(&body)?;
    collection.alter_field(&name, &params)?;
    done()
}

fn field_params(body: &Object<'_>) -> Result<BTreeMap<String, String>, ApiError> {
    let params = body.object("fieldParams")?;
    Ok(params.members().iter().map(|(key, raw)| (key.to_string(), text_of_param(raw))).collect())
}

/// Functions are part of a schema from the start.
pub(crate) fn add_function(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::FUNCTION)?;
    call.collection(&body)?;
    Err(ApiError::unsupported("changing the functions of a collection that is there"))
}
