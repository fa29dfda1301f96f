//! `databases`: requests and answers.

use super::keys::{DONE, NOTHING, PROPERTIES, PROPERTY_KEYS};
use super::{Key, Kind, Request, Spec, required};
use crate::error::code;

const NAME: Key =
    required("dbName", Kind::Text, "The database. Only from the body: the header does not count here.");

/// Nothing.
pub(crate) static EMPTY: Request = Request::new("EmptyReq", &[], "{}");

/// A database.
pub(crate) static DATABASE_NAME: Request =
    Request::new("DatabaseReqRequiredName", &[&[NAME]], r#"{"dbName":"library"}"#);

/// A database and properties to set.
pub(crate) static DATABASE_PROPERTIES: Request = Request::new(
    "DatabaseReqWithProperties",
    &[&[NAME, PROPERTIES]],
    r#"{"dbName":"library","properties":{"timezone":"UTC"}}"#,
);

/// A database and properties to remove.
pub(crate) static DROP_DATABASE_PROPERTIES: Request = Request::new(
    "DropDatabasePropertiesReq",
    &[&[NAME, PROPERTY_KEYS]],
    r#"{"dbName":"library","propertyKeys":["timezone"]}"#,
);

pub(crate) static LIST: Spec = Spec {
    about: "Lists all databases.",
    request: &EMPTY,
    data: "Names of databases.",
    answer: r#"{"code":0,"data":["default","library"]}"#,
    codes: &[],
};

pub(crate) static DESCRIBE: Spec = Spec {
    about: "Shows a database in full.",
    request: &DATABASE_NAME,
    data: "Name, number and properties.",
    answer: r#"{"code":0,"data":{"dbName":"library","dbID":1,"properties":[{"key":"timezone","value":"UTC"}]}}"#,
    codes: &[code::DATABASE_NOT_FOUND],
};

pub(crate) static CREATE: Spec = Spec {
    about: "Adds a database.",
    request: &DATABASE_PROPERTIES,
    data: NOTHING,
    answer: DONE,
    codes: &[code::TOO_MANY_DATABASES, code::DATABASE_NAME],
};

pub(crate) static DROP: Spec = Spec {
    about: "Removes an empty database. Dropping an unknown one succeeds.",
    request: &DATABASE_NAME,
    data: NOTHING,
    answer: DONE,
    codes: &[],
};

pub(crate) static ALTER: Spec = Spec {
    about: "Sets properties of a database.",
    request: &DATABASE_PROPERTIES,
    data: NOTHING,
    answer: DONE,
    codes: &[code::DATABASE_NOT_FOUND],
};

pub(crate) static DROP_PROPERTIES: Spec = Spec {
    about: "Removes properties of a database.",
    request: &DROP_DATABASE_PROPERTIES,
    data: NOTHING,
    answer: DONE,
    codes: &[code::DATABASE_NOT_FOUND],
};
