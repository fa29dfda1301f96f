//! `entities`: requests and answers. What searches take is in [`super::search`].

use super::keys::{CONSISTENCY, EXPR_PARAMS, FILTER, IN_COLLECTION, PARTITIONS, TEXTS};
use super::{HYBRID_SEARCH, Key, Kind, Request, SEARCH, Spec, optional, required};
use crate::error::code;

const OUTPUT_FIELDS: Key = optional(
    "outputFields",
    TEXTS,
    "Fields and undeclared keys of the rows; default: `[\"*\"]`, all of them.",
);

/// Rows to be written.
pub(crate) static COLLECTION_DATA: Request = Request::new(
    "CollectionDataReq",
    &[
        IN_COLLECTION,
        &[
            required("data", Kind::Array(&Kind::Map), "The rows: objects with a value for each field."),
            optional("partitionName", Kind::Text, "Their partition; default: `_default`."),
            optional(
                "partialUpdate",
                Kind::Boolean,
                "Upsert: fields that a row leaves out keep their values.",
            ),
            optional(
                "fieldOps",
                Kind::Array(&Kind::Object(&FIELD_OP)),
                "Upsert: what is done with values of Array fields.",
            ),
        ],
    ],
    r#"{"collectionName":"books","data":[{"id":1,"vector":[0.1,0.2,0.3,0.4],"title":"Dune"}]}"#,
);

/// What an upsert does with the value of a field.
pub(crate) static FIELD_OP: Request = Request::within(
    "FieldOp",
    "What is done with the value of a field.",
    &[&[
        required("fieldName", Kind::Text, "The field."),
        optional("op", Kind::Word(&["REPLACE", "ARRAY_APPEND", "ARRAY_REMOVE"]), "Default: REPLACE."),
    ]],
);

/// Rows that match a filter.
pub(crate) static COLLECTION_FILTER: Request = Request::new(
    "CollectionFilterReq",
    &[
        IN_COLLECTION,
        &[
            required("filter", Kind::Text, "An expression that rows must match, such as `year > 2000`."),
            EXPR_PARAMS,
        ],
        PARTITIONS,
    ],
    r#"{"collectionName":"books","filter":"id in [1, 2]"}"#,
);

/// Rows of some keys.
pub(crate) static COLLECTION_ID: Request = Request::new(
    "CollectionIDReq",
    &[
        IN_COLLECTION,
        &[required("id", Kind::Any, "A key, or an array of keys: numbers or texts."), OUTPUT_FIELDS],
        PARTITIONS,
        &[CONSISTENCY],
    ],
    r#"{"collectionName":"books","id":[1,2],"outputFields":["title"]}"#,
);

/// Rows, or numbers about them.
pub(crate) static QUERY: Request = Request::new(
    "QueryReqV2",
    &[
        IN_COLLECTION,
        FILTER,
        &[
            OUTPUT_FIELDS,
            optional("limit", Kind::Integer, "Most rows; default: 100."),
            optional("offset", Kind::Integer, "Rows to skip; default: 0. Together at most 16384."),
            optional(
                "orderByFields",
                TEXTS,
                "`field`, `field:desc`, `field:asc:nulls_first`; default: by key.",
            ),
            optional(
                "groupByFields",
                TEXTS,
                "One row for each value of these, with `count(*)`, `sum(f)`, `avg(f)`, `min(f)`, `max(f)` among the output fields.",
            ),
        ],
        PARTITIONS,
        &[CONSISTENCY],
    ],
    r#"{"collectionName":"books","filter":"id > 0","outputFields":["title"],"limit":10}"#,
);

pub(crate) static INSERT: Spec = Spec {
    about: "Adds rows. The answer comes when they are durable and every later read sees them. \
            A batch is stored whole or not at all.",
    request: &COLLECTION_DATA,
    data: "Their number and keys.",
    answer: r#"{"code":0,"cost":0,"data":{"insertCount":1,"insertIds":[1]}}"#,
    codes: WRITE,
};

pub(crate) static UPSERT: Spec = Spec {
    about: "Adds rows, or replaces those with the same keys, or only some of their fields.",
    request: &COLLECTION_DATA,
    data: "Their number and keys.",
    answer: r#"{"code":0,"cost":0,"data":{"upsertCount":1,"upsertIds":[1]}}"#,
    codes: WRITE,
};

const WRITE: &[i32] = &[
    code::MEMORY_EXHAUSTED,
    code::DISK_EXHAUSTED,
    code::COLLECTION_NOT_FOUND,
    code::PARTITION_NOT_FOUND,
    code::SCHEMA_MISMATCH,
    code::BAD_ROWS,
];

pub(crate) static DELETE: Spec = Spec {
    about: "Deletes the rows that match a filter. One that matches every row is refused.",
    request: &COLLECTION_FILTER,
    data: "How many rows died.",
    answer: r#"{"code":0,"cost":0,"data":{"deleteCount":2}}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static GET: Spec = Spec {
    about: "Reads rows by key, in ascending order. Unknown keys are left out.",
    request: &COLLECTION_ID,
    data: "The rows.",
    answer: r#"{"code":0,"cost":0,"data":[{"id":1,"title":"Dune"}]}"#,
    codes: &[code::COLLECTION_NOT_FOUND, code::BAD_KEYS],
};

pub(crate) static QUERY_IT: Spec = Spec {
    about: "Reads the rows that match a filter, or computes numbers about them.",
    request: &QUERY,
    data: "The rows, with their keys.",
    answer: r#"{"code":0,"cost":0,"data":[{"id":1,"title":"Dune"}]}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};

const FOUND: &str = "The rows of all queries one after the other, each with its key and distance; `topks` beside the \
                     data says how many belong to each query.";

pub(crate) static SEARCH_IT: Spec = Spec {
    about: "Finds the nearest rows to each query vector.",
    request: &SEARCH,
    data: FOUND,
    answer: r#"{"code":0,"cost":0,"data":[{"id":1,"distance":0.99,"title":"Dune"}],"topks":[1]}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static HYBRID: Spec = Spec {
    about: "Finds the rows that several searches find best together.",
    request: &HYBRID_SEARCH,
    data: FOUND,
    answer: r#"{"code":0,"cost":0,"data":[{"id":1,"distance":0.032,"title":"Dune"}],"topks":[1]}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};
