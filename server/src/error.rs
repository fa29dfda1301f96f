//! The one table from what went wrong to what a client is told: Milvus's code, the sentence, and the HTTP status of our
//! own API. (Milvus's REST API answers errors with status 200; see [`crate::reply`].) Kinds decide, never texts.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use elanus_embed::{EmbedError, ImageError, ReductionError};
use elanus_engine::{EngineError, ErrorClass};
use elanus_storage::{Resource, StorageError};

use crate::auth::AuthError;

/// Milvus's error codes, as far as this server gives them.
pub mod code {
    /// Not now: starting, stopping, or a collection out of service.
    pub const UNAVAILABLE: i32 = 2;
    /// More memory is in use than may be.
    pub const MEMORY_EXHAUSTED: i32 = 3;
    /// The disk, or the share of it that may be used, is full.
    pub const DISK_EXHAUSTED: i32 = 7;
    /// Too many requests; the same one may succeed later.
    pub const RATE_LIMIT: i32 = 8;
    /// No such collection (our own API: no such image, job).
    pub const COLLECTION_NOT_FOUND: i32 = 100;
    /// A client has released the collection.
    pub const NOT_LOADED: i32 = 101;
    /// As many collections as there may be.
    pub const TOO_MANY_COLLECTIONS: i32 = 102;
    /// No such partition.
    pub const PARTITION_NOT_FOUND: i32 = 200;
    /// No such index.
    pub const INDEX_NOT_FOUND: i32 = 700;
    /// No such database.
    pub const DATABASE_NOT_FOUND: i32 = 800;
    /// As many databases as there may be.
    pub const TOO_MANY_DATABASES: i32 = 801;
    /// A database name against the rule.
    pub const DATABASE_NAME: i32 = 802;
    /// Nearly every mistake in a request.
    pub const INVALID: i32 = 1100;
    /// Something the request must carry is missing.
    pub const MISSING: i32 = 1101;
    /// Something in the request is too large.
    pub const TOO_LARGE: i32 = 1102;
    /// No such alias.
    pub const ALIAS_NOT_FOUND: i32 = 1600;
    /// An alias and a collection of one name.
    pub const ALIAS_CONFLICT: i32 = 1601;
    /// The alias is of another collection.
    pub const ALIAS_EXISTS: i32 = 1602;
    /// The schema has changed meanwhile.
    pub const SCHEMA_MISMATCH: i32 = 109;
    /// A feature of a cluster, or one that is not here at all.
    pub const UNIMPLEMENTED: i32 = 10;
    /// The old password of a user is another.
    pub const WRONG_PASSWORD: i32 = 1400;
    /// What nobody may do to users and roles.
    pub const NOT_PERMITTED: i32 = 1401;
    /// No such field.
    pub const FIELD_NOT_FOUND: i32 = 1700;
    /// A field name against the rule.
    pub const FIELD_NAME: i32 = 1701;
    /// Nobody who is known asks.
    pub const NOT_AUTHENTICATED: i32 = 1800;
    /// The body is not the JSON that is expected; also for query vectors.
    pub const BAD_JSON: i32 = 1801;
    /// A required field of the body is missing.
    pub const MISSING_FIELD: i32 = 1802;
    /// Rows of an insert or upsert do not fit.
    pub const BAD_ROWS: i32 = 1804;
    /// Ids of a get do not fit the primary key.
    pub const BAD_KEYS: i32 = 1806;
    /// Files could not be imported.
    pub const IMPORT_FAILED: i32 = 2100;
    /// The request took too long.
    pub const TIMEOUT: i32 = 10001;
    /// Anything unexpected: a bug, a failed disk.
    pub const UNEXPECTED: i32 = 65535;
}

/// What a client is told. As a response it has the status and Milvus's envelope: `{"code":..,"message":..}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// Milvus's code, see [`code`].
    pub code: i32,
    /// A sentence for a person.
    pub message: String,
    /// Status where the API uses statuses.
    pub status: StatusCode,
}

