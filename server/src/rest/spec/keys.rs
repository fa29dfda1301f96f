//! Keys and requests that many routes share.

use super::{Key, Kind, Request, optional, required};

/// Texts.
pub(super) const TEXTS: Kind = Kind::Array(&Kind::Text);
/// A whole number, also within a text.
pub(super) const INTEGER_OR_TEXT: Kind = Kind::OneOf(&[Kind::Integer, Kind::Text]);
/// A number, also within a text.
pub(super) const NUMBER_OR_TEXT: Kind = Kind::OneOf(&[Kind::Number, Kind::Text]);
/// A boolean, also within a text.
pub(super) const BOOLEAN_OR_TEXT: Kind = Kind::OneOf(&[Kind::Boolean, Kind::Text]);
/// Milvus's consistency levels.
pub(super) const LEVEL: Kind = Kind::Word(&["Strong", "Session", "Bounded", "Eventually", "Customized"]);

/// The data of most calls that change something.
pub(super) const NOTHING: &str = "Nothing: an empty object.";
/// Their answer.
pub(super) const DONE: &str = r#"{"code":0,"data":{}}"#;

/// Which database.
pub(super) const DB_NAME: Key =
    optional("dbName", Kind::Text, "The database; before the header DB-Name, default: `default`.");

const NAME: Key = required("collectionName", Kind::Text, "The collection, or an alias of it.");

/// Which database.
pub(super) const IN_DATABASE: &[Key] = &[DB_NAME];
/// Which collection of which database.
pub(super) const IN_COLLECTION: &[Key] = &[DB_NAME, NAME];

/// What a read may be narrowed to.
pub(super) const PARTITIONS: &[Key] = &[
    optional("partitionNames", TEXTS, "Only these partitions; default: all."),
    optional("partitionName", Kind::Text, "One more partition."),
];

/// A filter with its values, and partitions.
pub(super) const FILTER: &[Key] = &[
    optional(
        "filter",
        Kind::Text,
        "An expression that rows must match, such as `year > 2000`; default: every row.",
    ),
    EXPR_PARAMS,
];

/// Values for an expression.
pub(super) const EXPR_PARAMS: Key = optional(
    "exprParams",
    Kind::Map,
    "Values for the names in braces of the filter: `year > {y}` with `{\"y\": 2000}`.",
);

/// How fresh a read must be.
pub(super) const CONSISTENCY: Key =
    optional("consistencyLevel", LEVEL, "Accepted; every read sees every acknowledged write.");

/// Properties to set.
pub(super) const PROPERTIES: Key =
    optional("properties", Kind::Map, "Names and values of properties. Values are kept as text.");

/// Properties to remove.
pub(super) const PROPERTY_KEYS: Key = optional("propertyKeys", TEXTS, "Names of the properties to remove.");

/// A database, or none.
pub(crate) static DATABASE: Request = Request::new("DatabaseReq", &[IN_DATABASE], "{}");

/// A collection.
pub(crate) static COLLECTION_NAME: Request = Request::new(
    "CollectionNameReq",
    &[
        IN_COLLECTION,
        &[
            optional("partitionNames", TEXTS, "Partitions. Heeded by `collections/get_load_state` alone."),
            optional("partitionName", Kind::Text, "One more partition, likewise."),
        ],
    ],
    r#"{"collectionName":"books"}"#,
);

/// A collection, or none.
pub(crate) static OPTIONAL_COLLECTION_NAME: Request = Request::new(
    "OptionalCollectionNameReq",
    &[IN_DATABASE, &[optional("collectionName", Kind::Text, "Only of this collection; default: of all.")]],
    r#"{"collectionName":"books"}"#,
);
