//! `common/run_analyzer`: request and answer.

use super::keys::DB_NAME;
use super::{Kind, Request, Spec, depends, optional, required, unsupported};
use crate::error::code;

/// Texts and what is to cut them.
pub(crate) static RUN_ANALYZER: Request = Request::new(
    "RunAnalyzerReq",
    &[&[
        DB_NAME,
        required("text", Kind::OneOf(&[Kind::Text, Kind::Array(&Kind::Text)]), "The texts."),
        optional(
            "analyzerParams",
            Kind::OneOf(&[Kind::Text, Kind::Map]),
            "The analyzer; default: `standard`.",
        ),
        depends("collectionName", Kind::Text, "The collection of the field."),
        optional("fieldName", Kind::Text, "Take the analyzer of this field."),
        optional("withDetail", Kind::Boolean, "Whether to tell the places of words."),
        optional("withHash", Kind::Boolean, "Whether to tell the numbers of words."),
        unsupported("analyzerNames"),
    ]],
    r#"{"text":["To be, or not to be"],"withDetail":true}"#,
);

pub(crate) static RUN: Spec = Spec {
    about: "Shows the words that an analyzer makes of texts.",
    request: &RUN_ANALYZER,
    data: "For each text its words.",
    answer: r#"{"code":0,"data":{"results":[{"tokens":[{"token":"to","startOffset":0,"endOffset":2,"position":0,"positionLength":1}]}]}}"#,
    codes: &[code::COLLECTION_NOT_FOUND],
};
