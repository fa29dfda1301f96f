//! Who may do what: one question, answered from a table of users. Rights add up over a user's roles, and everybody has
//! the role public. A grant counts when its database, its object and its privilege all cover what is asked; `*` covers
//! everything of its kind.

use super::privilege::{ObjectType, Privilege, built_in_holds};
use super::store::{ADMIN, ANY, Grant, PUBLIC, ROOT, Table};

/// The database of requests and grants that name none.
pub(crate) const DEFAULT_DATABASE: &str = "default";

/// What somebody wants to do something to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// A collection, by its own name, not by an alias. `*`: whichever.
    Collection {
        /// Its database.
        db: &'a str,
        /// Its name.
        name: &'a str,
    },
    /// A database, or what is not in a collection of it.
    Database {
        /// Its name.
        db: &'a str,
    },
    /// The server. Grants that say no database are grants on the default one, so these count as well as those on `*`.
    Cluster,
    /// A user.
    User {
        /// Its name.
        name: &'a str,
    },
}

impl<'a> Target<'a> {
    /// The database it is in, as Milvus names it in refusals.
    pub(super) fn db(self) -> &'a str {
        match self {
            Self::Collection { db, .. } | Self::Database { db } => db,
            Self::Cluster | Self::User { .. } => DEFAULT_DATABASE,
        }
    }
}

/// Whether a user may do everything: root, and whoever has the role admin.
pub(super) fn is_superuser(table: &Table, user: &str) -> bool {
    table.users.get(user).is_some_and(|found| user == ROOT || found.roles.contains(ADMIN))
}

/// Whether a user may do this to that.
pub(super) fn allows(table: &Table, user: &str, privilege: Privilege, target: Target<'_>) -> bool {
    // Somebody who was dropped while the request was on its way may nothing.
    let Some(found) = table.users.get(user) else { return false };
    if is_superuser(table, user) {
        return true;
    }
    let roles = found.roles.iter().map(String::as_str).chain([PUBLIC]);
    let mut grants = roles.filter_map(|role| table.roles.get(role)).flat_map(|role| &role.grants);
    grants.any(|grant| {
        database_covers(grant, target)
            && object_covers(grant, target)
            && privilege_covers(table, grant, privilege)
    })
}

fn database_covers(grant: &Grant, target: Target<'_>) -> bool {
    grant.db_name == ANY || grant.db_name == target.db()
}

fn object_covers(grant: &Grant, target: Target<'_>) -> bool {
    let named = match target {
        Target::Collection { name, .. } => grant.object_type != ObjectType::User && grant.object_name == name,
        Target::User { name } => grant.object_type == ObjectType::User && grant.object_name == name,
        Target::Database { .. } | Target::Cluster => false,
    };
    named || grant.object_name == ANY
}

