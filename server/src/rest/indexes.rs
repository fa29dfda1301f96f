//! `/v2/vectordb/indexes`: what indexes a collection has. They are built in the background, and searches need not wait
//! for them.

use axum::http::StatusCode;
use elanus_engine::collection::IndexDefinition;
use serde::Serialize;

use super::call::{Call, done};
use super::collections::{read_indexes, texts};
use super::spec;
use crate::error::{ApiError, code};
use crate::reply::{Envelope, KeyValue};
use crate::service::index::{Progress, shown};

/// Names of the indexes.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_NAME)?;
    let definition = call.collection(&body)?.definition();
    let names: Vec<String> = definition.indexes.iter().map(|index| index.name.clone()).collect();
    Envelope::new(names).into_bytes()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    index_name: String,
    field_name: String,
    index_type: String,
    metric_type: &'static str,
    #[serde(rename = "mmap.enabled")]
    mmap: String,
    #[serde(rename = "indexoffsetcache.enabled")]
    offset_cache: &'static str,
    warmup: String,
    total_rows: u64,
    pending_rows: u64,
    indexed_rows: u64,
    index_state: &'static str,
    fail_reason: String,
    min_index_version: u32,
    max_index_version: u32,
    /// Of our own: what the index type stands for here.
    built_as: &'static str,
    index_params: Vec<KeyValue>,
}

/// One index in full.
pub(super) fn describe(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::INDEX)?;
    let name = body.required_text("indexName")?;
    let collection = call.collection(&body)?;
    let index = collection.definition().indexes.clone().into_iter().find(|index| index.name == name);
    let unknown = || {
        ApiError::new(code::INDEX_NOT_FOUND, StatusCode::NOT_FOUND, format!("index not found[index={name}]"))
    };
    let index = index.ok_or_else(unknown)?;
    let progress = Progress::of(&collection, &index.field);
    Envelope::new([description(index, progress)]).into_bytes()
}

/// Adds indexes.
pub(super) fn create(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::INDEX_PARAMS)?;
    body.array("indexParams")?;
    let collection = call.collection(&body)?;
    let unknown = |field: &str| ApiError::invalid(format!("cannot create index on non-exist field: {field}"));
    let indexes = read_indexes(&body, &collection.schema(), unknown)?;
    if indexes.is_empty() {
        return Err(body.missing("indexParams"));
    }
    for index in indexes {
        collection.create_index(index)?;
    }
    done()
}

/// Sets properties of an index: how it is held in memory, which has no effect here.
pub(super) fn alter_properties(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::INDEX_PROPERTIES)?;
    let name = body.required_text("indexName")?;
    let properties = texts(&body.object("properties")?);
    call.collection(&body)?.alter_index(&name, &properties, &[])?;
    done()
}

/// Removes properties of an index.
pub(super) fn drop_properties(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::DROP_INDEX_PROPERTIES)?;
    let name = body.required_text("indexName")?;
    let keys: Vec<String> = body.get_or_default("propertyKeys")?;
    call.collection(&body)?.alter_index(&name, &std::collections::BTreeMap::new(), &keys)?;
    done()
}

/// Removes an index; removing an unknown one succeeds.
pub(super) fn drop(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::INDEX)?;
    let name = body.required_text("indexName")?;
    call.collection(&body)?.drop_index(&name)?;
    done()
}

fn description(index: IndexDefinition, progress: Progress) -> Description {
    let Progress { rows, indexed, failure, built_as } = progress;
    let metric = index.metric.map_or("", |metric| metric.name());
    let mut params = vec![KeyValue::new("index_type", &index.index_type)];
    params.extend(index.metric.map(|metric| KeyValue::new("metric_type", metric.name())));
    let param = |key: &str| index.params.get(key).cloned().unwrap_or_default();
    let (mmap, warmup) = (param("mmap.enabled"), param("warmup"));
    params.extend(shown(index.params).map(|(key, value)| KeyValue::new(key, value)));
    Description {
        index_name: index.name,
        field_name: index.field,
        index_type: index.index_type,
        metric_type: metric,
        mmap,
        offset_cache: "",
        warmup,
        total_rows: rows,
        pending_rows: rows - indexed,
        indexed_rows: indexed,
        index_state: match &failure {
            Some(_) => "Failed",
            None if indexed < rows => "InProgress",
            None => "Finished",
        },
        fail_reason: failure.unwrap_or_default(),
        min_index_version: 0,
        max_index_version: 0,
        built_as,
        index_params: params,
    }
}
