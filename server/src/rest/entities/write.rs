//! Inserting and upserting rows. The answer comes when the rows are durable and visible to every later read.

use serde::Serialize;

use super::keys::KeysJson;
use super::rows::{self, Write};
use crate::body::bad_json;
use crate::error::ApiError;
use crate::reply::Envelope;
use crate::rest::call::{Call, check_partitions};

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
    write(call, Write::Insert)
}

/// Adds rows, or replaces those with the same keys.
pub(crate) fn upsert(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    write(call, Write::Upsert)
}

fn write(call: &Call<'_>, kind: Write) -> Result<Vec<u8>, ApiError> {
    let body = call.body("CollectionDataReq")?;
    let data = body.required("data")?;
    if !data.get().starts_with('[') {
        return Err(bad_json("data: expected an array of rows"));
    }
    body.refuse(&["partialUpdate", "fieldOps"])?;
    check_partitions(&body)?;
    let collection = call.collection(&body)?;
    let batch = rows::read(collection.schema(), kind, data)?;
    let count = batch.rows();
    let keys = match kind {
        Write::Insert => collection.insert(batch)?,
        Write::Upsert => collection.upsert(batch)?,
    };
    let ids = KeysJson { keys: &keys, int64_as_string: call.int64_as_string() };
    match kind {
        Write::Insert => Envelope::new(Inserted { insert_count: count, insert_ids: ids }).cost().into_bytes(),
        Write::Upsert => Envelope::new(Upserted { upsert_count: count, upsert_ids: ids }).cost().into_bytes(),
    }
}
