//! What can be done with users. Every method here is blocking.

use std::collections::BTreeSet;

use super::Auth;
use super::error::{AuthError, Result};
use super::name::{check_description, check_user};
use super::password::{self, DEFAULT_ROOT_PASSWORD};
use super::roles::unknown_role;
use super::store::{ROOT, Table, User};

/// Users there may be, root included, as in Milvus.
const MAX_USERS: usize = 100;

/// A user as others may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// Names of the roles, without `public`, which everybody has.
    pub roles: Vec<String>,
    /// What an operator wrote of it.
    pub description: String,
}

impl Auth {
    /// Names of all users.
    pub fn list_users(&self) -> Vec<String> {
        self.store.table().users.keys().cloned().collect()
    }

    /// What is known of a user.
    ///
    /// # Errors
    /// `Invalid` when there is none of that name.
    pub fn describe_user(&self, name: &str) -> Result<UserInfo> {
        let table = self.store.table();
        let user =
            table.users.get(name).ok_or_else(|| AuthError::Invalid(format!("user {name} not found")))?;
        Ok(UserInfo { roles: user.roles.iter().cloned().collect(), description: user.description.clone() })
    }

    /// Adds a user without roles.
    ///
    /// # Errors
    /// `Invalid` for a name or password against the rules, a name that is taken, or one user too many; `Storage`.
    pub fn create_user(&self, name: &str, password: &str, description: &str) -> Result<()> {
        check_user(name)?;
        password::check(password)?;
        check_description(description)?;
        check_free(&self.store.table(), name)?;
        let user =
            User { hash: password::hash(password)?, roles: BTreeSet::new(), description: description.into() };
        self.store.change(|table| {
            check_free(table, name)?;
            table.users.insert(name.to_owned(), user);
            Ok(())
        })
    }

    /// Removes a user; removing an unknown one succeeds.
    ///
    /// # Errors
    /// `NotPermitted` for root; `Storage`.
    pub fn drop_user(&self, name: &str) -> Result<()> {
        if name == ROOT {
            return Err(AuthError::NotPermitted("root user cannot be deleted".into()));
        }
        self.store.change(|table| Ok(table.users.remove(name)))?;
        self.remembered.forget(name);
        Ok(())
    }

    /// Gives a user another password, if `old` is the present one, and another description, if one is given: both or
    /// none. That goes for root, too, as in Milvus.
    ///
    /// # Errors
    /// `Invalid` for a new password or a description against the rules; `WrongPassword`, also when there is no such
    /// user; `Storage`.
    pub fn update_password(&self, name: &str, old: &str, new: &str, description: Option<&str>) -> Result<()> {
        password::check(new)?;
        description.map_or(Ok(()), check_description)?;
        if name == ROOT && new == DEFAULT_ROOT_PASSWORD && self.exposed {
            let message = "root cannot have the password that every Milvus begins with while other machines can \
                           reach this server";
            return Err(AuthError::Invalid(message.into()));
        }
        let wrong = || AuthError::WrongPassword { user: name.to_owned() };
        let stored = self.store.table().users.get(name).map(|user| user.hash.clone());
        if !password::verify(stored.as_deref(), old) {
            return Err(wrong());
        }
        let hash = password::hash(new)?;
        self.store.change(|table| {
            // The password that was checked must still be the one: somebody else may have changed it meanwhile.
            let user = table.users.get_mut(name).filter(|user| Some(&user.hash) == stored.as_ref());
            let user = user.ok_or_else(wrong)?;
            user.hash = hash;
            if let Some(description) = description {
                description.clone_into(&mut user.description);
            }
            Ok(())
        })?;
        self.remembered.forget(name);
        Ok(())
    }

    /// Changes what an operator wrote of a user.
    ///
    /// # Errors
    /// `Invalid` for an unknown user or a text too long; `Storage`.
    pub fn describe_user_as(&self, name: &str, description: &str) -> Result<()> {
        check_description(description)?;
        self.store.change(|table| {
            let unknown = || AuthError::Invalid(format!("user {name} not found"));
            table.users.get_mut(name).ok_or_else(unknown)?.description = description.to_owned();
            Ok(())
        })
    }

    /// Gives a user a role; giving it again succeeds.
    ///
    /// # Errors
    /// `Refused` for an unknown user or role; `Storage`.
    pub fn grant_role(&self, name: &str, role: &str) -> Result<()> {
        self.store.change(|table| {
            if !table.roles.contains_key(role) {
                return Err(unknown_role());
            }
            Ok(user_mut(table, name)?.roles.insert(role.to_owned()))
        })?;
        Ok(())
    }

    /// Takes a role from a user; one that it does not have succeeds. Root may everything without roles.
    ///
    /// # Errors
    /// As [`Auth::grant_role`].
    pub fn revoke_role(&self, name: &str, role: &str) -> Result<()> {
        self.store.change(|table| {
            if !table.roles.contains_key(role) {
                return Err(unknown_role());
            }
            Ok(user_mut(table, name)?.roles.remove(role))
        })?;
        Ok(())
    }
}

fn user_mut<'a>(table: &'a mut Table, name: &str) -> Result<&'a mut User> {
    let message = "not found the user, maybe the user isn't existed or internal system error";
    table.users.get_mut(name).ok_or_else(|| AuthError::Refused(message.into()))
}

fn check_free(table: &Table, name: &str) -> Result<()> {
    if table.users.contains_key(name) {
        return Err(AuthError::Invalid(format!("user already exists: {name}")));
    }
    if table.users.len() >= MAX_USERS {
        return Err(AuthError::Invalid(
            "unable to add user because the number of users has reached the limit".into(),
        ));
    }
    Ok(())
}
