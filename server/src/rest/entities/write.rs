//! Inserting and upserting rows. The answer comes when the rows are durable and visible to every later read.

use serde::Serialize;

use super::keys::KeysJson;
use super::operations;
use super::rows::{self, Write};
use crate::body::bad_json;
use crate::error::ApiError;
use crate::reply::Envelope;
use crate::rest::call::Call;
use crate::rest::spec;
use crate::service::partial::Source;
use crate::service::zone;
use crate::telemetry::VectorCount;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Inserted<'a> {
    insert_count: usize,
    insert_ids: KeysJson<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Upserted<'a> {
    upsert_count: usize,
    upsert_ids: KeysJson<'a>,
}

/// Adds rows.
pub(crate) fn insert(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_DATA)?;
    let data = rows_of(body.required("data")?)?;
    let partition: String = body.get_or_default("partitionName")?;
    let collection = call.collection(&body)?;
    let schema = collection.schema();
    // Milvus's property for rows that are moved from elsewhere with the keys they had.
    let allowed = || collection.properties().get("allow_insert_auto_id").is_some_and(|v| v == "true");
    let kind = match schema.primary().auto_id && rows::carries_keys(&schema, data) && allowed() {
        true => Write::InsertWithKeys,
        false => Write::Insert,
    };
    let batch = rows::read(&schema, kind, &zone(&collection), data, None)?;
    let count = batch.rows();
    let keys = collection.insert_into(batch, &partition)?;
    call.context.counted(VectorCount::Inserted, &collection, count);
    let ids = KeysJson { keys: &keys, int64_as_string: call.int64_as_string() };
    Envelope::new(Inserted { insert_count: count, insert_ids: ids }).cost().into_bytes()
}

/// Adds rows, or replaces those with the same keys, or only some of their fields.
pub(crate) fn upsert(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_DATA)?;
    let data = rows_of(body.required("data")?)?;
    let partition: String = body.get_or_default("partitionName")?;
    let operations = operations::read(&body)?;
    let partial = body.get_or_default("partialUpdate")? || !operations.is_empty();
    let collection = call.collection(&body)?;
    // What is read from here on must still be so when it is written.
    let turn = partial.then(|| collection.update_turn());
    let schema = collection.schema();
    operations.check(&schema)?;
    let source = partial.then(|| Source { collection: &collection, operations });
    let batch = rows::read(&schema, Write::Upsert, &zone(&collection), data, source.as_ref())?;
    let count = batch.rows();
    let keys = match turn {
        Some(turn) => turn.upsert_into(batch, &partition)?,
        None => collection.upsert_into(batch, &partition)?,
    };
    call.context.counted(VectorCount::Upserted, &collection, count);
    let ids = KeysJson { keys: &keys, int64_as_string: call.int64_as_string() };
    Envelope::new(Upserted { upsert_count: count, upsert_ids: ids }).cost().into_bytes()
}

fn rows_of(data: &serde_json::value::RawValue) -> Result<&serde_json::value::RawValue, ApiError> {
    if data.get().starts_with('[') { Ok(data) } else { Err(bad_json("data: expected an array of rows")) }
}
