//! What can be done with roles and their grants. Every method here is blocking. Grants have Milvus's two forms: the
//! first names an object type and one privilege of it; the second names a privilege or a group, a database and a
//! collection.

use super::error::{AuthError, Result};
use super::gate::DEFAULT_DATABASE;
use super::name::{check_description, check_name, check_object};
use super::privilege::{Level, ObjectType, Privilege, built_in_level};
use super::store::{ADMIN, ANY, Grant, PUBLIC, ROOT, Role, Table};
use super::{Asker, Auth};

/// Roles there may be beside the built-in ones, as in Milvus.
const MAX_ROLES: usize = 10;
/// Grants a role may have.
const MAX_GRANTS: usize = 4096;
/// Another name for `*`, as a privilege.
pub(super) const ALL: &str = "All";

/// A role as others may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleInfo {
    /// What it may do.
    pub grants: Vec<Grant>,
    /// What an operator wrote of it.
    pub description: String,
}

/// What to grant or revoke, as a client says it.
#[derive(Debug, Clone, Copy)]
pub enum GrantRequest<'a> {
    /// Milvus's first form.
    V1 {
        /// `Global`, `Collection` or `User`.
        object_type: &'a str,
        /// Name of a collection or user, or `*`.
        object_name: &'a str,
        /// A privilege of that type, or `*`.
        privilege: &'a str,
        /// A database, or `*`; empty: the default one.
        db: &'a str,
    },
    /// Milvus's second form.
    V2 {
        /// A privilege, a group, or `*`.
        privilege: &'a str,
        /// A database, or `*`; empty: the default one.
        db: &'a str,
        /// A collection, or `*`.
        collection: &'a str,
    },
}

impl Auth {
    /// Names of all roles, the built-in ones first.
    pub fn list_roles(&self) -> Vec<String> {
        let table = self.store.table();
        let made = table.roles.keys().filter(|name| !is_built_in(name)).cloned();
        [ADMIN.to_owned(), PUBLIC.to_owned()].into_iter().chain(made).collect()
    }

    /// What is known of a role.
    ///
    /// # Errors
    /// `Refused` when there is none of that name.
    pub fn describe_role(&self, name: &str) -> Result<RoleInfo> {
        let table = self.store.table();
        let role = table.roles.get(name).ok_or_else(unknown_role)?;
        Ok(RoleInfo { grants: role.grants.clone(), description: role.description.clone() })
    }

    /// Adds a role that may do nothing yet.
    ///
    /// # Errors
    /// `Invalid` for a name against the rules; `Refused` for one that is taken, or one role too many; `Storage`.
    pub fn create_role(&self, name: &str, description: &str) -> Result<()> {
        check_name(name, "role name")?;
        check_description(description)?;
        self.store.change(|table| {
            if table.roles.contains_key(name) {
                return Err(AuthError::Refused(format!("role [{name}] already exists")));
            }
            if table.roles.keys().filter(|name| !is_built_in(name)).count() >= MAX_ROLES {
                let message = "unable to create role because the number of roles has reached the limit";
                return Err(AuthError::Refused(message.into()));
            }
            table.roles.insert(name.to_owned(), Role { grants: Vec::new(), description: description.into() });
            Ok(())
        })
    }

    /// Changes what an operator wrote of a role.
    ///
    /// # Errors
    /// `Refused` for an unknown role, `Invalid` for a text too long; `Storage`.
    pub fn describe_role_as(&self, name: &str, description: &str) -> Result<()> {
        check_description(description)?;
        self.store.change(|table| {
            table.roles.get_mut(name).ok_or_else(unknown_role)?.description = description.to_owned();
            Ok(())
        })
    }

    /// Removes a role, also from the users who have it. A role with grants is only removed by `force`.
    ///
    /// # Errors
    /// `NotPermitted` for a built-in role, `Refused` for an unknown one or one with grants; `Storage`.
    pub fn drop_role(&self, name: &str, force: bool) -> Result<()> {
        if is_built_in(name) {
            let message = format!("the role[{name}] is a builtin role, which can't be dropped");
            return Err(AuthError::NotPermitted(message));
        }
        self.store.change(|table| {
            let role = table.roles.get(name).ok_or_else(unknown_role)?;
            if !force && !role.grants.is_empty() {
                let message =
                    "fail to drop the role that it has privileges. Use REVOKE API to revoke privileges";
                return Err(AuthError::Refused(message.into()));
            }
            table.roles.remove(name);
            for user in table.users.values_mut() {
                user.roles.remove(name);
            }
            Ok(())
        })
    }

