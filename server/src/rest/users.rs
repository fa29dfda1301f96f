//! `/v2/vectordb/users`: who there is, and which roles they have. Works with authorization off, too.

use super::call::{Call, done};
use super::roles::described;
use super::spec;
use crate::error::ApiError;
use crate::reply::Envelope;

/// Names of all users.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    call.body(&spec::DATABASE)?;
    Envelope::new(call.app.auth.list_users()).into_bytes()
}

/// Names of a user's roles.
pub(super) fn describe(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let user = call.app.auth.describe_user(&call.body(&spec::USER)?.required_text("userName")?)?;
    described(user.roles, &user.description)
}

/// Adds a user.
pub(super) fn create(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::PASSWORD)?;
    let (name, password) = (body.required_text("userName")?, body.required_text("password")?);
    let description: String = body.get_or_default("description")?;
    call.app.auth.create_user(&name, &password, &description)?;
    done()
}

/// Changes a user's password, or description, or both.
pub(super) fn update_password(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::NEW_PASSWORD)?;
    let name = body.required_text("userName")?;
    let description = body.get::<String>("description")?;
    let (old, new) = (body.get::<String>("password")?, body.get::<String>("newPassword")?);
    if old.is_some() || new.is_some() || description.is_none() {
        let (old, new) = (body.required_text("password")?, body.required_text("newPassword")?);
        call.app.auth.update_password(&name, &old, &new, description.as_deref())?;
    } else if let Some(description) = description {
        call.app.auth.describe_user_as(&name, &description)?;
    }
    done()
}

/// Removes a user; removing an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    call.app.auth.drop_user(&call.body(&spec::USER)?.required_text("userName")?)?;
    done()
}

/// Gives a user a role.
pub(super) fn grant_role(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let (user, role) = user_and_role(call)?;
    call.app.auth.grant_role(&user, &role)?;
    done()
}

/// Takes a role from a user.
pub(super) fn revoke_role(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let (user, role) = user_and_role(call)?;
    call.app.auth.revoke_role(&user, &role)?;
    done()
}

fn user_and_role(call: &Call<'_>) -> Result<(String, String), ApiError> {
    let body = call.body(&spec::USER_ROLE)?;
    Ok((body.required_text("userName")?, body.required_text("roleName")?))
}