impl ApiError {
    /// An error with this code, sentence and status.
    pub fn new(code: i32, status: StatusCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status }
    }

    /// The request is wrong: 1100, status 400.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(code::INVALID, StatusCode::BAD_REQUEST, message)
    }

    /// What is named is not there: 100, status 404.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(code::COLLECTION_NOT_FOUND, StatusCode::NOT_FOUND, message)
    }

    /// Too much at once: 1102, status 413.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(code::TOO_LARGE, StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// Not now: 2, status 503.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(code::UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// Not allowed: 1100, status 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(code::INVALID, StatusCode::FORBIDDEN, message)
    }

    /// Contradicts what is stored: 1100, status 409.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(code::INVALID, StatusCode::CONFLICT, message)
    }

    /// A bug or a failing machine: 65535, status 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(code::UNEXPECTED, StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// A feature of Milvus that is not here: 1100, status 400.
    pub fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::invalid(format!("{what} is not supported in this version of Elanus"))
    }

    /// The same error with words in front, as Milvus has it: context first.
    #[must_use]
    pub fn within(mut self, context: &str) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        let (code, status) = match (&error, error.class()) {
            (EngineError::CollectionNotFound { .. }, _) => {
                (code::COLLECTION_NOT_FOUND, StatusCode::NOT_FOUND)
            }
            (EngineError::DatabaseNotFound { .. }, _) => (code::DATABASE_NOT_FOUND, StatusCode::NOT_FOUND),
            (EngineError::InvalidDatabaseName { .. }, _) => (code::DATABASE_NAME, StatusCode::BAD_REQUEST),
            (EngineError::TooManyDatabases { .. }, _) => (code::TOO_MANY_DATABASES, StatusCode::CONFLICT),
            (EngineError::PartitionNotFound { .. }, _) => (code::PARTITION_NOT_FOUND, StatusCode::NOT_FOUND),
            (EngineError::IndexNotFound { .. }, _) => (code::INDEX_NOT_FOUND, StatusCode::NOT_FOUND),
            (EngineError::AliasNotFound { .. }, _) => (code::ALIAS_NOT_FOUND, StatusCode::NOT_FOUND),
            (EngineError::AliasConflict(_), _) => (code::ALIAS_CONFLICT, StatusCode::CONFLICT),
            (EngineError::AliasExists { .. }, _) => (code::ALIAS_EXISTS, StatusCode::CONFLICT),
            (EngineError::SchemaChanged, _) => (code::SCHEMA_MISMATCH, StatusCode::CONFLICT),
            (EngineError::FieldNotFound { .. }, _) => (code::INVALID, StatusCode::BAD_REQUEST),
            (EngineError::GroupFieldNotFound { .. }, _) => (code::FIELD_NOT_FOUND, StatusCode::BAD_REQUEST),
            (EngineError::InvalidFieldName { .. }, _) => (code::FIELD_NAME, StatusCode::BAD_REQUEST),
            (EngineError::NotLoaded { .. }, _) => (code::NOT_LOADED, StatusCode::BAD_REQUEST),
            (EngineError::MissingParameter(_) | EngineError::MissingTypeParameter { .. }, _) => {
                (code::MISSING, StatusCode::BAD_REQUEST)
            }
            (EngineError::InvalidRow { .. }, _) => (code::BAD_ROWS, StatusCode::BAD_REQUEST),
            (EngineError::InvalidQueryVector(_), _) => (code::BAD_JSON, StatusCode::BAD_REQUEST),
            (EngineError::Busy { .. }, _) => (code::RATE_LIMIT, StatusCode::SERVICE_UNAVAILABLE),
            (EngineError::TooManyCollections { .. }, _) => (code::TOO_MANY_COLLECTIONS, StatusCode::CONFLICT),
            (EngineError::Storage(StorageError::QuotaExceeded { resource: Resource::Memory, .. }), _) => {
                (code::MEMORY_EXHAUSTED, StatusCode::INSUFFICIENT_STORAGE)
            }
            (_, ErrorClass::Invalid) => (code::INVALID, StatusCode::BAD_REQUEST),
            (_, ErrorClass::NotFound) => (code::COLLECTION_NOT_FOUND, StatusCode::NOT_FOUND),
            (_, ErrorClass::Conflict) => (code::INVALID, StatusCode::CONFLICT),
            (_, ErrorClass::Exhausted) => (code::DISK_EXHAUSTED, StatusCode::INSUFFICIENT_STORAGE),
            (_, ErrorClass::Unavailable) => (code::UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE),
            (_, ErrorClass::Corrupt | ErrorClass::Internal) => {
                (code::UNEXPECTED, StatusCode::INTERNAL_SERVER_ERROR)
            }
        };
        // One that comes with every write until there is room again would fill the log.
        let expected = matches!(error, EngineError::Busy { .. } | EngineError::Cancelled);
        if status.is_server_error() && status != StatusCode::INSUFFICIENT_STORAGE && !expected {
            tracing::error!(%error, code, "a request failed");
        }
        Self::new(code, status, error.to_string())
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<ImageError> for ApiError {
    fn from(error: ImageError) -> Self {
        let (code, status) = match &error {
            ImageError::Empty => (code::INVALID, StatusCode::BAD_REQUEST),
            ImageError::NotAnImage | ImageError::Unsupported { .. } => {
                (code::INVALID, StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            ImageError::TooManyBytes { .. }
            | ImageError::SideTooLong { .. }
            | ImageError::TooManyPixels { .. }
            | ImageError::TooMuchMemory { .. } => (code::TOO_LARGE, StatusCode::PAYLOAD_TOO_LARGE),
            ImageError::Internal => (code::UNEXPECTED, StatusCode::INTERNAL_SERVER_ERROR),
            // No pixels, cut off, damaged, and whatever else makes a file no picture.
            _ => (code::INVALID, StatusCode::UNPROCESSABLE_ENTITY),
        };
        Self::new(code, status, error.to_string())
    }
}

impl From<EmbedError> for ApiError {
    fn from(error: EmbedError) -> Self {
        let (code, status) = match &error {
            EmbedError::Busy { .. } => (code::RATE_LIMIT, StatusCode::SERVICE_UNAVAILABLE),
            EmbedError::Stopped | EmbedError::Device { .. } => {
                (code::UNAVAILABLE, StatusCode::SERVICE_UNAVAILABLE)
            }
            _ => (code::UNEXPECTED, StatusCode::INTERNAL_SERVER_ERROR),
        };
        Self::new(code, status, error.to_string())
    }
}

impl From<ReductionError> for ApiError {
    fn from(error: ReductionError) -> Self {
        match &error {
            ReductionError::Dimension { .. } | ReductionError::NothingToLearn => {
                Self::invalid(error.to_string())
            }
            ReductionError::Damaged { .. } => Self::unavailable(error.to_string()),
            _ => Self::internal(error.to_string()),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        if let AuthError::Storage(error) = error {
            return error.into();
        }
        let (code, status) = match &error {
            AuthError::Invalid(_) => (code::INVALID, StatusCode::BAD_REQUEST),
            // Milvus has no code of its own for these.
            AuthError::Refused(_) => (code::UNEXPECTED, StatusCode::BAD_REQUEST),
            AuthError::NotPermitted(_) => (code::NOT_PERMITTED, StatusCode::BAD_REQUEST),
            AuthError::WrongPassword { .. } => (code::WRONG_PASSWORD, StatusCode::BAD_REQUEST),
            AuthError::NotAuthenticated => (code::NOT_AUTHENTICATED, StatusCode::UNAUTHORIZED),
            AuthError::Denied { .. } => (code::UNEXPECTED, StatusCode::FORBIDDEN),
            AuthError::Storage(_) | AuthError::Internal(_) => {
                tracing::error!(%error, "a request about users failed");
                (code::UNEXPECTED, StatusCode::INTERNAL_SERVER_ERROR)
            }
        };
        Self::new(code, status, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        crate::reply::own_error(self)
    }
}

/// Why a server could not start or did not end well: one sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data directory cannot be used.
    #[error("{0}")]
    Data(#[from] elanus_storage::StorageError),
    /// The engine cannot open what is in the data directory.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; choose another address with --{flag}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why not, in words.
        reason: String,
        /// The flag that chooses it.
        flag: &'static str,
    },
    /// A part of the server could not be made.
    #[error("cannot start {what}: {reason}")]
    Part {
        /// Which.
        what: &'static str,
        /// Why not.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of engine error that can be made from outside, with its code and status.
    #[test]
    fn every_engine_error_has_its_code_and_status() {
        use EngineError as E;
        let s = || String::from("x");
        let quota = |resource| E::Storage(StorageError::QuotaExceeded { resource, used: 2, limit: 1 });
        let table: [(E, i32, u16); 18] = [
            (E::CollectionNotFound { database: s(), name: s() }, 100, 404),
            (E::CollectionExists { name: s() }, 1100, 409),
            (E::CollectionFailed { name: s(), reason: s() }, 2, 503),
            (E::TooManyCollections { limit: 1 }, 102, 409),
            (E::InvalidFieldName { name: s(), reason: s() }, 1701, 400),
            (E::FieldNotFound { name: s() }, 1100, 400),
            (E::MissingParameter(s()), 1101, 400),
            (E::NotLoaded { name: s() }, 101, 400),
            (E::MissingTypeParameter { parameter: "max_length", field: s() }, 1101, 400),
            (E::InvalidParameter(s()), 1100, 400),
            (E::InvalidRow { field: s(), row: 0, reason: s() }, 1804, 400),
            (E::InvalidQueryVector(s()), 1801, 400),
            (E::InvalidFilter { expression: s(), reason: s() }, 1100, 400),
            (E::CollectionLoading { name: s(), done: 1, total: 2 }, 2, 503),
            (quota(Resource::Disk), 7, 507),
            (quota(Resource::Memory), 3, 507),
            (E::Closing, 2, 503),
            (E::Internal(s()), 65535, 500),
        ];
        for (error, code, status) in table {
            let message = error.to_string();
            let told = ApiError::from(error);
            assert_eq!((told.code, told.status.as_u16(), &told.message), (code, status, &message));
        }
        let conflict = ApiError::from(E::Conflict(s()));
        assert_eq!((conflict.code, conflict.status.as_u16()), (1100, 409));
    }

    #[test]
    fn every_image_error_is_the_senders_but_the_internal_one() {
        use ImageError as I;
        let table: [(I, i32, u16); 8] = [
            (I::Empty, 1100, 400),
            (I::NotAnImage, 1100, 415),
            (I::Unsupported { format: "HEIC".into() }, 1100, 415),
            (I::TooManyBytes { bytes: 2, limit: 1 }, 1102, 413),
            (I::NoPixels, 1100, 422),
            (I::Truncated, 1100, 422),
            (I::Corrupt { reason: "x".into() }, 1100, 422),
            (I::Internal, 65535, 500),
        ];
        for (error, code, status) in table {
            let told = ApiError::from(error);
            assert_eq!((told.code, told.status.as_u16()), (code, status));
        }
        let busy = ApiError::from(EmbedError::Busy { queued: 9 });
        assert_eq!((busy.code, busy.status.as_u16()), (8, 503));
    }

    #[test]
    fn context_comes_first() {
        let error = ApiError::invalid("cannot parse").within("failed to create query plan");
        assert_eq!(error.message, "failed to create query plan: cannot parse");
    }
}
