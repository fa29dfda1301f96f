//! Which roles there are, and what they may do; groups of privileges, to be granted together. Works with authorization
//! off, too. Names of privileges are told as they were granted.

use super::call::Call;
use super::common::Status;
use super::messages::{
    self, GrantEntity, GrantorEntity, ObjectEntity, OperatePrivilegeGroupType, OperatePrivilegeType,
    PrivilegeEntity, RoleEntity, RoleResult, UserEntity,
};
use super::status::success;
use super::users::unknown_operation;
use crate::auth::{Grant, GrantRequest, Privilege as P};
use crate::error::ApiError;

/// Adds a role.
pub(super) fn create(call: &Call<'_>, request: messages::CreateRoleRequest) -> Result<Status, ApiError> {
    call.on_cluster(P::CreateOwnership)?;
    let role = request.entity.unwrap_or_default();
    call.app().auth.create_role(&role.name, &role.description)?;
    Ok(success())
}

/// Changes a role's description.
pub(super) fn alter(call: &Call<'_>, request: messages::AlterRoleRequest) -> Result<Status, ApiError> {
    call.on_cluster(P::ManageOwnership)?;
    call.app().auth.describe_role_as(&request.role_name, &request.description)?;
    Ok(success())
}

/// Removes a role; one with grants only by force.
pub(super) fn drop(call: &Call<'_>, request: messages::DropRoleRequest) -> Result<Status, ApiError> {
    call.on_cluster(P::DropOwnership)?;
    call.app().auth.drop_role(&request.role_name, request.force_drop)?;
    Ok(success())
}

/// One role, or all, with the users who have them if those are asked for. Whoever has a role may look at it, but not at
/// who else has it.
pub(super) fn select(
    call: &Call<'_>,
    request: messages::SelectRoleRequest,
) -> Result<messages::SelectRoleResponse, ApiError> {
    let auth = &call.app().auth;
    let names = match request.role {
        Some(role) => {
            match request.include_user_info {
                true => call.on_cluster(P::SelectOwnership)?,
                false => call.on_role(P::SelectOwnership, &role.name)?,
            }
            auth.describe_role(&role.name)?;
            vec![role.name]
        }
        None => {
            call.on_cluster(P::SelectOwnership)?;
            auth.list_roles()
        }
    };
    let users = if request.include_user_info { auth.list_users() } else { Vec::new() };
    // Who is dropped meanwhile has none.
    let roles_of = |user: String| auth.describe_user(&user).ok().map(|info| (user, info.roles));
    let users: Vec<(String, Vec<String>)> = users.into_iter().filter_map(roles_of).collect();
    let result = |name: String| {
        let having = users.iter().filter(|(_, roles)| roles.contains(&name));
        let users = having.map(|(user, _)| UserEntity { name: user.clone() }).collect();
        let description = auth.describe_role(&name).map(|role| role.description).unwrap_or_default();
        RoleResult { role: Some(RoleEntity { name, description }), users }
    };
    Ok(messages::SelectRoleResponse {
        status: Some(success()),
        results: names.into_iter().map(result).collect(),
    })
}

/// What a role may do; only with an object, or in a database, if those are named.
pub(super) fn select_grant(
    call: &Call<'_>,
    request: messages::SelectGrantRequest,
) -> Result<messages::SelectGrantResponse, ApiError> {
    let entity = request.entity.unwrap_or_default();
    let role = entity.role.unwrap_or_default().name;
    if role.is_empty() {
        return Err(ApiError::invalid("the role name should not be empty: invalid parameter"));
    }
    call.on_role(P::SelectOwnership, &role)?;
    let object = entity.object.unwrap_or_default().name;
    let wanted = |grant: &Grant| {
        let fits = |wanted: &str, has: &str| wanted.is_empty() || wanted == has;
        fits(&object, grant.object_type.name())
            && fits(&entity.object_name, &grant.object_name)
            && (fits(&entity.db_name, &grant.db_name) || entity.db_name == "*" || grant.db_name == "*")
    };
    let grants = call.app().auth.describe_role(&role)?.grants;
    let entities = grants.into_iter().filter(wanted).map(|grant| granted(&role, grant)).collect();
    Ok(messages::SelectGrantResponse { status: Some(success()), entities })
}

fn granted(role: &str, grant: Grant) -> GrantEntity {
    let role = RoleEntity { name: role.to_owned(), description: String::new() };
    let grantor = GrantorEntity {
        user: Some(UserEntity { name: grant.grantor }),
        privilege: Some(PrivilegeEntity { name: grant.privilege }),
    };
    GrantEntity {
        role: Some(role),
        object: Some(ObjectEntity { name: grant.object_type.name().to_owned() }),
        object_name: grant.object_name,
        grantor: Some(grantor),
        db_name: grant.db_name,
    }
}

