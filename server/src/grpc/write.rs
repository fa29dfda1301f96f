//! Inserting, upserting and deleting rows. The answer comes when the change is durable and visible to every later read.

use elanus_engine::Collection;
use elanus_engine::row::Keys;

use super::call::Call;
use super::columns::{Read, read};
use super::messages::{self, MutationResult};
use super::rows::{InsertRequest, UpsertRequest};
use super::status::success;
use super::wire_schema::FieldPartialUpdateOp;
use super::wire_schema::field_partial_update_op::OpType;
use super::{keys, schema, templates, time};
use crate::auth::Privilege as P;
use crate::error::{ApiError, code};
use crate::service::partial::{Operation, Operations, Source};
use crate::service::{Narrowing, zone};
use crate::telemetry::VectorCount;

/// Adds rows.
pub(super) fn insert(call: &Call<'_>, request: InsertRequest) -> Result<MutationResult, ApiError> {
    let collection = call.collection(P::Insert, &request.db_name, &request.collection_name)?;
    check_schema(&collection, request.schema_timestamp)?;
    let keys_allowed = collection.properties().get("allow_insert_auto_id").is_some_and(|v| v == "true");
    let how = Read {
        schema: &collection.schema(),
        zone: zone(&collection),
        upsert: false,
        keys_allowed,
        source: None,
    };
    let batch = read(&how, request.fields_data, request.num_rows as usize)?;
    let count = batch.rows();
    let keys = collection.insert_into(batch, &request.partition_name)?;
    call.context.counted(VectorCount::Inserted, &collection, count);
    Ok(MutationResult { insert_cnt: number(count), ..changed(keys, count) })
}

/// Adds rows, or replaces those with the same keys, or only some of their fields.
pub(super) fn upsert(call: &Call<'_>, request: UpsertRequest) -> Result<MutationResult, ApiError> {
    let collection = call.collection(P::Upsert, &request.db_name, &request.collection_name)?;
    check_schema(&collection, request.schema_timestamp)?;
    let operations = operations(request.field_ops)?;
    let partial = request.partial_update || !operations.is_empty();
    // What is read from here on must still be so when it is written.
    let turn = partial.then(|| collection.update_turn());
    let schema = collection.schema();
    operations.check(&schema)?;
    let source = partial.then(|| Source { collection: &collection, operations });
    let how = Read {
        schema: &schema,
        zone: zone(&collection),
        upsert: true,
        keys_allowed: true,
        source: source.as_ref(),
    };
    let batch = read(&how, request.fields_data, request.num_rows as usize)?;
    let count = batch.rows();
    let keys = match turn {
        Some(turn) => turn.upsert_into(batch, &request.partition_name)?,
        None => collection.upsert_into(batch, &request.partition_name)?,
    };
    call.context.counted(VectorCount::Upserted, &collection, count);
    Ok(MutationResult { upsert_cnt: number(count), ..changed(keys, count) })
}

/// Deletes the rows that match; answers how many died, or how many keys were named when the filter does only that: Milvus
/// does not look whether they are there.
pub(super) fn delete(call: &Call<'_>, request: messages::DeleteRequest) -> Result<MutationResult, ApiError> {
    let collection = call.collection(P::Delete, &request.db_name, &request.collection_name)?;
    let partitions = Some(request.partition_name).filter(|name| !name.is_empty());
    let narrowing = Narrowing {
        expression: request.expr,
        templates: templates::read(request.expr_template_values)?,
        zone: None,
        partitions: partitions.into_iter().collect(),
    };
    let filter = narrowing.of_deletion(&call.context.cancel, &collection)?;
    let named = filter.named_keys();
    let died = collection.delete_where(&filter)?;
    call.context.counted(VectorCount::Deleted, &collection, usize::try_from(died).unwrap_or(usize::MAX));
    let delete_cnt = named.map_or(i64::try_from(died).unwrap_or(i64::MAX), number);
    let nothing = Keys::empty(collection.schema().primary().data_type);
    Ok(MutationResult { delete_cnt, ..changed(nothing, 0) })
}

/// Refuses rows of a client that knows an earlier schema; it asks for the present one and tries again.
fn check_schema(collection: &Collection, known: u64) -> Result<(), ApiError> {
    if known == 0 || known == schema::version(&collection.schema()) {
        return Ok(());
    }
    Err(ApiError::new(
        code::SCHEMA_MISMATCH,
        axum::http::StatusCode::CONFLICT,
        format!("collection schema mismatch[collection={}]", collection.definition().name),
    ))
}

fn operations(given: Vec<FieldPartialUpdateOp>) -> Result<Operations, ApiError> {
    let mut operations = Operations::default();
    for item in given {
        let operation = match OpType::try_from(item.op) {
            Ok(OpType::Replace) => Operation::Replace,
            Ok(OpType::ArrayAppend) => Operation::Append,
            Ok(OpType::ArrayRemove) => Operation::Remove,
            Ok(OpType::PathReplace) => return Err(ApiError::unsupported("the field op PATH_REPLACE")),
            Err(_) => {
                return Err(ApiError::invalid(format!("field op {} is unknown: invalid parameter", item.op)));
            }
        };
        operations.add(item.field_name, operation)?;
    }
    Ok(operations)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What all changes answer.
fn changed(keys: Keys, rows: usize) -> MutationResult {
    MutationResult {
        status: Some(success()),
        i_ds: Some(keys::write(keys)),
        succ_index: (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect(),
        acknowledged: true,
        timestamp: time::now(),
        ..MutationResult::default()
    }
}