    /// Lets a role do something; granting it again succeeds.
    ///
    /// # Errors
    /// `Refused` for an unknown role, object type or privilege; `Invalid` for an object against the rules; `Storage`.
    pub fn grant(&self, asker: &Asker, role: &str, request: GrantRequest<'_>) -> Result<()> {
        self.store.change(|table| {
            let grant = checked(table, asker, request)?;
            let role = table.roles.get_mut(role).ok_or_else(unknown_role)?;
            if role.grants.iter().any(|there| there.is_same(&grant)) {
                return Ok(());
            }
            if role.grants.len() >= MAX_GRANTS {
                return Err(AuthError::Refused(format!("a role can have at most {MAX_GRANTS} privileges")));
            }
            role.grants.push(grant);
            Ok(())
        })
    }

    /// Takes a right from a role; one that it does not have succeeds.
    ///
    /// # Errors
    /// As [`Auth::grant`].
    pub fn revoke(&self, asker: &Asker, role: &str, request: GrantRequest<'_>) -> Result<()> {
        self.store.change(|table| {
            let grant = checked(table, asker, request)?;
            let role = table.roles.get_mut(role).ok_or_else(unknown_role)?;
            role.grants.retain(|there| !there.is_same(&grant));
            Ok(())
        })
    }
}

fn is_built_in(role: &str) -> bool {
    role == ADMIN || role == PUBLIC
}

pub(super) fn unknown_role() -> AuthError {
    AuthError::Refused("not found the role, maybe the role isn't existed or internal system error".into())
}

/// The grant that a request means.
fn checked(table: &Table, asker: &Asker, request: GrantRequest<'_>) -> Result<Grant> {
    let (object_type, object_name, privilege, db) = match request {
        GrantRequest::V1 { object_type, object_name, privilege, db } => {
            (check_v1(table, object_type, object_name, privilege)?, object_name, privilege, db)
        }
        GrantRequest::V2 { privilege, db, collection } => {
            (check_v2(table, privilege, db, collection)?, collection, privilege, db)
        }
    };
    let db_name = if db.is_empty() { DEFAULT_DATABASE } else { db };
    check_object(db_name, "dbName")?;
    Ok(Grant {
        object_type,
        object_name: object_name.to_owned(),
        privilege: if privilege == ALL { ANY } else { privilege }.to_owned(),
        db_name: db_name.to_owned(),
        grantor: match asker {
            Asker::User(user) => user.clone(),
            Asker::Anybody => ROOT.to_owned(),
        },
    })
}

fn check_v1(table: &Table, object_type: &str, object_name: &str, privilege: &str) -> Result<ObjectType> {
    let refused = |message: String| Err(AuthError::Refused(message));
    check_object(object_name, "objectName")?;
    let Some(object) = ObjectType::named(object_type) else {
        return refused(format!(
            "not found the object type[name: {object_type}], supported the object types: [Collection Global User]"
        ));
    };
    if privilege == ANY || privilege == ALL {
        return Ok(object);
    }
    if table.groups.contains_key(privilege) {
        return refused(format!("can not operate the custom privilege group [{privilege}]"));
    }
    if built_in_level(privilege).is_some() {
        return refused(format!("can not operate the built-in privilege group [{privilege}]"));
    }
    match Privilege::named(privilege) {
        None => refused(format!("not found the privilege name[{privilege}]")),
        Some(found) if found.object() != object => {
            refused(format!("not found the privilege name[{privilege}] in object[{object_type}]"))
        }
        Some(_) => Ok(object),
    }
}

fn check_v2(table: &Table, privilege: &str, db: &str, collection: &str) -> Result<ObjectType> {
    check_object(collection, "collectionName")?;
    match built_in_level(privilege) {
        Some(Level::Cluster) if db != ANY || collection != ANY => Err(AuthError::Invalid(format!(
            "dbName and collectionName should be * for the cluster level privilege: {privilege}"
        ))),
        Some(Level::Database) if collection != ANY => Err(AuthError::Invalid(format!(
            "collectionName should be * for the database level privilege: {privilege}"
        ))),
        Some(_) => Ok(ObjectType::Global),
        None if privilege == ANY || privilege == ALL || table.groups.contains_key(privilege) => {
            Ok(ObjectType::Global)
        }
        None => match Privilege::named(privilege) {
            Some(found) => Ok(found.object()),
            None => Err(AuthError::Refused(format!("not found the privilege name[{privilege}]"))),
        },
    }
}
