//! The one error type of the engine. Every variant has a class; the server turns class and kind into Milvus codes and
//! HTTP statuses in one table and never looks at the text.

use elanus_storage::StorageError;

/// What went wrong in the engine, as a sentence for a person and a kind for a program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No collection has this name.
    #[error("can't find collection[database={database}][collection={name}]")]
    CollectionNotFound {
        /// The database asked.
        database: String,
        /// The name asked for.
        name: String,
    },
    /// No database has this name.
    #[error("database not found[database={name}]")]
    DatabaseNotFound {
        /// The name asked for.
        name: String,
    },
    /// A database name breaks the naming rule.
    #[error("database name invalid[database={name}]: {reason}")]
    InvalidDatabaseName {
        /// The offending name.
        name: String,
        /// The rule it breaks.
        reason: String,
    },
    /// There are as many databases as the limit allows.
    #[error("exceeded the limit number of database[limit={limit}]")]
    TooManyDatabases {
        /// The limit.
        limit: usize,
    },
    /// No alias has this name.
    #[error("alias not found[database={database}][alias={name}]")]
    AliasNotFound {
        /// The database asked.
        database: String,
        /// The name asked for.
        name: String,
    },
    /// What is asked for is more than an answer may hold.
    #[error("the answer would have more than {limit} bytes: ask for fewer rows, queries or output fields")]
    AnswerTooLarge {
        /// Bytes of values at most.
        limit: usize,
    },
    /// A collection has the name that an alias is to get, or the other way round.
    #[error("{0}")]
    AliasConflict(String),
    /// The alias names another collection already.
    #[error("{name} is already an alias of collection {collection}: alias already exist[alias={name}]")]
    AliasExists {
        /// The alias.
        name: String,
        /// What it names.
        collection: String,
    },
    /// The collection has no such partition.
    #[error("partition not found[partition={name}]")]
    PartitionNotFound {
        /// The name asked for.
        name: String,
    },
    /// The collection has no such index.
    #[error("index not found[index={name}]")]
    IndexNotFound {
        /// The name asked for.
        name: String,
    },
    /// A collection of this name exists with another definition.
    #[error("create duplicate collection with different parameters, collection: {name}: invalid parameter")]
    CollectionExists {
        /// The name in question.
        name: String,
    },
    /// The collection could not be opened at start, or was damaged later; the others go on.
    #[error("collection {name} is not available: {reason}")]
    CollectionFailed {
        /// The collection.
        name: String,
        /// Why it is out of service.
        reason: String,
    },
    /// The collection is still being opened; the same request succeeds later.
    #[error("collection {name} is being loaded ({done} of {total} collections are): try again")]
    CollectionLoading {
        /// The collection.
        name: String,
        /// Collections that are open.
        done: usize,
        /// All collections.
        total: usize,
    },
    /// There are as many collections as the limit allows.
    #[error("exceeded the limit number of collections[limit={limit}]")]
    TooManyCollections {
        /// The limit.
        limit: usize,
    },
    /// A field name breaks the naming rule.
    #[error("field name invalid[field={name}]: {reason}")]
    InvalidFieldName {
        /// The offending name.
        name: String,
        /// The rule it breaks.
        reason: String,
    },
    /// The schema names no such field.
    #[error("field {name} not exist")]
    FieldNotFound {
        /// The name asked for.
        name: String,
    },
    /// The schema names no such field to group by.
    #[error("groupBy field not found in schema: field not found[field={name}]")]
    GroupFieldNotFound {
        /// The name asked for.
        name: String,
    },
    /// A client has released the collection.
    #[error("collection not loaded[collection={name}]")]
    NotLoaded {
        /// Its name.
        name: String,
    },
    /// A value that a request must carry is absent.
    #[error("{0}: missing parameter")]
    MissingParameter(String),
    /// The type of a field takes a parameter that its definition does not give.
    #[error("type param({parameter}) should be specified for the field({field}): missing parameter")]
    MissingTypeParameter {
        /// The parameter.
        parameter: &'static str,
        /// The field.
        field: String,
    },
    /// A parameter is out of range, of the wrong kind, or contradicts another one.
    #[error("{0}: invalid parameter")]
    InvalidParameter(String),
    /// A row of an insert or upsert does not fit the schema. Nothing of the batch was stored.
    #[error("{reason}: invalid parameter, field: {field}, row number: {row}")]
    InvalidRow {
        /// The field that refused.
        field: String,
        /// Row in the batch, from 0.
        row: usize,
        /// What is wrong.
        reason: String,
    },
    /// A query vector does not fit the field: its dimension, or a value that is not finite.
    #[error("{0}: invalid parameter")]
    InvalidQueryVector(String),
    /// A filter expression does not parse, or does not fit the schema.
    #[error("cannot parse expression: {expression}: {reason}: invalid parameter")]
    InvalidFilter {
        /// The expression as given.
        expression: String,
        /// What is wrong and where.
        reason: String,
    },
    /// The stored data was made under a definition that contradicts the request (for example another embedding model).
    #[error("{0}")]
    Conflict(String),
    /// The schema has changed since the rows were read; the same request succeeds.
    #[error("the schema of the collection has changed: collection schema mismatch")]
    SchemaChanged,
    /// As many searches run and wait as may.
    #[error("too busy: {limit} searches are running or waiting: try again")]
    Busy {
        /// Searches at once.
        limit: usize,
    },
    /// Whoever asked does not want the answer any more.
    #[error("the search was cancelled")]
    Cancelled,
    /// The engine is shutting down and takes no more writes.
    #[error("the engine is closing")]
    Closing,
    /// A file operation failed, or stored bytes are damaged.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A bug: a state that the engine's own rules exclude. The message says which.
    #[error("internal error: {0}")]
    Internal(String),
}