fn privilege_covers(table: &Table, grant: &Grant, privilege: Privilege) -> bool {
    if grant.privilege == ANY {
        return grant.object_type == ObjectType::Global || grant.object_type == privilege.object();
    }
    grant.privilege == privilege.name()
        || built_in_holds(&grant.privilege, privilege)
        || table.groups.get(&grant.privilege).is_some_and(|group| group.contains(privilege.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::store::{Role, User};

    /// A table in which `u` has one role with these grants: object type, object name, privilege, database.
    fn table(grants: &[(ObjectType, &str, &str, &str)]) -> Table {
        let mut table = Table::new("hash".into());
        let grant =
            |&(object_type, object_name, privilege, db_name): &(ObjectType, &str, &str, &str)| Grant {
                object_type,
                object_name: object_name.into(),
                privilege: privilege.into(),
                db_name: db_name.into(),
                grantor: ROOT.into(),
            };
        let role = Role { grants: grants.iter().map(grant).collect(), description: String::new() };
        table.roles.insert("r".into(), role);
        let user = |roles: &[&str]| User {
            hash: "hash".into(),
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            description: String::new(),
        };
        table.users.insert("u".into(), user(&["r", "gone"]));
        table.users.insert("boss".into(), user(&[ADMIN]));
        table
    }

    const A: Target<'_> = Target::Collection { db: "default", name: "a" };
    const B: Target<'_> = Target::Collection { db: "default", name: "b" };
    const OTHER: Target<'_> = Target::Collection { db: "d", name: "a" };
    const ALL: Target<'_> = Target::Collection { db: "default", name: "*" };
    const DB: Target<'_> = Target::Database { db: "default" };
    const UV: Target<'_> = Target::User { name: "v" };

    #[test]
    fn root_and_admins_may_everything_and_strangers_nothing() {
        let table = table(&[]);
        for privilege in Privilege::ALL {
            for target in [A, OTHER, ALL, DB, Target::Cluster, UV] {
                assert!(
                    allows(&table, ROOT, *privilege, target) && allows(&table, "boss", *privilege, target)
                );
                assert!(!allows(&table, "stranger", *privilege, target));
            }
        }
    }

    #[test]
    fn everybody_may_look_at_collections_and_no_more() {
        let table = table(&[]);
        let may: Vec<_> = Privilege::ALL.iter().filter(|p| allows(&table, "u", **p, A)).collect();
        assert_eq!(may.len(), 3);
        assert!(allows(&table, "u", Privilege::DescribeCollection, OTHER));
        assert!(!allows(&table, "u", Privilege::SelectUser, UV));
    }

    #[test]
    fn grants_cover_what_they_name() {
        use ObjectType::{Collection, Global, User};
        use Privilege as P;
        type Case<'a> = ((ObjectType, &'a str, &'a str, &'a str), P, &'a [Target<'a>], &'a [Target<'a>]);
        let cases: [Case<'_>; 13] = [
            ((Collection, "a", "Search", "default"), P::Search, &[A], &[B, OTHER, ALL]),
            ((Collection, "a", "Search", "default"), P::Query, &[], &[A]),
            ((Collection, "*", "Insert", "default"), P::Insert, &[A, B, ALL], &[OTHER]),
            ((Collection, "a", "Insert", "*"), P::Insert, &[A, OTHER], &[B]),
            ((Collection, "a", "*", "default"), P::Delete, &[A], &[B, OTHER]),
            ((Collection, "*", "*", "*"), P::DropCollection, &[], &[A, DB]),
            ((Global, "*", "*", "default"), P::DropCollection, &[A, B], &[OTHER]),
            ((Global, "*", "*", "default"), P::CreateOwnership, &[Target::Cluster], &[]),
            ((Global, "*", "CollectionReadWrite", "default"), P::Upsert, &[A, B], &[OTHER]),
            ((Global, "a", "CollectionReadOnly", "*"), P::Upsert, &[], &[A]),
            ((Global, "*", "DatabaseAdmin", "d"), P::ShowCollections, &[Target::Database { db: "d" }], &[DB]),
            ((Global, "a", "CreateCollection", "default"), P::CreateCollection, &[], &[DB]),
            ((User, "v", "UpdateUser", "default"), P::UpdateUser, &[UV], &[Target::User { name: "w" }]),
        ];
        for (grant, privilege, yes, no) in cases {
            let table = table(&[grant]);
            for target in yes {
                assert!(allows(&table, "u", privilege, *target), "{grant:?} {privilege} {target:?}");
            }
            for target in no {
                assert!(!allows(&table, "u", privilege, *target), "{grant:?} {privilege} {target:?}");
            }
        }
    }

    #[test]
    fn a_collection_and_a_user_of_one_name_are_two_things() {
        let right = |object| table(&[(object, "v", "*", "*")]);
        let collection = Target::Collection { db: "default", name: "v" };
        assert!(!allows(&right(ObjectType::Global), "u", Privilege::UpdateUser, UV));
        assert!(!allows(&right(ObjectType::User), "u", Privilege::Search, collection));
        assert!(allows(&right(ObjectType::User), "u", Privilege::UpdateUser, UV));
    }

    #[test]
    fn groups_give_what_they_hold() {
        let mut table = table(&[(ObjectType::Global, "a", "mine", "default")]);
        assert!(!allows(&table, "u", Privilege::Search, A));
        table.groups.insert("mine".into(), ["Search".to_owned(), "Unheard".to_owned()].into());
        assert!(allows(&table, "u", Privilege::Search, A) && !allows(&table, "u", Privilege::Search, B));
    }
}
