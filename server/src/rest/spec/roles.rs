//! `roles`: requests and answers.

use super::keys::{DATABASE, DB_NAME, DONE, NOTHING};
use super::{Key, Kind, Request, Spec, optional, required};
use crate::error::code;

const NAME: Key = required("roleName", Kind::Text, "The role.");

/// A role.
pub(crate) static ROLE: Request = Request::new(
    "RoleReq",
    &[&[NAME, optional("description", Kind::Text, "What it is for; heeded by create and alter.")]],
    r#"{"roleName":"reader"}"#,
);

/// A right, in Milvus's first form.
pub(crate) static GRANT: Request = Request::new(
    "GrantReq",
    &[&[
        NAME,
        required(
            "objectType",
            Kind::Word(&["Collection", "Global", "User"]),
            "What kind of thing it is about.",
        ),
        required("objectName", Kind::Text, "Which one; `*`: every one."),
        required("privilege", Kind::Text, "A privilege, a group of them, or `*`."),
        DB_NAME,
    ]],
    r#"{"roleName":"reader","objectType":"Collection","objectName":"books","privilege":"Search"}"#,
);

/// A right, in Milvus's second form.
pub(crate) static GRANT_V2: Request = Request::new(
    "GrantV2Req",
    &[&[
        NAME,
        required("privilege", Kind::Text, "A privilege or a group of them, such as `CollectionReadOnly`."),
        DB_NAME,
        optional("collectionName", Kind::Text, "The collection; `*`: every one."),
    ]],
    r#"{"roleName":"reader","privilege":"Search","dbName":"default","collectionName":"books"}"#,
);

pub(crate) static LIST: Spec = Spec {
    about: "Lists all roles. `admin` and `public` are always there.",
    request: &DATABASE,
    data: "Names of roles.",
    answer: r#"{"code":0,"data":["admin","public","reader"]}"#,
    codes: &[],
};

pub(crate) static DESCRIBE: Spec = Spec {
    about: "Shows what a role may do. Nobody needs a privilege for it on a role of their own.",
    request: &ROLE,
    data: "Its rights; `description` stands beside the data.",
    answer: r#"{"code":0,"data":[{"objectType":"Collection","objectName":"books","privilege":"Search","dbName":"default","grantor":"root"}],"description":""}"#,
    codes: &[],
};

pub(crate) static CREATE: Spec =
    Spec { about: "Adds a role.", request: &ROLE, data: NOTHING, answer: DONE, codes: &[] };

pub(crate) static ALTER: Spec =
    Spec { about: "Changes a role's description.", request: &ROLE, data: NOTHING, answer: DONE, codes: &[] };

pub(crate) static DROP: Spec = Spec {
    about: "Removes a role that has no rights left.",
    request: &ROLE,
    data: NOTHING,
    answer: DONE,
    codes: &[code::NOT_PERMITTED],
};

pub(crate) static GRANT_PRIVILEGE: Spec = Spec {
    about: "Lets a role do something, in Milvus's first form.",
    request: &GRANT,
    data: NOTHING,
    answer: DONE,
    codes: &[],
};

pub(crate) static REVOKE_PRIVILEGE: Spec = Spec {
    about: "Takes a right from a role, in Milvus's first form.",
    request: &GRANT,
    data: NOTHING,
    answer: DONE,
    codes: &[],
};

pub(crate) static GRANT_PRIVILEGE_V2: Spec = Spec {
    about: "Lets a role do something, in Milvus's second form.",
    request: &GRANT_V2,
    data: NOTHING,
    answer: DONE,
    codes: &[],
};

pub(crate) static REVOKE_PRIVILEGE_V2: Spec = Spec {
    about: "Takes a right from a role, in Milvus's second form.",
    request: &GRANT_V2,
    data: NOTHING,
    answer: DONE,
    codes: &[],
};
