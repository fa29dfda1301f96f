//! `/v2/vectordb/roles`: which roles there are, and what they may do. Works with authorization off, too.

use serde::Serialize;

use super::call::{Call, done};
use super::spec;
use crate::auth::{Grant, GrantRequest};
use crate::error::ApiError;
use crate::reply::Envelope;

/// An answer with a description beside its data.
#[derive(Serialize)]
struct Described<'a, T> {
    code: i32,
    data: T,
    description: &'a str,
}

/// The bytes of an answer with a description.
pub(super) fn described(data: impl Serialize, description: &str) -> Result<Vec<u8>, ApiError> {
    serde_json::to_vec(&Described { code: 0, data, description })
        .map_err(|e| ApiError::internal(format!("the answer could not be written: {e}")))
}

/// Names of all roles.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    call.body(&spec::DATABASE)?;
    Envelope::new(call.app.auth.list_roles()).into_bytes()
}

/// What a role may do.
pub(super) fn describe(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let role = call.app.auth.describe_role(&call.body(&spec::ROLE)?.required_text("roleName")?)?;
    let grants: Vec<Grant> = role.grants;
    described(grants, &role.description)
}

/// Adds a role.
pub(super) fn create(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::ROLE)?;
    let (name, description) =
        (body.required_text("roleName")?, body.get_or_default::<String>("description")?);
    call.app.auth.create_role(&name, &description)?;
    done()
}

/// Changes a role's description.
pub(super) fn alter(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::ROLE)?;
    let (name, description) =
        (body.required_text("roleName")?, body.get_or_default::<String>("description")?);
    call.app.auth.describe_role_as(&name, &description)?;
    done()
}

/// Removes a role.
pub(super) fn drop(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    call.app.auth.drop_role(&call.body(&spec::ROLE)?.required_text("roleName")?, false)?;
    done()
}

/// Lets a role do something, in Milvus's first form.
pub(super) fn grant_privilege(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    V1::read(call)?.apply(|role, request| call.app.auth.grant(call.asker, role, request))
}

/// Takes a right from a role, in Milvus's first form.
pub(super) fn revoke_privilege(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    V1::read(call)?.apply(|role, request| call.app.auth.revoke(call.asker, role, request))
}

/// Lets a role do something, in Milvus's second form.
pub(super) fn grant_privilege_v2(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    V2::read(call)?.apply(|role, request| call.app.auth.grant(call.asker, role, request))
}

/// Takes a right from a role, in Milvus's second form.
pub(super) fn revoke_privilege_v2(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    V2::read(call)?.apply(|role, request| call.app.auth.revoke(call.asker, role, request))
}

/// A body of Milvus's first form.
struct V1 {
    role: String,
    object_type: String,
    object_name: String,
    privilege: String,
    db: String,
}

impl V1 {
    fn read(call: &Call<'_>) -> Result<Self, ApiError> {
        let body = call.body(&spec::GRANT)?;
        Ok(Self {
            role: body.required_text("roleName")?,
            object_type: body.required_text("objectType")?,
            object_name: body.required_text("objectName")?,
            privilege: body.required_text("privilege")?,
            db: body.get_or_default("dbName")?,
        })
    }

    fn apply(
        &self,
        operation: impl FnOnce(&str, GrantRequest<'_>) -> Result<(), crate::auth::AuthError>,
    ) -> Result<Vec<u8>, ApiError> {
        let Self { role, object_type, object_name, privilege, db } = self;
        operation(role, GrantRequest::V1 { object_type, object_name, privilege, db })?;
        done()
    }
}

/// A body of Milvus's second form.
struct V2 {
    role: String,
    privilege: String,
    db: String,
    collection: String,
}

impl V2 {
    fn read(call: &Call<'_>) -> Result<Self, ApiError> {
        let body = call.body(&spec::GRANT_V2)?;
        Ok(Self {
            role: body.required_text("roleName")?,
            privilege: body.required_text("privilege")?,
            db: body.get_or_default("dbName")?,
            collection: body.get_or_default("collectionName")?,
        })
    }

    fn apply(
        &self,
        operation: impl FnOnce(&str, GrantRequest<'_>) -> Result<(), crate::auth::AuthError>,
    ) -> Result<Vec<u8>, ApiError> {
        let Self { role, privilege, db, collection } = self;
        operation(role, GrantRequest::V2 { privilege, db, collection })?;
        done()
    }
}
