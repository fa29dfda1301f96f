//! `privilege_groups`: requests and answers.

use super::keys::{DATABASE, DONE, NOTHING, TEXTS};
use super::{Kind, Request, Spec, optional, required};

/// A group of privileges.
pub(crate) static PRIVILEGE_GROUP: Request = Request::new(
    "PrivilegeGroupReq",
    &[&[
        required("privilegeGroupName", Kind::Text, "The group."),
        optional("privileges", TEXTS, "Privileges to add or to take out; not heeded by create and drop."),
    ]],
    r#"{"privilegeGroupName":"readers","privileges":["Search","Query"]}"#,
);

pub(crate) static LIST: Spec = Spec {
    about: "Lists the groups that users made.",
    request: &DATABASE,
    data: "Groups, each with its privileges in one text.",
    answer: r#"{"code":0,"data":[{"privilegeGroupName":"readers","privileges":"Query,Search"}]}"#,
    codes: &[],
};

pub(crate) static CREATE: Spec = Spec {
    about: "Adds an empty group.",
    request: &PRIVILEGE_GROUP,
    data: NOTHING,
    answer: DONE,
    codes: &[],
};

pub(crate) static DROP: Spec = Spec {
    about: "Removes a group. Dropping an unknown one succeeds.",
    request: &PRIVILEGE_GROUP,
    data: NOTHING,
    answer: DONE,
    codes: &[],
};

pub(crate) static ADD: Spec = Spec {
    about: "Adds privileges to a group.",
    request: &PRIVILEGE_GROUP,
    data: NOTHING,
    answer: DONE,
    codes: &[],
};

pub(crate) static REMOVE: Spec = Spec {
    about: "Takes privileges out of a group.",
    request: &PRIVILEGE_GROUP,
    data: NOTHING,
    answer: DONE,
    codes: &[],
};
