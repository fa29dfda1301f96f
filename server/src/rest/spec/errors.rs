//! What the error codes mean, for people.

use crate::error::code;

/// Codes and their meaning.
pub(super) const ERRORS: &[(i32, &str)] = &[
    (code::UNAVAILABLE, "Not now: the server is starting or stopping, or the collection is out of service."),
    (code::MEMORY_EXHAUSTED, "More memory is in use than may be."),
    (code::DISK_EXHAUSTED, "The disk, or the share of it that may be used, is full."),
    (code::RATE_LIMIT, "Too many requests; the same one may succeed later."),
    (code::UNIMPLEMENTED, "A call that is not here."),
    (code::COLLECTION_NOT_FOUND, "No such collection."),
    (code::NOT_LOADED, "The collection was released, and not loaded since."),
    (code::TOO_MANY_COLLECTIONS, "As many collections as there may be."),
    (code::SCHEMA_MISMATCH, "The schema has changed meanwhile."),
    (code::PARTITION_NOT_FOUND, "No such partition."),
    (code::INDEX_NOT_FOUND, "No such index."),
    (code::DATABASE_NOT_FOUND, "No such database."),
    (code::TOO_MANY_DATABASES, "As many databases as there may be."),
    (code::DATABASE_NAME, "A database name against the rule."),
    (code::INVALID, "Nearly every mistake in a request."),
    (code::MISSING, "Something that the request must carry is missing."),
    (code::TOO_LARGE, "Something in the request is too large."),
    (code::WRONG_PASSWORD, "The old password is another."),
    (code::NOT_PERMITTED, "What nobody may do to users and roles."),
    (code::ALIAS_NOT_FOUND, "No such alias."),
    (code::ALIAS_CONFLICT, "An alias and a collection of one name."),
    (code::ALIAS_EXISTS, "The alias is of another collection."),
    (code::FIELD_NOT_FOUND, "No such field."),
    (code::FIELD_NAME, "A field name against the rule."),
    (code::NOT_AUTHENTICATED, "Nobody who is known asks (status 401)."),
    (code::BAD_JSON, "The body is not the JSON that is expected; also for query vectors."),
    (code::MISSING_FIELD, "A required key of the body is missing."),
    (code::BAD_ROWS, "Rows of an insert or upsert do not fit the schema."),
    (code::BAD_KEYS, "Keys do not fit the type of the primary key."),
    (code::IMPORT_FAILED, "An import cannot be done, or no job has that number."),
    (code::TIMEOUT, "The request took too long (status 408)."),
    (code::UNEXPECTED, "Anything unexpected: a bug, a failed disk, a missing privilege."),
];

/// What a code means.
pub(super) fn meaning(code: i32) -> &'static str {
    ERRORS.iter().find(|(known, _)| *known == code).map_or("", |(_, meaning)| meaning)
}
