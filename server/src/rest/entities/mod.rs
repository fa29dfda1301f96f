//! `/v2/vectordb/entities`: rows in, rows out, searches. Rows are decoded straight into the engine's columns
//! ([`rows`]); answers are written straight from them ([`crate::reply`]).

mod aggregate;
mod delete;
mod hybrid;
mod keys;
mod partial;
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
pub(crate) use rows::Reader as RowReader;
pub(super) use search::search;
pub(super) use write::{insert, upsert};

use elanus_engine::row::moment::Zone;
use elanus_engine::schema::Schema;
use elanus_engine::{Collection, EngineError, Filter, FilterOptions, TemplateValue, Templates};

use super::call::{check_consistency, partitions};
use crate::body::Object;
use crate::error::ApiError;

/// What narrows a read to some rows, as a request says it before the collection is known.
struct Narrowing {
    expression: String,
    templates: Templates,
    partitions: Vec<String>,
}

impl Narrowing {
    /// Reads `filter`, `exprParams` and the names of partitions.
    fn read(body: &Object<'_>) -> Result<Self, ApiError> {
        Ok(Self {
            expression: body.get_or_default("filter")?,
            templates: templates(body)?,
            partitions: partitions(body)?,
        })
    }

    /// Reads the names of partitions alone.
    fn partitions(body: &Object<'_>) -> Result<Self, ApiError> {
        let (expression, templates) = (String::new(), Templates::default());
        Ok(Self { expression, templates, partitions: partitions(body)? })
    }

    /// The filter for a collection; none where every row is meant. `plan` is Milvus's word for the kind of request.
    fn filter(&self, collection: &Collection, plan: &str) -> Result<Option<Filter>, ApiError> {
        self.filter_of(collection, &collection.schema(), plan)
    }

    fn filter_of(
        &self,
        collection: &Collection,
        schema: &Schema,
        plan: &str,
    ) -> Result<Option<Filter>, ApiError> {
        let filter = match self.expression.trim().is_empty() {
            true => None,
            false => {
                let timezone = zone(collection);
                let options = FilterOptions { templates: self.templates.clone(), timezone };
                let compiled = Filter::compile_with(&self.expression, schema, &options);
                let in_words = |e| ApiError::from(e).within(&format!("failed to create {plan} plan"));
                Some(compiled.map_err(in_words)?)
            }
        };
        match plan {
            // A delete names partitions as a write does.
            "delete" => Ok(collection.within(filter, &self.partitions)?),
            _ => self.within(collection, filter),
        }
    }

    /// The filter with the restriction to the partitions that were named.
    fn within(&self, collection: &Collection, filter: Option<Filter>) -> Result<Option<Filter>, ApiError> {
        collection.within(filter, &self.partitions).map_err(|error| match error {
            EngineError::PartitionNotFound { name } => {
                ApiError::invalid(format!("partition name {name} not found: invalid parameter"))
            }
            other => other.into(),
        })
    }
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

/// The zone of moments that say none.
fn zone(collection: &Collection) -> Zone {
    // Only zones that there are can be set.
    collection.definition().timezone().unwrap_or_default()
}

/// Checks a consistency level. Every level gets the strongest.
fn check_read(body: &Object<'_>) -> Result<(), ApiError> {
    check_consistency(&body.get_or_default::<String>("consistencyLevel")?)
}
