//! `users`: requests and answers.

use super::keys::{DATABASE, DONE, NOTHING};
use super::{Key, Kind, Request, Spec, depends, optional, required};
use crate::error::code;

const NAME: Key = required("userName", Kind::Text, "The user.");
const DESCRIPTION: Key = optional("description", Kind::Text, "Who it is.");

/// A user.
pub(crate) static USER: Request = Request::new("UserReq", &[&[NAME]], r#"{"userName":"ada"}"#);

/// A user to be added.
pub(crate) static PASSWORD: Request = Request::new(
    "PasswordReq",
    &[&[NAME, required("password", Kind::Text, "The password: 6 to 72 characters."), DESCRIPTION]],
    r#"{"userName":"ada","password":"difference"}"#,
);

/// A user to be changed.
pub(crate) static NEW_PASSWORD: Request = Request::new(
    "NewPasswordReq",
    &[&[
        NAME,
        depends(
            "password",
            Kind::Text,
            "The old password; may be left out with `newPassword` when there is a description.",
        ),
        depends("newPassword", Kind::Text, "The new password."),
        DESCRIPTION,
    ]],
    r#"{"userName":"ada","password":"difference","newPassword":"analytical"}"#,
);

/// A user and a role.
pub(crate) static USER_ROLE: Request = Request::new(
    "UserRoleReq",
    &[&[NAME, required("roleName", Kind::Text, "The role.")]],
    r#"{"userName":"ada","roleName":"reader"}"#,
);

pub(crate) static LIST: Spec = Spec {
    about: "Lists all users.",
    request: &DATABASE,
    data: "Names of users.",
    answer: r#"{"code":0,"data":["ada","root"]}"#,
    codes: &[],
};

pub(crate) static DESCRIBE: Spec = Spec {
    about: "Shows a user's roles. Nobody needs a privilege for it on themselves.",
    request: &USER,
    data: "Names of roles; `description` stands beside the data.",
    answer: r#"{"code":0,"data":["reader"],"description":""}"#,
    codes: &[],
};

pub(crate) static CREATE: Spec =
    Spec { about: "Adds a user.", request: &PASSWORD, data: NOTHING, answer: DONE, codes: &[] };

pub(crate) static UPDATE_PASSWORD: Spec = Spec {
    about: "Changes a user's password, or description, or both.",
    request: &NEW_PASSWORD,
    data: NOTHING,
    answer: DONE,
    codes: &[code::WRONG_PASSWORD],
};

pub(crate) static DROP: Spec = Spec {
    about: "Removes a user. Dropping an unknown one succeeds.",
    request: &USER,
    data: NOTHING,
    answer: DONE,
    codes: &[code::NOT_PERMITTED],
};

pub(crate) static GRANT_ROLE: Spec =
    Spec { about: "Gives a user a role.", request: &USER_ROLE, data: NOTHING, answer: DONE, codes: &[] };

pub(crate) static REVOKE_ROLE: Spec = Spec {
    about: "Takes a role from a user.",
    request: &USER_ROLE,
    data: NOTHING,
    answer: DONE,
    codes: &[code::NOT_PERMITTED],
};
