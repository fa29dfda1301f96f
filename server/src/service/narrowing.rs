//! Which rows a request means: a filter with the values of its templates, and partitions.

use elanus_engine::exec::Cancel;
use elanus_engine::row::moment::Zone;
use elanus_engine::schema::Schema;
use elanus_engine::{Collection, EngineError, Filter, FilterOptions, Templates};

use super::zone;
use crate::error::ApiError;

/// What narrows a request to some rows, before the collection is known.
#[derive(Debug, Default)]
pub(crate) struct Narrowing {
    pub(crate) expression: String,
    pub(crate) templates: Templates,
    /// None: all.
    pub(crate) partitions: Vec<String>,
    /// The zone of moments that say none; without one the collection's.
    pub(crate) zone: Option<Zone>,
}

impl Narrowing {
    /// Whether every row is meant.
    pub(crate) fn is_empty(&self) -> bool {
        self.expression.trim().is_empty() && self.partitions.is_empty()
    }

    /// The filter for a collection; none where every row is meant. `plan` is Milvus's word for the kind of request, which
    /// ends when it is cancelled.
    ///
    /// # Errors
    /// 1100 for a filter that cannot be, and for partitions that are not there.
    pub(crate) fn filter(
        &self,
        cancel: &Cancel,
        collection: &Collection,
        schema: &Schema,
        plan: &str,
    ) -> Result<Option<Filter>, ApiError> {
        let filter = match self.expression.trim().is_empty() {
            true => None,
            false => {
                let timezone = self.zone.clone().unwrap_or_else(|| zone(collection));
                let (templates, cancel) = (self.templates.clone(), Some(cancel.clone()));
                let options = FilterOptions { templates, timezone, cancel };
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
    ///
    /// # Errors
    /// 1100 for partitions that are not there.
    pub(crate) fn within(
        &self,
        collection: &Collection,
        filter: Option<Filter>,
    ) -> Result<Option<Filter>, ApiError> {
        collection.within(filter, &self.partitions).map_err(|error| match error {
            EngineError::PartitionNotFound { name } => {
                ApiError::invalid(format!("partition name {name} not found: invalid parameter"))
            }
            other => other.into(),
        })
    }

    /// The filter of a deletion, which must not mean every row.
    ///
    /// # Errors
    /// As [`Narrowing::filter`]; 1100 when nothing is left out.
    pub(crate) fn of_deletion(&self, cancel: &Cancel, collection: &Collection) -> Result<Filter, ApiError> {
        let everything = || {
            ApiError::invalid(format!(
                "delete plan can't be empty or always true : {}: invalid parameter",
                self.expression
            ))
        };
        self.filter(cancel, collection, &collection.schema(), "delete")?
            .filter(|filter| !self.expression.trim().is_empty() && !filter.is_always_true())
            .ok_or_else(everything)
    }
}
