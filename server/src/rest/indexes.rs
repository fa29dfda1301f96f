//! `/v2/vectordb/indexes`: what indexes a collection was created with. Searches are exact whatever an index is called,
//! so an index is always finished.

use axum::http::StatusCode;
use elanus_engine::collection::IndexDefinition;
use serde::Serialize;

use super::call::Call;
use crate::error::{ApiError, code};
use crate::reply::{Envelope, KeyValue};

/// Names of the indexes.
pub(super) fn list(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body("CollectionNameReq")?;
    let definition = call.collection(&body)?.definition();
    let names: Vec<String> = definition.indexes.into_iter().map(|index| index.name).collect();
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
    mmap: &'static str,
    #[serde(rename = "indexoffsetcache.enabled")]
    offset_cache: &'static str,
    warmup: &'static str,
    total_rows: u64,
    pending_rows: u64,
    indexed_rows: u64,
    index_state: &'static str,
    fail_reason: &'static str,
    min_index_version: u32,
    max_index_version: u32,
    index_params: Vec<KeyValue>,
}

/// One index in full.
pub(super) fn describe(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body("IndexReq")?;
    let name = body.required_text("indexName")?;
    let collection = call.collection(&body)?;
    let index = collection.definition().indexes.into_iter().find(|index| index.name == name);
    let unknown = || {
        ApiError::new(code::INDEX_NOT_FOUND, StatusCode::NOT_FOUND, format!("index not found[index={name}]"))
    };
    Envelope::new([description(index.ok_or_else(unknown)?, collection.count())]).into_bytes()
}

fn description(index: IndexDefinition, rows: u64) -> Description {
    let mut params = vec![
        KeyValue::new("index_type", &index.index_type),
        KeyValue::new("metric_type", index.metric.name()),
    ];
    params.extend(index.params.into_iter().map(|(key, value)| KeyValue::new(key, value)));
    Description {
        index_name: index.name,
        field_name: index.field,
        index_type: index.index_type,
        metric_type: index.metric.name(),
        mmap: "",
        offset_cache: "",
        warmup: "",
        total_rows: rows,
        pending_rows: 0,
        indexed_rows: rows,
        index_state: "Finished",
        fail_reason: "",
        min_index_version: 0,
        max_index_version: 0,
        index_params: params,
    }
}
