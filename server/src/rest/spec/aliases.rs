//! `aliases`: requests and answers.

use super::keys::{DONE, IN_COLLECTION, IN_DATABASE, NOTHING, OPTIONAL_COLLECTION_NAME};
use super::{Kind, Request, Spec, required};
use crate::error::code;

/// An alias.
pub(crate) static ALIAS: Request = Request::new(
    "AliasReq",
    &[IN_DATABASE, &[required("aliasName", Kind::Text, "The alias.")]],
    r#"{"aliasName":"current"}"#,
);

/// An alias and a collection.
pub(crate) static ALIAS_COLLECTION: Request = Request::new(
    "AliasCollectionReq",
    &[IN_COLLECTION, &[required("aliasName", Kind::Text, "The alias.")]],
    r#"{"collectionName":"books","aliasName":"current"}"#,
);

pub(crate) static LIST: Spec = Spec {
    about: "Lists the aliases of a database, or of one of its collections.",
    request: &OPTIONAL_COLLECTION_NAME,
    data: "Names of aliases.",
    answer: r#"{"code":0,"data":["current"]}"#,
    codes: &[code::DATABASE_NOT_FOUND],
};

pub(crate) static DESCRIBE: Spec = Spec {
    about: "Says which collection an alias names.",
    request: &ALIAS,
    data: "The alias, its collection and its database.",
    answer: r#"{"code":0,"data":{"dbName":"default","collectionName":"books","aliasName":"current"}}"#,
    codes: &[code::ALIAS_NOT_FOUND, code::DATABASE_NOT_FOUND],
};

pub(crate) static CREATE: Spec = Spec {
    about: "Gives a collection an alias. Giving it the same one again succeeds.",
    request: &ALIAS_COLLECTION,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND, code::ALIAS_CONFLICT, code::ALIAS_EXISTS],
};

pub(crate) static ALTER: Spec = Spec {
    about: "Moves an alias to another collection.",
    request: &ALIAS_COLLECTION,
    data: NOTHING,
    answer: DONE,
    codes: &[code::COLLECTION_NOT_FOUND, code::ALIAS_NOT_FOUND],
};

pub(crate) static DROP: Spec = Spec {
    about: "Takes an alias away. Dropping an unknown one succeeds.",
    request: &ALIAS,
    data: NOTHING,
    answer: DONE,
    codes: &[code::DATABASE_NOT_FOUND],
};
