//! `indexes`: requests and answers.

use super::keys::{COLLECTION_NAME, DONE, IN_COLLECTION, NOTHING, PROPERTIES, PROPERTY_KEYS};
use super::{Key, Kind, Request, Spec, optional, required};
use crate::error::code;

const NAME: Key = required("indexName", Kind::Text, "The index.");

/// An index.
pub(crate) static INDEX: Request =
    Request::new("IndexReq", &[IN_COLLECTION, &[NAME]], r#"{"collectionName":"books","indexName":"vector"}"#);

/// Indexes to make.
pub(crate) static INDEX_PARAMS: Request = Request::new(
    "IndexParamReq",
    &[
        IN_COLLECTION,
        &[required("indexParams", Kind::Array(&Kind::Object(&INDEX_PARAM)), "The indexes, one a field.")],
    ],
    r#"{"collectionName":"books","indexParams":[{"fieldName":"vector","indexType":"HNSW","metricType":"COSINE","params":{"M":16,"efConstruction":200}}]}"#,
);

/// One of them.
pub(crate) static INDEX_PARAM: Request = Request::within(
    "IndexParam",
    "An index on a field.",
    &[&[
        optional("fieldName", Kind::Text, "The field. A name that the schema lacks is refused."),
        optional("indexName", Kind::Text, "Its name; default: that of the field."),
        optional(
            "metricType",
            Kind::Text,
            "L2, IP, COSINE, HAMMING, JACCARD or BM25; default: that of the field's type.",
        ),
        optional("indexType", Kind::Text, "FLAT, IVF_FLAT, HNSW...; default: AUTOINDEX."),
        optional(
            "params",
            Kind::Map,
            "Parameters such as `M`, `efConstruction`, `nlist`; also `index_type` and `metric_type`.",
        ),
    ]],
);

/// An index and properties to set.
pub(crate) static INDEX_PROPERTIES: Request = Request::new(
    "IndexReqWithProperties",
    &[IN_COLLECTION, &[NAME, PROPERTIES]],
    r#"{"collectionName":"books","indexName":"vector","properties":{"mmap.enabled":true}}"#,
);

/// An index and properties to remove.
pub(crate) static DROP_INDEX_PROPERTIES: Request = Request::new(
    "DropIndexPropertiesReq",
    &[IN_COLLECTION, &[NAME, PROPERTY_KEYS]],
    r#"{"collectionName":"books","indexName":"vector","propertyKeys":["mmap.enabled"]}"#,
);

pub(crate) static LIST: Spec = Spec {
    about: "Lists the indexes of a collection.",
    request: &COLLECTION_NAME,
    data: "Names of indexes.",
    answer: r#"{"code":0,"data":["vector"]}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static DESCRIBE: Spec = Spec {
    about: "Shows an index in full, and how far it is built.",
    request: &INDEX,
    data: "An array with the one index. `builtAs` is of our own: what its type stands for here.",
    answer: r#"{"code":0,"data":[{"indexName":"vector","fieldName":"vector","indexType":"AUTOINDEX","metricType":"COSINE","totalRows":5000,"pendingRows":0,"indexedRows":5000,"indexState":"Finished","failReason":"","builtAs":"HNSW","indexParams":[{"key":"index_type","value":"AUTOINDEX"}]}]}"#,
    codes: &[code::COLLECTION_NOT_FOUND, code::INDEX_NOT_FOUND],
};

pub(crate) static CREATE: Spec = Spec {
    about: "Adds indexes. They are built in the background; searches need not wait for them.",
    request: &INDEX_PARAMS,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static DROP: Spec = Spec {
    about: "Removes an index. Dropping an unknown one succeeds.",
    request: &INDEX,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static ALTER_PROPERTIES: Spec = Spec {
    about: "Sets properties of an index: how it is held in memory, which has no effect here.",
    request: &INDEX_PROPERTIES,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND, code::INDEX_NOT_FOUND],
};

pub(crate) static DROP_PROPERTIES: Spec = Spec {
    about: "Removes properties of an index.",
    request: &DROP_INDEX_PROPERTIES,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND, code::INDEX_NOT_FOUND],
};