/// What kind of answer an error deserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    /// The request can never succeed as it is.
    Invalid,
    /// What the request names is not there.
    NotFound,
    /// The request contradicts what is stored.
    Conflict,
    /// A limit of disk, memory or count is reached.
    Exhausted,
    /// Not now: starting, stopping, or out of service.
    Unavailable,
    /// Stored bytes are damaged.
    Corrupt,
    /// A bug or an I/O failure.
    Internal,
}

impl EngineError {
    /// The class that decides status codes and retries.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::CollectionNotFound { .. }
            | Self::DatabaseNotFound { .. }
            | Self::AliasNotFound { .. }
            | Self::PartitionNotFound { .. }
            | Self::IndexNotFound { .. }
            | Self::FieldNotFound { .. }
            | Self::GroupFieldNotFound { .. } => ErrorClass::NotFound,
            Self::CollectionExists { .. }
            | Self::AliasConflict(_)
            | Self::AliasExists { .. }
            | Self::SchemaChanged
            | Self::Conflict(_) => ErrorClass::Conflict,
            Self::TooManyCollections { .. } | Self::TooManyDatabases { .. } => ErrorClass::Exhausted,
            Self::CollectionFailed { .. }
            | Self::CollectionLoading { .. }
            | Self::Busy { .. }
            | Self::Cancelled
            | Self::Closing => ErrorClass::Unavailable,
            Self::Storage(StorageError::QuotaExceeded { .. }) => ErrorClass::Exhausted,
            Self::Storage(e) if e.is_disk_full() => ErrorClass::Exhausted,
            Self::Storage(StorageError::Corrupt { .. } | StorageError::UnsupportedVersion { .. }) => {
                ErrorClass::Corrupt
            }
            Self::Storage(StorageError::Poisoned { .. }) => ErrorClass::Unavailable,
            Self::Storage(_) | Self::Internal(_) => ErrorClass::Internal,
            _ => ErrorClass::Invalid,
        }
    }

    /// The same failure for another of several writers that it hits (I/O errors cannot be copied).
    pub(crate) fn for_another(&self) -> Self {
        match self {
            Self::Closing => Self::Closing,
            Self::CollectionNotFound { database, name } => {
                Self::CollectionNotFound { database: database.clone(), name: name.clone() }
            }
            Self::Storage(error) => Self::Storage(error.for_another()),
            other => Self::Internal(other.to_string()),
        }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidParameter(message.into())
    }

    /// Wraps an Arrow error that can only come from a broken invariant of ours.
    pub(crate) fn arrow(error: &arrow_schema::ArrowError) -> Self {
        Self::Internal(format!("arrow: {error}"))
    }
}

/// Result with [`EngineError`].
pub type Result<T, E = EngineError> = std::result::Result<T, E>;
