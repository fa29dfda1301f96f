//! What it takes to be allowed a call: a privilege, and the place in the body that says on what. The body is only looked
//! at when authorization is on and who asks may not do everything anyway.

use std::fmt;
use std::sync::Arc;

use axum::http::HeaderMap;

use super::call::named_database;
use super::spec::Request;
use crate::app::App;
use crate::auth::{Asker, Privilege, Target};
use crate::body::Object;
use crate::error::ApiError;
use crate::imports::Job;

/// A privilege on what a body names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    privilege: Privilege,
    on: On,
}

#[derive(Debug, Clone, Copy)]
enum On {
    Collection,
    Alias,
    Database,
    Cluster,
    User,
    Role,
    Import,
}

/// In words: `Search on the collection`.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = match self.on {
            On::Collection => "the collection",
            On::Alias => "the collection, and on the one that the alias names",
            On::Database => "the database",
            On::Cluster => "the whole server",
            On::User => "the user, unless it is who asks",
            On::Role => "the whole server, unless who asks has the role",
            On::Import => "the collection of the import",
        };
        write!(f, "{} on {on}", self.privilege.name())
    }
}

/// On the collection of `collectionName`; on all of the database when the body names none.
pub(super) const fn on_collection(privilege: Privilege) -> Need {
    Need { privilege, on: On::Collection }
}

/// On the collection of `collectionName` and on the one that the alias `aliasName` names now.
pub(super) const fn on_alias(privilege: Privilege) -> Need {
    Need { privilege, on: On::Alias }
}

/// On the database.
pub(super) const fn on_database(privilege: Privilege) -> Need {
    Need { privilege, on: On::Database }
}

/// On the whole server.
pub(super) const fn on_cluster(privilege: Privilege) -> Need {
    Need { privilege, on: On::Cluster }
}

/// On the user of `userName`. Nobody needs it on themselves.
pub(super) const fn on_user(privilege: Privilege) -> Need {
    Need { privilege, on: On::User }
}

/// On the whole server. Nobody needs it for a role of their own, `roleName`.
pub(super) const fn on_role(privilege: Privilege) -> Need {
    Need { privilege, on: On::Role }
}

/// On the collection of the import of `jobId`. Whoever may not is not told whether there is such an import.
pub(super) const fn on_import(privilege: Privilege) -> Need {
    Need { privilege, on: On::Import }
}

impl Need {
    /// The key of a body that names what it is about.
    #[cfg(test)]
    pub(super) fn key(self) -> Option<&'static str> {
        match self.on {
            On::Collection | On::Alias => Some("collectionName"),
            On::Database => Some("dbName"),
            On::Cluster => None,
            On::User => Some("userName"),
            On::Role => Some("roleName"),
            On::Import => Some("jobId"),
        }
    }

    /// Lets through who may do this to what the body names.
    ///
    /// # Errors
    /// Status 403 for who may not; those of a body that is no object, or in which a name is no text.
    pub(super) fn check(
        self,
        app: &App,
        asker: &Asker,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), ApiError> {
        // Allowed for the whole server: then for whatever the body says.
        if !app.auth.is_enabled() || app.auth.is_superuser(asker) {
            return Ok(());
        }
        let body = Object::parse(&Request::ANY, body)?;
        let text = |key| body.get_or_default::<String>(key);
        let authorize = |target: Target<'_>| Ok(app.auth.authorize(asker, self.privilege, target)?);
        match self.on {
            On::Cluster => authorize(Target::Cluster),
            On::Database => authorize(Target::Database { db: &named_database(&body, headers)? }),
            On::Collection | On::Alias => {
                let db = named_database(&body, headers)?;
                // A right to one name must not open another's collection through an alias.
                let on = |name: &str| {
                    let name = app.engine.own_name(&db, if name.is_empty() { "*" } else { name });
                    authorize(Target::Collection { db: &db, name: &name })
                };
                on(&text("collectionName")?)?;
                if let On::Alias = self.on { on(&text("aliasName")?) } else { Ok(()) }
            }
            On::User => match (text("userName")?, asker) {
                (name, Asker::User(user)) if name == *user => Ok(()),
                (name, _) => authorize(Target::User { name: &name }),
            },
            On::Role if app.auth.has_role(asker, &text("roleName")?) => Ok(()),
            On::Role => authorize(Target::Cluster),
            On::Import => {
                let job = app.imports.get(&text("jobId")?);
                let may = |job: Arc<Job>| {
                    let (db, name) = (job.database(), job.collection());
                    authorize(Target::Collection { db, name }).is_ok()
                };
                // To know of an import that is not there takes the right to all that could be.
                if job.is_ok_and(may) { Ok(()) } else { authorize(Target::Collection { db: "*", name: "*" }) }
            }
        }
    }
}
