//! Reading rows: by key and by filter.

use elanus_engine::exec::{Cell, OrderBy};
use elanus_engine::limits::MAX_RESULT_WINDOW;
use elanus_engine::row::Projection;
use elanus_engine::{Filter, QueryRequest};

use serde_json::Value;

use super::{check_read, keys, narrowing};
use crate::body::Object;
use crate::error::ApiError;
use crate::reply::{Envelope, Form, RowsJson};
use crate::rest::call::{Call, partitions};
use crate::rest::spec;
use crate::service::numbers::Numbers;
use crate::service::{Narrowing, order, window};

/// Rows of a query that does not say how many.
const DEFAULT_LIMIT: i64 = 100;

/// Rows by key, in ascending order of keys; unknown keys are left out.
pub(crate) fn get(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_ID)?;
    let id = body.required("id")?;
    let names = output_fields(&body)?;
    let narrowing = Narrowing { partitions: partitions(&body)?, ..Narrowing::default() };
    check_read(&body)?;
    let collection = call.readable_collection(&body)?;
    let schema = collection.schema();
    let keys = keys::ascending(keys::read(schema.primary(), id)?);
    let projection = Projection::resolve(&schema, &names)?;
    let rows = match narrowing.within(&collection, None)? {
        None => collection.get(&keys, &projection)?,
        Some(partitions) => {
            let filter = Filter::keys(&schema, &keys).and(partitions);
            let (limit, offset) = (MAX_RESULT_WINDOW, 0);
            let filter = Some(filter);
            collection.query(&QueryRequest { filter, projection, limit, offset, order_by: Vec::new() })?
        }
    };
    let json = RowsJson { rows: &rows, distances: None, form: call.form(&collection) };
    Envelope::new(json).cost().into_bytes()
}

/// Rows that match a filter, in ascending order of keys; or their number.
pub(crate) fn query(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::QUERY)?;
    let narrowing = narrowing(&body)?;
    let names = output_fields(&body)?;
    let limit: Option<i64> = body.get("limit")?;
    let offset: i64 = body.get_or_default("offset")?;
    let order_by = order_by(&body)?;
    let numbers = Numbers::read(&names, body.get_or_default("groupByFields")?)?;
    check_read(&body)?;
    let collection = call.readable_collection(&body)?;
    let schema = collection.schema();
    let filter = narrowing.filter(&call.context.cancel, &collection, &schema, "query")?;
    let form = call.form(&collection);
    if let Some(numbers) = numbers {
        let groups = numbers.compute(&collection, filter)?;
        let (limit, offset) = match numbers.is_single() {
            true => (1, 0),
            false => window::of_query(limit.unwrap_or(DEFAULT_LIMIT), offset)?,
        };
        let row = |group| -> serde_json::Map<String, Value> {
            numbers.cells(group).map(|(name, cell)| (name.to_owned(), json(cell, &form))).collect()
        };
        let rows: Vec<_> = groups.iter().skip(offset).take(limit).map(row).collect();
        return Envelope::new(rows).cost().into_bytes();
    }
    let (limit, offset) = window::of_query(limit.unwrap_or(DEFAULT_LIMIT), offset)?;
    let projection = Projection::resolve(&schema, &names)?;
    let rows = collection.query(&QueryRequest { filter, projection, limit, offset, order_by })?;
    let json = RowsJson { rows: &rows, distances: None, form };
    Envelope::new(json).cost().into_bytes()
}

/// The names under `outputFields`; everything when there are none.
fn output_fields(body: &Object<'_>) -> Result<Vec<String>, ApiError> {
    let names: Vec<String> = body.get_or_default("outputFields")?;
    Ok(if names.is_empty() { vec!["*".to_owned()] } else { names })
}

/// `orderByFields`: see [`order::read`].
fn order_by(body: &Object<'_>) -> Result<Vec<OrderBy>, ApiError> {
    let items: Vec<String> = body.get_or_default("orderByFields")?;
    items.iter().map(|item| order::read(item)).collect()
}

fn json(cell: &Cell, form: &Form) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Bool(v) => (*v).into(),
        Cell::Int(v) if form.int64_as_string => v.to_string().into(),
        Cell::Int(v) => (*v).into(),
        Cell::Float(v) => (*v).into(),
        Cell::Text(v) => v.clone().into(),
    }
}
