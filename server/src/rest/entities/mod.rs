//! `/v2/vectordb/entities`: rows in, rows out, searches. Rows are decoded straight into the engine's columns
//! ([`rows`]); answers are written straight from them ([`crate::reply`]).

mod delete;
mod hybrid;
mod keys;
mod operations;
mod read;
mod rows;
mod scalar;
mod search;
mod vector;
mod write;

pub(super) use delete::delete;
pub(super) use hybrid::hybrid_search;
pub(super) use read::{get, query};
pub(crate) use rows::Reader as RowReader;
pub(super) use search::search;
pub(super) use write::{insert, upsert};

use elanus_engine::{TemplateValue, Templates};

use super::call::{check_consistency, partitions};
use crate::body::Object;
use crate::error::ApiError;
use crate::service::Narrowing;

/// Reads `filter`, `exprParams` and the names of partitions.
fn narrowing(body: &Object<'_>) -> Result<Narrowing, ApiError> {
    Ok(Narrowing {
        expression: body.get_or_default("filter")?,
        templates: templates(body)?,
        partitions: partitions(body)?,
        zone: None,
    })
}

/// The values of `{name}` in an expression.
fn templates(body: &Object<'_>) -> Result<Templates, ApiError> {
    let mut templates = Templates::default();
    for (name, raw) in body.object("exprParams")?.members() {
        let value = TemplateValue::from_json(raw.get()).map_err(|reason| {
            ApiError::invalid(format!(
                "the value of expression template variable {{{name}}}: {reason}: invalid parameter"
            ))
        })?;
        templates.insert(name.as_ref(), value);
    }
    Ok(templates)
}

/// Checks a consistency level. Every level gets the strongest.
fn check_read(body: &Object<'_>) -> Result<(), ApiError> {
    check_consistency(&body.get_or_default::<String>("consistencyLevel")?)
}
