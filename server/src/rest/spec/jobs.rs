//! `jobs/import`: requests and answers.

use super::keys::{DB_NAME, DONE, IN_COLLECTION, NOTHING};
use super::{Kind, Request, Spec, optional, required};
use crate::error::code;

/// Files to import.
pub(crate) static IMPORT: Request = Request::new(
    "ImportReq",
    &[
        IN_COLLECTION,
        &[
            required(
                "files",
                Kind::Array(&Kind::Array(&Kind::Text)),
                "Groups of files: one of rows (.json, .jsonl, .parquet), or one .npy for each field.",
            ),
            optional("partitionName", Kind::Text, "The partition that the rows go to."),
            optional("options", Kind::Map, "Accepted; a time limit and the like have no effect."),
        ],
    ],
    r#"{"collectionName":"books","files":[["books.parquet"]]}"#,
);

/// Whose imports.
pub(crate) static LIST_IMPORT: Request = Request::new(
    "ListImportReq",
    &[&[DB_NAME, optional("collectionName", Kind::Text, "Only those into this collection.")]],
    "{}",
);

/// One import.
pub(crate) static JOB_ID: Request =
    Request::new("JobIDReq", &[&[DB_NAME, required("jobId", Kind::Text, "The import.")]], r#"{"jobId":"7"}"#);

pub(crate) static CREATE: Spec = Spec {
    about: "Imports files with rows. Every row is checked before the first one is stored.",
    request: &IMPORT,
    data: "The number of the job.",
    answer: r#"{"code":0,"data":{"jobId":"7"}}"#,
    codes: &[code::COLLECTION_NOT_FOUND, code::IMPORT_FAILED],
};

pub(crate) static LIST: Spec = Spec {
    about: "Lists imports.",
    request: &LIST_IMPORT,
    data: "Each import with how far it is.",
    answer: r#"{"code":0,"data":{"records":[{"jobId":"7","collectionName":"books","state":"Completed","progress":100}]}}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};

pub(crate) static DESCRIBE: Spec = Spec {
    about: "Says how far an import is, file by file.",
    request: &JOB_ID,
    data: "The import in full.",
    answer: r#"{"code":0,"data":{"jobId":"7","collectionName":"books","state":"Completed","progress":100,"importedRows":2,"totalRows":2,"fileSize":310}}"#,
    codes: &[code::IMPORT_FAILED],
};

pub(crate) static COMMIT: Spec = Spec {
    about: "Nothing to do: an import that is done is visible.",
    request: &JOB_ID,
    data: NOTHING,
    answer: DONE,
    codes: &[code::IMPORT_FAILED],
};

pub(crate) static ABORT: Spec = Spec {
    about: "Ends an import that is not done. Rows that it has stored stay.",
    request: &JOB_ID,
    data: NOTHING,
    answer: DONE,
    codes: &[code::IMPORT_FAILED],
};
