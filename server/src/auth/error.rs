//! What can go wrong with users, roles and privileges. Sentences are Milvus's where they are known; none holds a
//! password. [`crate::error`] gives each its code and status.

use elanus_storage::StorageError;

use super::privilege::Privilege;

/// Why a call about users or rights failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The request says something that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// A user, role or privilege that is not there, or is there already: Milvus has no code for these.
    #[error("{0}")]
    Refused(String),
    /// What nobody may do, such as dropping root.
    #[error("{0}: privilege not permitted")]
    NotPermitted(String),
    /// The old password is not the one; also said for a user who is not there.
    #[error("old password not correct for {user}: not authenticated")]
    WrongPassword {
        /// Who the password was for.
        user: String,
    },
    /// Nobody who is known asks.
    #[error("user hasn't authenticated")]
    NotAuthenticated,
    /// Somebody asks who may not.
    #[error("Privilege{privilege}: permission deny to {user} in the `{db}` database")]
    Denied {
        /// What it takes.
        privilege: Privilege,
        /// Who asks.
        user: String,
        /// Where.
        db: String,
    },
    /// The file cannot be read or written; nothing has changed.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// Hashing or writing failed in a way that only a bug explains.
    #[error("internal error of the users' list: {0}")]
    Internal(String),
}

/// A result of this room.
pub(super) type Result<T> = std::result::Result<T, AuthError>;
