//! Who there is, and which roles they have. Works with authorization off, too. Passwords come in Base64; what cannot be
//! read of one is not repeated.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::call::Call;
use super::common::Status;
use super::messages::{self, OperateUserRoleType, RoleEntity, UserEntity, UserResult};
use super::status::success;
use crate::auth::{AuthError, Privilege as P, UserInfo};
use crate::error::ApiError;

/// Adds a user.
pub(super) fn create(
    call: &Call<'_>,
    request: messages::CreateCredentialRequest,
) -> Result<Status, ApiError> {
    call.on_cluster(P::CreateOwnership)?;
    let description = request.description.unwrap_or_default();
    call.app().auth.create_user(&request.username, &password(&request.password)?, &description)?;
    Ok(success())
}

/// Changes a user's password, or description, or both.
pub(super) fn update(
    call: &Call<'_>,
    request: messages::UpdateCredentialRequest,
) -> Result<Status, ApiError> {
    call.on_user(P::UpdateUser, &request.username)?;
    let (auth, name) = (&call.app().auth, &request.username);
    let no_password = request.old_password.is_empty() && request.new_password.is_empty();
    match request.description {
        Some(description) if no_password => auth.describe_user_as(name, &description)?,
        description => {
            let (old, new) = (password(&request.old_password)?, password(&request.new_password)?);
            auth.update_password(name, &old, &new, description.as_deref())?;
        }
    }
    Ok(success())
}

/// A password from Base64.
fn password(text: &str) -> Result<String, ApiError> {
    let bytes = STANDARD.decode(text).ok();
    let password = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    password.ok_or_else(|| ApiError::invalid("the password is not Base64 of a text: invalid parameter"))
}

/// Removes a user; removing an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>, request: messages::DeleteCredentialRequest) -> Result<Status, ApiError> {
    call.on_cluster(P::DropOwnership)?;
    call.app().auth.drop_user(&request.username)?;
    Ok(success())
}

/// Names of all users.
pub(super) fn list(
    call: &Call<'_>,
    _: messages::ListCredUsersRequest,
) -> Result<messages::ListCredUsersResponse, ApiError> {
    call.on_cluster(P::SelectOwnership)?;
    Ok(messages::ListCredUsersResponse { status: Some(success()), usernames: call.app().auth.list_users() })
}

/// One user, or all, with their roles if those are asked for. An unknown user is none, which clients expect to be no
/// error.
pub(super) fn select(
    call: &Call<'_>,
    request: messages::SelectUserRequest,
) -> Result<messages::SelectUserResponse, ApiError> {
    let auth = &call.app().auth;
    let names = match request.user {
        Some(user) => {
            call.on_user(P::SelectUser, &user.name)?;
            vec![user.name]
        }
        None => {
            call.on_cluster(P::SelectOwnership)?;
            auth.list_users()
        }
    };
    let mut results = Vec::new();
    for name in names {
        match auth.describe_user(&name) {
            Ok(user) => results.push(described(name, user, request.include_role_info)),
            // There is none of that name.
            Err(AuthError::Invalid(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(messages::SelectUserResponse { status: Some(success()), results })
}

fn described(name: String, user: UserInfo, with_roles: bool) -> UserResult {
    let role = |name| RoleEntity { name, description: String::new() };
    let roles = if with_roles { user.roles.into_iter().map(role).collect() } else { Vec::new() };
    UserResult { user: Some(UserEntity { name }), roles, description: user.description }
}

/// Gives a user a role, or takes it away.
pub(super) fn operate_role(
    call: &Call<'_>,
    request: messages::OperateUserRoleRequest,
) -> Result<Status, ApiError> {
    call.on_cluster(P::ManageOwnership)?;
    let (auth, user, role) = (&call.app().auth, &request.username, &request.role_name);
    // A number that is none must not become the first of the list, which gives a right.
    match OperateUserRoleType::try_from(request.r#type) {
        Ok(OperateUserRoleType::AddUserToRole) => auth.grant_role(user, role)?,
        Ok(OperateUserRoleType::RemoveUserFromRole) => auth.revoke_role(user, role)?,
        Err(_) => return Err(unknown_operation(request.r#type)),
    }
    Ok(success())
}

/// What is to be done is a number that stands for nothing.
pub(super) fn unknown_operation(number: i32) -> ApiError {
    ApiError::invalid(format!("there is no operation of type {number}: invalid parameter"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_come_in_base64_and_are_not_repeated() {
        assert_eq!(password("TWlsdnVz").unwrap(), "Milvus");
        assert_eq!(password("").unwrap(), "");
        for wrong in ["Milvus!", "TWlsdnV", "//79"] {
            let error = password(wrong).unwrap_err();
            assert!(error.code == 1100 && !error.message.contains(wrong), "{}", error.message);
        }
    }
}
