//! `collections/fields` and functions: requests and answers of what changes a schema that is there.

use super::keys::{DONE, IN_COLLECTION, NOTHING};
use super::{FIELD_SCHEMA, Kind, Request, Spec, optional, required};
use crate::error::code;

/// A field to be added.
pub(crate) static FIELD_WITH_SCHEMA: Request = Request::new(
    "CollectionFieldReqWithSchema",
    &[IN_COLLECTION, &[required("schema", Kind::Object(&FIELD_SCHEMA), "The field. It must be nullable.")]],
    r#"{"collectionName":"books","schema":{"fieldName":"pages","dataType":"Int32","nullable":true}}"#,
);

/// A field.
pub(crate) static FIELD: Request = Request::new(
    "CollectionFieldReq",
    &[
        IN_COLLECTION,
        &[
            optional("fieldName", Kind::Text, "The field; or else:"),
            optional("fieldId", Kind::Integer, "Its number."),
        ],
    ],
    r#"{"collectionName":"books","fieldName":"pages"}"#,
);

/// A field to be changed.
pub(crate) static FIELD_WITH_PARAMS: Request = Request::new(
    "CollectionFieldReqWithParams",
    &[
        IN_COLLECTION,
        &[
            required("fieldName", Kind::Text, "The field."),
            optional("fieldParams", Kind::Map, "Such as `max_length`, `max_capacity`, `mmap.enabled`."),
        ],
    ],
    r#"{"collectionName":"books","fieldName":"title","fieldParams":{"max_length":512}}"#,
);

/// A function to be changed.
pub(crate) static FUNCTION: Request = Request::new(
    "CollectionFunctionReq",
    &[
        IN_COLLECTION,
        &[
            optional("functionName", Kind::Text, "Not looked at."),
            optional("function", Kind::Map, "Not looked at."),
        ],
    ],
    r#"{"collectionName":"books"}"#,
);

pub(crate) static ADD: Spec = Spec {
    about: "Adds a field that may be null. Rows that are there have null, or its default.",
    request: &FIELD_WITH_SCHEMA,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND, code::FIELD_NAME],
};

pub(crate) static DROP: Spec = Spec {
    about: "Removes a field: no primary or partition key, and not the last vector.",
    request: &FIELD,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND, code::FIELD_NOT_FOUND],
};

pub(crate) static ALTER_PROPERTIES: Spec = Spec {
    about: "Changes sizes and further parameters of a field.",
    request: &FIELD_WITH_PARAMS,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND, code::FIELD_NOT_FOUND],
};

pub(crate) static FUNCTIONS: Spec = Spec {
    about: "Not supported: functions are part of a schema from the start. Always refused with code 1100.",
    request: &FUNCTION,
    data: "None: the call always fails.",
    answer: r#"{"code":1100,"message":"changing the functions of a collection that is there is not supported in this version of Elanus"}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};
