//! What a collection is, as its creator said it: schema, indexes, properties. Stored in the manifest; the server
//! echoes it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::partition::Partition;
use crate::error::{EngineError, Result};
use crate::index::sparse::Bm25Params;
use crate::index::{Plan, check_scalar, check_type};
use crate::limits;
use crate::metric::MetricType;
use crate::row::moment::Zone;
use crate::schema::{DYNAMIC_FIELD, DataType, Field, Schema, check_collection_name, check_database_name};

/// An index that a client asked for. Its metric decides searches on the field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexDefinition {
    /// Field it is on.
    pub field: String,
    /// Its own name.
    pub name: String,
    /// Type as the client spelled it, for example `AUTOINDEX`.
    pub index_type: String,
    /// Metric of searches; none on a scalar field.
    #[serde(default)]
    pub metric: Option<MetricType>,
    /// Build parameters as sent.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
}

impl IndexDefinition {
    /// The path within JSON that it is on.
    pub fn json_path(&self) -> Option<&str> {
        self.params.get("json_path").map(String::as_str)
    }
}

/// What the index on a field says of searches.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Searching {
    pub(crate) metric: Option<MetricType>,
    /// The recall of a search that says nothing.
    pub(crate) recall: Option<f32>,
    /// Of full-text search.
    pub(crate) bm25: Bm25Params,
}

/// Name, schema, indexes and properties of a collection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Name, unique in the engine.
    pub name: String,
    /// Fields.
    pub schema: Schema,
    /// Indexes, at most one a field, or one a path within JSON.
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
    /// Database that it is in.
    #[serde(default = "default_database")]
    pub database: String,
    /// Partitions beside the default one.
    #[serde(default)]
    pub(super) partitions: Vec<Partition>,
    #[serde(default)]
    pub(super) next_partition: i32,
    /// Partitions that the values of a partition key are spread over.
    #[serde(default)]
    pub partitions_num: Option<usize>,
    /// Whether a client has asked for it to be loaded. Reading needs no load.
    #[serde(default = "yes")]
    pub loaded: bool,
    /// Whether a client has released it since: it is not read until it is loaded.
    #[serde(default)]
    pub(super) released: bool,
    /// When it was made, in milliseconds since 1970; 0: not known, an older version made it.
    #[serde(default)]
    pub created_ms: u64,
}

/// The database that always exists.
pub const DEFAULT_DATABASE: &str = "default";

fn default_database() -> String {
    DEFAULT_DATABASE.to_owned()
}

