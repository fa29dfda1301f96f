//! Users, roles and privileges as Milvus has them, for every protocol. With authorization off, users and roles can be
//! kept all the same, and everybody may do everything; with it on, nothing is answered but to a user with the right.
//!
//! ```text
//!   request ─► door ── credentials ─► Auth::authenticate ─► Asker ─┐      401
//!                                      (password, remembered)      ├─► Auth::authorize ─► 403 or the handler
//!              rest::permit, routes ── Privilege, Target ──────────┘      (gate)
//! ```
//!
//! `store` keeps the one table of users, roles and groups, durably; `users`, `roles` and `groups` are the calls that
//! change it; `gate` is the one place that decides; `privilege` names the rights.
//!
//! `turns` keeps those who make this server hash passwords from keeping everybody else out.
//!
//! What must stay true: no password and no hash is ever in a log, an error or an answer; a wrong password and an unknown
//! user are told apart by nothing, not even by time; what is not known to be allowed is refused.

mod credentials;
mod door;
mod error;
mod gate;
mod groups;
mod name;
mod password;
mod privilege;
mod roles;
mod routes;
mod store;
mod turns;
mod users;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use elanus_storage::Vfs;
use elanus_storage::data_dir::DataDir;

pub use credentials::Credentials;
pub(crate) use door::{checked, known};
pub use error::AuthError;
pub(crate) use gate::DEFAULT_DATABASE;
pub use gate::Target;
pub use password::Secret;
pub(crate) use password::{MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES};
pub use privilege::{Level, ObjectType, Privilege};
pub use roles::{GrantRequest, RoleInfo};
pub use store::Grant;
pub(crate) use turns::Turn;
pub use users::UserInfo;

use error::Result;
use password::{DEFAULT_ROOT_PASSWORD, Remembered};
use store::{PUBLIC, ROOT, Store, Table};
use turns::Turns;

use crate::app::holding;
use crate::config::AuthConfig;
use crate::error::{ApiError, StartError};

/// Whether the file of users of a directory that no server uses can be read.
///
/// # Errors
/// `Storage` when it is damaged.
pub(crate) fn examine(vfs: &dyn Vfs, root: &Path) -> Result<()> {
    Store::examine(vfs, root)
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// Authorization is off: whoever.
    Anybody,
    /// A user who gave the right password.
    User(String),
}

/// Users and their rights. One for each server.
#[derive(Debug)]
pub struct Auth {
    enabled: bool,
    /// Whether other machines can reach the server.
    exposed: bool,
    store: Store,
    remembered: Remembered,
    /// One password is hashed at a time; more wait here, without holding a thread.
    turns: Turns,
}

impl Auth {
    /// Reads the users of a data directory; there is root where there are none. `exposed` says whether other machines
    /// can reach the server. Blocking.
    ///
    /// # Errors
    /// `Part`, with what to do, when the file is damaged, and when authorization is on, the server exposed, and root's
    /// password the one that everybody knows.
    pub fn open(data: &DataDir, config: &AuthConfig, exposed: bool) -> std::result::Result<Self, StartError> {
        let start = |error: AuthError| {
            let path = data.root().join("auth");
            let reason = format!(
                "{error}; put a good copy of {} back, or remove it to begin with the user root alone",
                path.display()
            );
            StartError::Part { what: "authorization", reason }
        };
        let configured = config.root_password.as_ref().map(Secret::reveal);
        let auth = Self::read(data, config.enabled, exposed, configured).map_err(start)?;
        if auth.enabled {
            auth.begin(configured).map_err(start)?;
            if auth.has_default_password() {
                auth.warn_of_default_password()?;
            }
        }
        Ok(auth)
    }

    fn read(data: &DataDir, enabled: bool, exposed: bool, configured: Option<&str>) -> Result<Self> {
        let first = || Ok(Table::new(password::hash(configured.unwrap_or(DEFAULT_ROOT_PASSWORD))?));
        Ok(Self {
            enabled,
            exposed,
            store: Store::open(data.vfs(), data.root(), first)?,
            remembered: Remembered::new()?,
            turns: Turns::new(),
        })
    }

    /// Authorization begins with what is configured: the configured password is root's as long as root has the default
    /// one, and never replaces one that somebody chose.
    fn begin(&self, configured: Option<&str>) -> Result<()> {
        if let Some(configured) = configured
            && configured != DEFAULT_ROOT_PASSWORD
            && self.has_default_password()
        {
            let hash = password::hash(configured)?;
            self.store.change(|table| {
                if let Some(root) = table.users.get_mut(ROOT) {
                    root.hash = hash;
                }
                Ok(())
            })?;
        }
        // What is not in the file would be decided anew at the next start.
        self.store.keep()
    }

