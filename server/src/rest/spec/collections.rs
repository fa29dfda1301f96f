//! `collections`: requests and answers. The request that makes one is in [`super::schema`], those that change its fields
//! are in [`super::fields`].

use super::keys::{
    COLLECTION_NAME, DATABASE, DONE, IN_COLLECTION, INTEGER_OR_TEXT, NOTHING, PROPERTIES, PROPERTY_KEYS,
};
use super::{COLLECTION, Kind, Request, Spec, optional, required};
use crate::error::code;

/// A collection and its new name.
pub(crate) static RENAME: Request = Request::new(
    "RenameCollectionReq",
    &[
        IN_COLLECTION,
        &[
            required("newCollectionName", Kind::Text, "Its new name."),
            optional("newDbName", Kind::Text, "Its new database; default: where it is."),
        ],
    ],
    r#"{"collectionName":"books","newCollectionName":"volumes"}"#,
);

/// A collection and properties to set.
pub(crate) static COLLECTION_PROPERTIES: Request = Request::new(
    "CollectionReqWithProperties",
    &[IN_COLLECTION, &[PROPERTIES]],
    r#"{"collectionName":"books","properties":{"collection.ttl.seconds":86400}}"#,
);

/// A collection and properties to remove.
pub(crate) static DROP_COLLECTION_PROPERTIES: Request = Request::new(
    "DropCollectionPropertiesReq",
    &[IN_COLLECTION, &[PROPERTY_KEYS]],
    r#"{"collectionName":"books","propertyKeys":["collection.ttl.seconds"]}"#,
);

/// A collection to be compacted.
pub(crate) static COMPACT: Request = Request::new(
    "CompactReq",
    &[IN_COLLECTION, &[optional("isClustering", Kind::Boolean, "Not heeded.")]],
    r#"{"collectionName":"books"}"#,
);

/// A compaction.
pub(crate) static COMPACTION_STATE: Request = Request::new(
    "GetCompactionStateReq",
    &[&[optional("jobID", INTEGER_OR_TEXT, "The `compactionID` that `collections/compact` answered.")]],
    r#"{"jobID":7}"#,
);

/// What changes a collection and answers nothing.
const fn change(about: &'static str, request: &'static Request) -> Spec {
    Spec { about, request, data: NOTHING, answer: DONE, codes: &[code::COLLECTION_NOT_FOUND] }
}

pub(crate) static CREATE: Spec = Spec {
    about: "Creates a collection, in the quick form (a dimension is enough) or with a schema. \
            Creating the same one again succeeds.",
    request: &COLLECTION,
    data: NOTHING,
    answer: DONE,
    codes: &[code::DATABASE_NOT_FOUND, code::TOO_MANY_COLLECTIONS, code::MISSING, code::ALIAS_CONFLICT],
};

pub(crate) static LIST: Spec = Spec {
    about: "Lists the collections of a database.",
    request: &DATABASE,
    data: "Names of collections.",
    answer: r#"{"code":0,"data":["books"]}"#,
    codes: &[code::DATABASE_NOT_FOUND],
};

pub(crate) static HAS: Spec = Spec {
    about: "Says whether there is a collection, or an alias of this name.",
    request: &COLLECTION_NAME,
    data: "Whether there is one.",
    answer: r#"{"code":0,"data":{"has":true}}"#,
    codes: &[code::DATABASE_NOT_FOUND],
};

pub(crate) static DESCRIBE: Spec = Spec {
    about: "Shows a collection in full.",
    request: &COLLECTION_NAME,
    data: "Its schema, indexes, aliases, properties and state.",
    answer: r#"{"code":0,"data":{"collectionName":"books","collectionID":7,"description":"","autoId":false,"fields":[{"name":"id","id":100,"type":"Int64","primaryKey":true,"partitionKey":false,"clusteringKey":false,"autoId":false,"description":"","nullable":false},{"name":"vector","id":101,"type":"FloatVector","primaryKey":false,"partitionKey":false,"clusteringKey":false,"autoId":false,"description":"","nullable":false,"params":[{"key":"dim","value":"4"}]}],"structFields":[],"functions":[],"aliases":[],"indexes":[{"fieldName":"vector","indexName":"vector","metricType":"COSINE"}],"load":"LoadStateLoaded","shardsNum":1,"partitionsNum":1,"consistencyLevel":"Bounded","enableDynamicField":true,"externalSource":"","externalSpec":"","properties":[{"key":"timezone","value":"UTC"}]},"message":""}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static DROP: Spec =
    change("Drops a collection with its rows. Dropping an unknown one succeeds.", &COLLECTION_NAME);

pub(crate) static TRUNCATE: Spec = change("Deletes all rows of a collection.", &COLLECTION_NAME);

pub(crate) static RENAME_IT: Spec = change("Gives a collection another name, or another database.", &RENAME);

pub(crate) static STATS: Spec = Spec {
    about: "Counts the live rows of a collection.",
    request: &COLLECTION_NAME,
    data: "The number of rows.",
    answer: r#"{"code":0,"data":{"rowCount":1204}}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static LOAD_STATE: Spec = Spec {
    about: "Says whether a collection, or some of its partitions, were asked to be loaded. Reading needs no load, until somebody releases the collection.",
    request: &COLLECTION_NAME,
    data: "The state.",
    answer: r#"{"code":0,"data":{"loadState":"LoadStateLoaded","loadProgress":100},"message":""}"#,
    codes: &[code::COLLECTION_NOT_FOUND, code::PARTITION_NOT_FOUND],
};

pub(crate) static LOAD: Spec =
    change("Notes that a collection is to be loaded. Its vectors need indexes.", &COLLECTION_NAME);

pub(crate) static RELEASE: Spec =
    change("Notes that a collection is not needed for now. It stays searchable.", &COLLECTION_NAME);

pub(crate) static FLUSH: Spec =
    change("Moves rows from memory and log into files. They are durable before, too.", &COLLECTION_NAME);

pub(crate) static COMPACT_IT: Spec = Spec {
    about: "Asks for a compaction. It also runs by itself.",
    request: &COMPACT,
    data: "The number of the compaction.",
    answer: r#"{"code":0,"data":{"compactionID":7}}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static COMPACTION: Spec = Spec {
    about: "Says how far a compaction is. One of a collection that is gone is done.",
    request: &COMPACTION_STATE,
    data: "The state: Executing or Completed.",
    answer: r#"{"code":0,"data":{"compactionID":7,"state":"Completed","executingPlanNumber":0,"timeoutPlanNumber":0,"completedPlanNumber":1}}"#,
    codes: &[],
};

pub(crate) static ALTER_PROPERTIES: Spec = change("Sets properties of a collection.", &COLLECTION_PROPERTIES);

pub(crate) static DROP_PROPERTIES: Spec =
    change("Removes properties of a collection.", &DROP_COLLECTION_PROPERTIES);
