//! What a collection is, as its creator said it: schema, indexes, properties. Stored in the manifest; the server
//! echoes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{EngineError, Result};
use crate::index::Plan;
use crate::kernel::Metric;
use crate::limits;
use crate::schema::{Schema, check_collection_name};

/// An index that a client asked for. Its metric decides searches on the field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexDefinition {
    /// Field it is on.
    pub field: String,
    /// Its own name.
    pub name: String,
    /// Type as the client spelled it, for example `AUTOINDEX`.
    pub index_type: String,
    /// Metric of searches.
    pub metric: Metric,
    /// Build parameters as sent.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

/// What the index on a field says of searches.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Searching {
    pub(crate) metric: Option<Metric>,
    /// The recall of a search that says nothing.
    pub(crate) recall: Option<f32>,
}

/// Name, schema, indexes and properties of a collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Name, unique in the engine.
    pub name: String,
    /// Fields.
    pub schema: Schema,
    /// Indexes, at most one a field.
    #[serde(default)]
    pub indexes: Vec<IndexDefinition>,
    /// Free key-value pairs; the server keeps the embedding model's identity here.
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
    /// Consistency level as sent; every read sees every acknowledged write whatever it says.
    #[serde(default)]
    pub consistency: String,
    /// Number of shards as sent; echoed.
    #[serde(default = "one")]
    pub shards: u32,
}

fn one() -> u32 {
    1
}

impl Definition {
    /// A definition without indexes and properties.
    pub fn new(name: impl Into<String>, schema: Schema) -> Self {
        Self {
            name: name.into(),
            schema,
            indexes: Vec::new(),
            properties: BTreeMap::new(),
            consistency: "Bounded".into(),
            shards: 1,
        }
    }

    /// Adds an AUTOINDEX of this metric on `field`, named like the field.
    #[must_use]
    pub fn index(mut self, field: &str, metric: Metric) -> Self {
        self.indexes.push(IndexDefinition {
            field: field.to_owned(),
            name: field.to_owned(),
            index_type: "AUTOINDEX".into(),
            metric,
            params: BTreeMap::new(),
        });
        self
    }

    /// The metric that the index on `field` names, if there is one.
    pub fn metric(&self, field: &str) -> Option<Metric> {
        self.indexes.iter().find(|i| i.field == field).map(|i| i.metric)
    }

    /// What the index on `field` says of searches.
    pub(crate) fn searching(&self, field: &str) -> Searching {
        let index = self.indexes.iter().find(|i| i.field == field);
        let recall = index.and_then(|index| Plan::recall_of(index).ok().flatten());
        Searching { metric: index.map(|i| i.metric), recall }
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_collection_name(&self.name)?;
        for index in &self.indexes {
            match self.schema.field(&index.field) {
                None => {
                    return Err(EngineError::MissingParameter(format!(
                        "`{}` hasn't defined in schema",
                        index.field
                    )));
                }
                Some((_, field)) if !field.data_type.is_vector() => {
                    return Err(EngineError::invalid(format!(
                        "data type {} can't build with a vector index on field {}",
                        field.data_type, index.field
                    )));
                }
                Some((_, field)) => {
                    Plan::of(index, field.dim.unwrap_or(0))?;
                }
            }
            if self.indexes.iter().filter(|other| other.field == index.field).count() > 1 {
                return Err(EngineError::invalid(
                    "CreateIndex failed: creating multiple indexes on same field is not supported",
                ));
            }
        }
        if self.properties.len() > limits::MAX_PROPERTIES {
            return Err(EngineError::invalid(format!("at most {} properties", limits::MAX_PROPERTIES)));
        }
        Ok(())
    }
}