    fn warn_of_default_password(&self) -> std::result::Result<(), StartError> {
        if self.exposed {
            let reason = "root still has the password that every Milvus begins with, and other machines can reach this \
                          server: set root_password in [auth] of the configuration file, or ELANUS_ROOT_PASSWORD, or \
                          listen on 127.0.0.1 and change it there";
            return Err(StartError::Part { what: "with authorization", reason: reason.into() });
        }
        tracing::warn!(
            "ROOT STILL HAS THE PASSWORD THAT EVERYBODY KNOWS: change it with users/update_password, or set root_password"
        );
        Ok(())
    }

    /// Whether requests are checked.
    pub fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether root has the password that every Milvus begins with. Takes some 20 ms.
    pub fn has_default_password(&self) -> bool {
        let table = self.store.table();
        table.users.get(ROOT).is_some_and(|root| password::verify(Some(&root.hash), DEFAULT_ROOT_PASSWORD))
    }

    /// Who asks, from what the request says of it and where it comes from; anybody when authorization is off.
    ///
    /// # Errors
    /// 1800 when the credentials are missing or wrong; 503 when too many are being checked.
    pub async fn authenticate(
        self: &Arc<Self>,
        credentials: Option<Credentials>,
        peer: Option<IpAddr>,
    ) -> std::result::Result<Asker, ApiError> {
        if !self.enabled {
            return Ok(Asker::Anybody);
        }
        let credentials = credentials.ok_or(AuthError::NotAuthenticated)?;
        if let Some(asker) = self.recognize(&credentials) {
            return Ok(asker);
        }
        let turn = self.turns.of_stranger(&credentials.user, peer).await?;
        // Another request of the same user may have been checked meanwhile.
        if let Some(asker) = self.recognize(&credentials) {
            return Ok(asker);
        }
        let auth = Arc::clone(self);
        holding(turn, move || Ok(auth.verify(&credentials)?)).await
    }

    /// The turn of who asks for something that takes hashing a password. To be had before that, and held during it.
    ///
    /// # Errors
    /// 503 when the server is stopping.
    pub(crate) async fn turn(&self, asker: &Asker) -> std::result::Result<Turn, ApiError> {
        match asker {
            Asker::User(user) => self.turns.of_known(user).await,
            Asker::Anybody => self.turns.of_known("").await,
        }
    }

    /// The user, if this password was found right before. Takes microseconds.
    fn recognize(&self, credentials: &Credentials) -> Option<Asker> {
        let (user, password) = (&credentials.user, &credentials.password);
        let table = self.store.table();
        let stored = &table.users.get(user)?.hash;
        self.remembered.knows(user, stored, password).then(|| Asker::User(user.clone()))
    }

    /// The user, if the password is right. Takes some 20 ms, whatever it finds.
    fn verify(&self, credentials: &Credentials) -> Result<Asker> {
        let (user, password) = (&credentials.user, &credentials.password);
        let stored = self.store.table().users.get(user).map(|user| user.hash.clone());
        match stored {
            Some(stored) if password::verify(Some(&stored), password) => {
                self.remembered.remember(user, &stored, password);
                Ok(Asker::User(user.clone()))
            }
            Some(_) => Err(AuthError::NotAuthenticated),
            None => {
                password::verify(None, password);
                Err(AuthError::NotAuthenticated)
            }
        }
    }

    /// Lets through who may do this to that. Takes microseconds.
    ///
    /// # Errors
    /// `Denied`.
    pub fn authorize(&self, asker: &Asker, privilege: Privilege, target: Target<'_>) -> Result<()> {
        let user = match asker {
            Asker::Anybody if !self.enabled => return Ok(()),
            // Cannot be: nobody got in without a name. Should it be, then without rights.
            Asker::Anybody => "",
            Asker::User(user) => user,
        };
        if gate::allows(&self.store.table(), user, privilege, target) {
            return Ok(());
        }
        Err(AuthError::Denied { privilege, user: user.to_owned(), db: target.db().to_owned() })
    }

    /// Whether who asks may do everything, whatever it is.
    pub fn is_superuser(&self, asker: &Asker) -> bool {
        match asker {
            Asker::Anybody => !self.enabled,
            Asker::User(user) => gate::is_superuser(&self.store.table(), user),
        }
    }

    /// Whether who asks has a role: everybody may look at what they have.
    pub fn has_role(&self, asker: &Asker, role: &str) -> bool {
        match asker {
            Asker::Anybody => !self.enabled,
            Asker::User(user) => {
                role == PUBLIC
                    || self.store.table().users.get(user).is_some_and(|user| user.roles.contains(role))
            }
        }
    }
}

#[cfg(test)]
mod tests;
