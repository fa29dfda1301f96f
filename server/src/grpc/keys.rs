//! Primary keys in messages.

use elanus_engine::row::Keys;
use elanus_engine::schema::Field;

use super::wire_schema::i_ds::IdField;
use super::wire_schema::{IDs, LongArray, StringArray};
use crate::error::ApiError;

/// Keys as clients get them.
pub(super) fn write(keys: Keys) -> IDs {
    let field = match keys {
        Keys::Int(data) => IdField::IntId(LongArray { data }),
        Keys::Text(data) => IdField::StrId(StringArray { data }),
    };
    IDs { id_field: Some(field) }
}

/// Keys that a client gives for this key field.
///
/// # Errors
/// 1100 when they are of another kind.
pub(super) fn read(field: &Field, ids: IDs) -> Result<Keys, ApiError> {
    let keys = match ids.id_field {
        Some(IdField::IntId(ids)) => Keys::Int(ids.data),
        Some(IdField::StrId(ids)) => Keys::Text(ids.data),
        None => Keys::empty(field.data_type),
        Some(IdField::UuidId(_)) => return Err(ApiError::unsupported("a UUID as a primary key")),
    };
    if keys.fits(field.data_type) {
        return Ok(keys);
    }
    Err(ApiError::invalid(format!(
        "the ids are of another kind than the primary key {}, which is {}: invalid parameter",
        field.name, field.data_type
    )))
}
