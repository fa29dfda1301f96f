//! Reading rows: by key and by filter.

use elanus_engine::exec::OrderBy;
use elanus_engine::limits::MAX_RESULT_WINDOW;
use elanus_engine::row::Projection;
use elanus_engine::{Filter, QueryRequest};

use super::aggregate::Numbers;
use super::{Narrowing, check_read, keys};
use crate::body::Object;
use crate::error::ApiError;
use crate::reply::{Envelope, RowsJson};
use crate::rest::call::Call;
use crate::rest::spec;

/// Rows of a query that does not say how many.
const DEFAULT_LIMIT: i64 = 100;

/// Rows by key, in ascending order of keys; unknown keys are left out.
pub(crate) fn get(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body(&spec::COLLECTION_ID)?;
    let id = body.required("id")?;
    let names = output_fields(&body)?;
    let narrowing = Narrowing::partitions(&body)?;
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
    let narrowing = Narrowing::read(&body)?;
    let names = output_fields(&body)?;
    let limit: Option<i64> = body.get("limit")?;
    let offset: i64 = body.get_or_default("offset")?;
    let order_by = order_by(&body)?;
    let numbers = Numbers::read(&names, body.get_or_default("groupByFields")?)?;
    check_read(&body)?;
    let collection = call.readable_collection(&body)?;
    let schema = collection.schema();
    let filter = narrowing.filter_of(&collection, &schema, "query")?;
    let form = call.form(&collection);
    if let Some(numbers) = numbers {
        let mut rows = numbers.compute(&collection, filter, &form)?;
        if !numbers.is_single() {
            let (limit, offset) = window(limit.unwrap_or(DEFAULT_LIMIT), offset)?;
            rows = rows.into_iter().skip(offset).take(limit).collect();
        }
        return Envelope::new(rows).cost().into_bytes();
    }
    let (limit, offset) = window(limit.unwrap_or(DEFAULT_LIMIT), offset)?;
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

/// `orderByFields`: items are `field`, `field:desc`, `field:asc:nulls_first`.
fn order_by(body: &Object<'_>) -> Result<Vec<OrderBy>, ApiError> {
    let items: Vec<String> = body.get_or_default("orderByFields")?;
    items.iter().map(|item| order(item)).collect()
}

fn order(item: &str) -> Result<OrderBy, ApiError> {
    let mut parts = item.split(':').map(str::trim);
    let field = parts.next().unwrap_or_default().to_owned();
    if field.is_empty() {
        return Err(ApiError::invalid("an order by field has no name: invalid parameter"));
    }
    let mut order = OrderBy { field, descending: false, nulls_first: None };
    for word in parts {
        match word.to_ascii_lowercase().as_str() {
            "asc" => order.descending = false,
            "desc" => order.descending = true,
            "nulls_first" => order.nulls_first = Some(true),
            "nulls_last" => order.nulls_first = Some(false),
            _ => {
                return Err(ApiError::invalid(format!(
                    "invalid order direction '{word}' for field '{}', expected 'asc' or 'desc': invalid parameter",
                    order.field
                )));
            }
        }
    }
    Ok(order)
}

/// Checks limit and offset of a query or a hybrid search as they were sent.
pub(super) fn window(limit: i64, offset: i64) -> Result<(usize, usize), ApiError> {
    let refusal = || {
        ApiError::invalid(format!(
            "invalid max query result window, (offset+limit) should be in range [1, {MAX_RESULT_WINDOW}], but got {}: \
             invalid parameter",
            limit.saturating_add(offset)
        ))
    };
    let size = |value: i64| usize::try_from(value).map_err(|_| refusal());
    let (limit, offset) = (size(limit)?, size(offset)?);
    if limit == 0 || limit.saturating_add(offset) > MAX_RESULT_WINDOW {
        Err(refusal())
    } else {
        Ok((limit, offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_checked_as_sent() {
        assert_eq!(window(100, 0), Ok((100, 0)));
        assert_eq!(window(1, 16_383), Ok((1, 16_383)));
        for (limit, offset) in [(0, 0), (-1, 0), (1, -1), (16_385, 0), (2, 16_383), (i64::MAX, i64::MAX)] {
            assert_eq!(window(limit, offset).unwrap_err().code, 1100, "{limit} {offset}");
        }
    }
}