fn yes() -> bool {
    true
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
            database: default_database(),
            partitions: Vec::new(),
            next_partition: 1,
            partitions_num: None,
            loaded: true,
            released: false,
            created_ms: 0,
        }
    }

    /// Adds an AUTOINDEX of this metric on `field`, named like the field.
    #[must_use]
    pub fn index(mut self, field: &str, metric: impl Into<MetricType>) -> Self {
        self.indexes.push(IndexDefinition {
            field: field.to_owned(),
            name: field.to_owned(),
            index_type: "AUTOINDEX".into(),
            metric: Some(metric.into()),
            params: BTreeMap::new(),
        });
        self
    }

    /// The metric that the index on `field` names, if there is one.
    pub fn metric(&self, field: &str) -> Option<MetricType> {
        self.indexes.iter().find(|i| i.field == field).and_then(|i| i.metric)
    }

    /// What the index on `field` says of searches.
    pub(crate) fn searching(&self, field: &str) -> Searching {
        let index = self.indexes.iter().find(|i| i.field == field);
        let recall = index.and_then(|index| Plan::recall_of(index).ok().flatten());
        let bm25 = index.and_then(|index| bm25_of(index).ok()).unwrap_or_default();
        Searching { metric: index.and_then(|i| i.metric), recall, bm25 }
    }

    /// Whether somebody who asks for `other` to be made means this one. What clients change during its life does not count;
    /// indexes that are asked for must be those that there are.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        let asked = |definition: &Self| {
            let mut definition = definition.clone();
            definition.partitions.clear();
            definition.next_partition = 0;
            definition.indexes.clear();
            (definition.loaded, definition.released, definition.created_ms) = (true, false, 0);
            definition
        };
        let fields = self.schema.fields() == other.schema.fields()
            && self.schema.functions() == other.schema.functions()
            && self.schema.dynamic() == other.schema.dynamic()
            && self.schema.description() == other.schema.description();
        let indexed = other.indexes.iter().all(|index| self.indexes.contains(index));
        fields && indexed && asked(self) == Self { schema: self.schema.clone(), ..asked(other) }
    }

    /// Gives it the name by which the catalog knows the collection, and rows that say when they were stored if they live
    /// for a time only; whether it changed.
    pub(super) fn bring_up_to_date(&mut self, qualified: &str) -> bool {
        let (database, name) = crate::catalog::split(qualified);
        let renamed = self.name != name || self.database != database;
        if renamed {
            (self.name, self.database) = (name.to_owned(), database.to_owned());
        }
        let untimed = matches!(self.time_to_live(), Ok(Some(_))) && !self.schema.timed();
        if untimed {
            self.schema = self.schema.with_times(super::write::now_ms());
        }
        renamed || untimed
    }

    /// How long rows live, by the property [`super::TTL_PROPERTY`].
    ///
    /// # Errors
    /// `InvalidParameter` when it is no number of seconds.
    pub fn time_to_live(&self) -> Result<Option<Duration>> {
        let Some(text) = self.properties.get(super::TTL_PROPERTY) else { return Ok(None) };
        match text.trim().parse::<i64>() {
            Ok(seconds) if (-1..=MOST_TTL_SECONDS).contains(&seconds) => {
                Ok(u64::try_from(seconds).ok().filter(|&s| s > 0).map(Duration::from_secs))
            }
            _ => Err(EngineError::invalid(format!(
                "collection TTL is out of range, expect [-1, {MOST_TTL_SECONDS}], got {text}"
            ))),
        }
    }

    /// The zone of moments that clients write without one, by the property `timezone`.
    ///
    /// # Errors
    /// `InvalidParameter` when there is no such zone.
    pub fn timezone(&self) -> Result<Zone> {
        let Some(name) = self.properties.get("timezone") else { return Ok(Zone::utc()) };
        Zone::named(name)
            .ok_or_else(|| EngineError::invalid(format!("unknown or invalid IANA Time Zone ID: {name}")))
    }

    fn check_partitions_num(&self) -> Result<()> {
        match (self.partitions_num, self.schema.partition_key()) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(EngineError::invalid(
                "num_partitions should only be specified with partition key field enabled",
            )),
            (Some(n), Some(_)) if (1..=limits::MAX_PARTITIONS).contains(&n) => Ok(()),
            (Some(n), Some(_)) => Err(EngineError::invalid(format!(
                "partition number ({n}) exceeds max configuration ({})",
                limits::MAX_PARTITIONS
            ))),
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_collection_name(&self.name)?;
        check_database_name(&self.database)?;
        self.check_partitions_num()?;
        self.timezone()?;
        self.time_to_live()?;
        for index in &self.indexes {
            match self.schema.field(&index.field) {
                // Of keys that are not declared: a path in the field that holds them.
                None if index.field == DYNAMIC_FIELD && self.schema.dynamic() => {
                    check_index(index, &Field::new(DYNAMIC_FIELD, DataType::Json))?;
                }
                None => {
                    return Err(EngineError::MissingParameter(format!(
                        "`{}` hasn't defined in schema",
                        index.field
                    )));
                }
                Some((_, field)) => check_index(index, field)?,
            }
            let same = |other: &&IndexDefinition| {
                other.field == index.field && other.json_path() == index.json_path()
            };
            if self.indexes.iter().filter(same).count() > 1 {
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

/// The parameters of full-text search that an index names.
fn bm25_of(index: &IndexDefinition) -> Result<Bm25Params> {
    let number = |name: &str, default: f64| match index.params.get(name) {
        None => Ok(default),
        Some(text) => {
            text.trim().parse().map_err(|_| EngineError::invalid(format!("{name} is no number: {text}")))
        }
    };
    Bm25Params::new(number("bm25_k1", 1.2)?, number("bm25_b", 0.75)?)
}

/// A hundred years.
const MOST_TTL_SECONDS: i64 = 3_155_760_000;

/// Checks an index against the field it is on.
fn check_index(index: &IndexDefinition, field: &Field) -> Result<()> {
    if !field.data_type.is_vector() {
        return check_scalar(index, field);
    }
    check_type(index, field)?;
    bm25_of(index)?;
    if field.data_type.is_dense() {
        Plan::of(index, field.dim.unwrap_or(0))?;
    }
    Ok(())
}
