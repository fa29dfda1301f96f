//! What can be done with groups of privileges that users make. Every method here is blocking. The nine built-in groups
//! can be granted, but not be changed or listed.

use std::collections::BTreeSet;

use super::Auth;
use super::error::{AuthError, Result};
use super::name::check_name;
use super::privilege::{Privilege, built_in_holds, built_in_level};
use super::roles::ALL;
use super::store::Table;

/// Groups there may be.
const MAX_GROUPS: usize = 256;

impl Auth {
    /// Names of the groups, each with its privileges.
    pub fn list_groups(&self) -> Vec<(String, Vec<String>)> {
        let table = self.store.table();
        table.groups.iter().map(|(name, held)| (name.clone(), held.iter().cloned().collect())).collect()
    }

    /// Adds an empty group.
    ///
    /// # Errors
    /// `Invalid` for a name against the rules or taken by a group or a privilege, or one group too many; `Storage`.
    pub fn create_group(&self, name: &str) -> Result<()> {
        check_name(name, "privilege group name")?;
        if built_in_level(name).is_some() || Privilege::named(name).is_some() || name == ALL {
            return Err(AuthError::Invalid(format!(
                "privilege group name [{name}] is defined by built in privileges or privilege groups in system"
            )));
        }
        self.store.change(|table| {
            if table.groups.contains_key(name) {
                return Err(AuthError::Invalid(format!("privilege group [{name}] already exists")));
            }
            if table.groups.len() >= MAX_GROUPS {
                return Err(AuthError::Invalid(format!(
                    "there can be at most {MAX_GROUPS} privilege groups"
                )));
            }
            table.groups.insert(name.to_owned(), BTreeSet::new());
            Ok(())
        })
    }

    /// Removes a group; removing an unknown one succeeds.
    ///
    /// # Errors
    /// `Invalid` for a built-in group and for one that a role was granted; `Storage`.
    pub fn drop_group(&self, name: &str) -> Result<()> {
        check_not_built_in(name)?;
        self.store.change(|table| {
            let uses = |grants: &[super::Grant]| grants.iter().any(|grant| grant.privilege == name);
            if let Some((role, _)) = table.roles.iter().find(|(_, role)| uses(&role.grants)) {
                return Err(AuthError::Invalid(format!(
                    "privilege group [{name}] is used by role [{role}], Use REVOKE API to revoke it first"
                )));
            }
            table.groups.remove(name);
            Ok(())
        })
    }

    /// Adds privileges to a group; the name of another group stands for what that one holds now.
    ///
    /// # Errors
    /// `Invalid` for an unknown or built-in group or an unknown privilege; `Storage`.
    pub fn add_to_group(&self, name: &str, privileges: &[String]) -> Result<()> {
        check_not_built_in(name)?;
        self.store.change(|table| {
            let added = named(table, privileges)?;
            let group = table.groups.get_mut(name).ok_or_else(|| unknown_group(name))?;
            group.extend(added);
            Ok(())
        })
    }

    /// Takes privileges out of a group; one that it does not hold succeeds.
    ///
    /// # Errors
    /// `Invalid` for an unknown or built-in group or an unknown privilege; `Storage`.
    pub fn remove_from_group(&self, name: &str, privileges: &[String]) -> Result<()> {
        check_not_built_in(name)?;
        self.store.change(|table| {
            let removed = named(table, privileges)?;
            let group = table.groups.get_mut(name).ok_or_else(|| unknown_group(name))?;
            group.retain(|held| !removed.contains(held));
            Ok(())
        })
    }
}

/// The privileges that names of privileges and groups stand for.
fn named(table: &Table, names: &[String]) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for name in names {
        if Privilege::named(name).is_some() {
            found.insert(name.clone());
        } else if let Some(held) = table.groups.get(name) {
            found.extend(held.iter().cloned());
        } else if built_in_level(name).is_some() {
            let held = Privilege::ALL.iter().filter(|privilege| built_in_holds(name, **privilege));
            found.extend(held.map(|privilege| privilege.name().to_owned()));
        } else {
            return Err(AuthError::Invalid(format!(
                "there is no privilege name or privilege group name [{name}] defined in system to operate"
            )));
        }
    }
    Ok(found)
}

fn check_not_built_in(name: &str) -> Result<()> {
    match built_in_level(name) {
        Some(_) => {
            Err(AuthError::Invalid(format!("the privilege group [{name}] is built in and cannot be changed")))
        }
        None => Ok(()),
    }
}

fn unknown_group(name: &str) -> AuthError {
    AuthError::Invalid(format!("there is no privilege group name [{name}] to operate"))
}
