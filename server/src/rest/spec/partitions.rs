//! `partitions`: requests and answers.

use super::keys::{COLLECTION_NAME, DONE, IN_COLLECTION, NOTHING, TEXTS};
use super::{Kind, Request, Spec, required};
use crate::error::code;

/// A partition.
pub(crate) static PARTITION: Request = Request::new(
    "PartitionReq",
    &[IN_COLLECTION, &[required("partitionName", Kind::Text, "The partition.")]],
    r#"{"collectionName":"books","partitionName":"novels"}"#,
);

/// Partitions.
pub(crate) static PARTITIONS: Request = Request::new(
    "PartitionsReq",
    &[IN_COLLECTION, &[required("partitionNames", TEXTS, "The partitions.")]],
    r#"{"collectionName":"books","partitionNames":["novels"]}"#,
);

pub(crate) static LIST: Spec = Spec {
    about: "Lists the partitions of a collection, `_default` first.",
    request: &COLLECTION_NAME,
    data: "Names of partitions.",
    answer: r#"{"code":0,"data":["_default","novels"]}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static HAS: Spec = Spec {
    about: "Says whether there is a partition.",
    request: &PARTITION,
    data: "Whether there is one.",
    answer: r#"{"code":0,"data":{"has":true}}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static CREATE: Spec = Spec {
    about: "Adds a partition. One that is there stays as it is.",
    request: &PARTITION,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static DROP: Spec = Spec {
    about: "Removes a released partition with its rows. Dropping an unknown one succeeds.",
    request: &PARTITION,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static STATS: Spec = Spec {
    about: "Counts the live rows of a partition.",
    request: &PARTITION,
    data: "The number of rows.",
    answer: r#"{"code":0,"data":{"rowCount":1204}}"#,
    codes: &[code::COLLECTION_NOT_FOUND, code::PARTITION_NOT_FOUND],
};

pub(crate) static LOAD: Spec = Spec {
    about: "Notes that partitions are to be loaded. Reading them needs no load.",
    request: &PARTITIONS,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND, code::PARTITION_NOT_FOUND],
};

pub(crate) static RELEASE: Spec = Spec {
    about: "Notes that partitions are not needed for now. They stay searchable.",
    request: &PARTITIONS,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND, code::PARTITION_NOT_FOUND],
};
