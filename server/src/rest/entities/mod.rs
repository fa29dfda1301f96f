//! `/v2/vectordb/entities`: rows in, rows out, searches. Rows are decoded straight into the engine's columns
//! ([`rows`]); answers are written straight from them ([`crate::reply`]).

mod delete;
mod hybrid;
mod keys;
mod read;
mod rows;
mod scalar;
mod search;
mod search_params;
mod vector;
mod write;

pub(super) use delete::delete;
pub(super) use hybrid::hybrid_search;
pub(super) use read::{get, query};
pub(super) use search::search;
pub(super) use write::{insert, upsert};

use elanus_engine::Filter;
use elanus_engine::schema::Schema;

use super::call::{check_consistency, check_partitions};
use crate::body::Object;
use crate::error::ApiError;

/// A filter; none for an empty expression, which every row matches. `plan` is Milvus's word for the kind of request.
fn read_filter(schema: &Schema, expression: &str, plan: &str) -> Result<Option<Filter>, ApiError> {
    if expression.trim().is_empty() {
        return Ok(None);
    }
    let compiled = Filter::compile(expression, schema);
    compiled.map(Some).map_err(|e| ApiError::from(e).within(&format!("failed to create {plan} plan")))
}

/// What every read may carry and this server has only one of.
fn check_read(body: &Object<'_>) -> Result<(), ApiError> {
    check_partitions(body)?;
    check_consistency(&body.get_or_default::<String>("consistencyLevel")?)
}
