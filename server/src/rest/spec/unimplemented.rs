//! Calls of a cluster, and others that are not here: they answer code 10, whatever the body.

use super::{Request, Spec};
use crate::error::code;

static ANYTHING: Request =
    Request { name: "AnyReq", about: "Not looked at.", keys: &[], open: true, example: "{}" };

pub(crate) static REFUSED: Spec = Spec {
    about: "Not implemented: this server is one process. Answers code 10.",
    request: &ANYTHING,
    data: "None: the call always fails.",
    answer: r#"{"code":10,"message":"service unimplemented: this server is one process; what is there is in server/COMPAT.md"}"#,
    codes: &[code::UNIMPLEMENTED],
};