/// Lets a role do something, or takes the right away, in Milvus's first form, or in its second where the request says
/// so.
pub(super) fn operate_privilege(
    call: &Call<'_>,
    request: messages::OperatePrivilegeRequest,
) -> Result<Status, ApiError> {
    call.on_cluster(P::ManageOwnership)?;
    let entity = request.entity.unwrap_or_default();
    let role = entity.role.unwrap_or_default().name;
    let object_type = entity.object.unwrap_or_default().name;
    let privilege = privilege(entity.grantor);
    let db = call.database(&entity.db_name);
    let grant = match request.version.as_str() {
        "" | "v1" => GrantRequest::V1 {
            object_type: &object_type,
            object_name: &entity.object_name,
            privilege: &privilege,
            db,
        },
        "v2" => GrantRequest::V2 { privilege: &privilege, db, collection: &entity.object_name },
        other => {
            return Err(ApiError::invalid(format!("grants have no version {other}: invalid parameter")));
        }
    };
    operate(call, request.r#type, &role, grant)
}

/// The same in Milvus's second form.
pub(super) fn operate_privilege_v2(
    call: &Call<'_>,
    request: messages::OperatePrivilegeV2Request,
) -> Result<Status, ApiError> {
    call.on_cluster(P::ManageOwnership)?;
    let role = request.role.unwrap_or_default().name;
    let privilege = privilege(request.grantor);
    let (db, collection) = (call.database(&request.db_name), request.collection_name.as_str());
    operate(call, request.r#type, &role, GrantRequest::V2 { privilege: &privilege, db, collection })
}

fn privilege(grantor: Option<GrantorEntity>) -> String {
    grantor.and_then(|grantor| grantor.privilege).unwrap_or_default().name
}

fn operate(call: &Call<'_>, kind: i32, role: &str, grant: GrantRequest<'_>) -> Result<Status, ApiError> {
    let auth = &call.app().auth;
    // A number that is none must not become the first of the list, which gives a right.
    match OperatePrivilegeType::try_from(kind) {
        Ok(OperatePrivilegeType::Grant) => auth.grant(call.asker(), role, grant)?,
        Ok(OperatePrivilegeType::Revoke) => auth.revoke(call.asker(), role, grant)?,
        Err(_) => return Err(unknown_operation(kind)),
    }
    Ok(success())
}

/// Adds a group of privileges.
pub(super) fn create_group(
    call: &Call<'_>,
    request: messages::CreatePrivilegeGroupRequest,
) -> Result<Status, ApiError> {
    call.on_cluster(P::CreatePrivilegeGroup)?;
    call.app().auth.create_group(&request.group_name)?;
    Ok(success())
}

/// Removes a group; removing an unknown one succeeds.
pub(super) fn drop_group(
    call: &Call<'_>,
    request: messages::DropPrivilegeGroupRequest,
) -> Result<Status, ApiError> {
    call.on_cluster(P::DropPrivilegeGroup)?;
    call.app().auth.drop_group(&request.group_name)?;
    Ok(success())
}

/// The groups that users made.
pub(super) fn list_groups(
    call: &Call<'_>,
    _: messages::ListPrivilegeGroupsRequest,
) -> Result<messages::ListPrivilegeGroupsResponse, ApiError> {
    call.on_cluster(P::ListPrivilegeGroups)?;
    let group = |(group_name, held): (String, Vec<String>)| messages::PrivilegeGroupInfo {
        group_name,
        privileges: held.into_iter().map(|name| PrivilegeEntity { name }).collect(),
    };
    Ok(messages::ListPrivilegeGroupsResponse {
        status: Some(success()),
        privilege_groups: call.app().auth.list_groups().into_iter().map(group).collect(),
    })
}

/// Adds privileges to a group, or takes them out.
pub(super) fn operate_group(
    call: &Call<'_>,
    request: messages::OperatePrivilegeGroupRequest,
) -> Result<Status, ApiError> {
    call.on_cluster(P::OperatePrivilegeGroup)?;
    let auth = &call.app().auth;
    let privileges: Vec<String> = request.privileges.into_iter().map(|privilege| privilege.name).collect();
    match OperatePrivilegeGroupType::try_from(request.r#type) {
        Ok(OperatePrivilegeGroupType::AddPrivilegesToGroup) => {
            auth.add_to_group(&request.group_name, &privileges)?;
        }
        Ok(OperatePrivilegeGroupType::RemovePrivilegesFromGroup) => {
            auth.remove_from_group(&request.group_name, &privileges)?;
        }
        Err(_) => return Err(unknown_operation(request.r#type)),
    }
    Ok(success())
}
