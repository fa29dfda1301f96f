//! Reading rows: by key and by filter.

use elanus_engine::QueryRequest;
use elanus_engine::limits::MAX_RESULT_WINDOW;
use elanus_engine::row::Projection;

use super::{check_read, keys, read_filter};
use crate::body::Object;
use crate::error::ApiError;
use crate::reply::{Envelope, RowsJson};
use crate::rest::call::Call;

/// Rows of a query that does not say how many.
const DEFAULT_LIMIT: i64 = 100;
/// The output field that asks for the number of rows instead of the rows.
const COUNT: &str = "count(*)";

/// Rows by key, in ascending order of keys; unknown keys are left out.
pub(crate) fn get(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body("CollectionIDReq")?;
    let id = body.required("id")?;
    let names = output_fields(&body)?;
    check_read(&body)?;
    let collection = call.collection(&body)?;
    let keys = keys::ascending(keys::read(collection.schema().primary(), id)?);
    let projection = Projection::resolve(collection.schema(), &names)?;
    let rows = collection.get(&keys, &projection)?;
    let json = RowsJson { rows: &rows, distances: None, int64_as_string: call.int64_as_string() };
    Envelope::new(json).cost().into_bytes()
}

/// Rows that match a filter, in ascending order of keys; or their number.
pub(crate) fn query(call: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let body = call.body("QueryReqV2")?;
    let expression: String = body.get_or_default("filter")?;
    let names = output_fields(&body)?;
    let limit: Option<i64> = body.get("limit")?;
    let offset: i64 = body.get_or_default("offset")?;
    body.refuse(&["exprParams", "orderByFields", "groupByFields"])?;
    check_read(&body)?;
    let collection = call.collection(&body)?;
    let filter = read_filter(collection.schema(), &expression, "query")?;
    if names.iter().any(|name| name.trim().eq_ignore_ascii_case(COUNT)) {
        if names.len() > 1 {
            return Err(ApiError::unsupported("count(*) together with other output fields"));
        }
        let count =
            filter.map_or_else(|| Ok(collection.count()), |filter| collection.count_where(&filter))?;
        return count_answer(count, call.int64_as_string());
    }
    let (limit, offset) = window(limit.unwrap_or(DEFAULT_LIMIT), offset)?;
    let projection = Projection::resolve(collection.schema(), &names)?;
    let rows = collection.query(&QueryRequest { filter, projection, limit, offset })?;
    let json = RowsJson { rows: &rows, distances: None, int64_as_string: call.int64_as_string() };
    Envelope::new(json).cost().into_bytes()
}

/// The names under `outputFields`; everything when there are none.
fn output_fields(body: &Object<'_>) -> Result<Vec<String>, ApiError> {
    let names: Vec<String> = body.get_or_default("outputFields")?;
    Ok(if names.is_empty() { vec!["*".to_owned()] } else { names })
}

fn count_answer(count: u64, int64_as_string: bool) -> Result<Vec<u8>, ApiError> {
    let value: serde_json::Value = if int64_as_string { count.to_string().into() } else { count.into() };
    Envelope::new([serde_json::json!({ COUNT: value })]).cost().into_bytes()
}

/// Checks limit and offset as they were sent.
fn window(limit: i64, offset: i64) -> Result<(usize, usize), ApiError> {
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
