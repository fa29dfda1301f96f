//! Limits and offsets, as they were sent, checked in Milvus's words.

use elanus_engine::limits::MAX_RESULT_WINDOW;

use crate::error::ApiError;

/// Of a search.
///
/// # Errors
/// 1100.
pub(crate) fn of_search(limit: i64, offset: i64) -> Result<(usize, usize), ApiError> {
    let max = MAX_RESULT_WINDOW;
    let within = |value: i64, least: usize| usize::try_from(value).ok().filter(|v| (least..=max).contains(v));
    let refusal = |what: &str, least: usize, value: i64| {
        ApiError::invalid(format!(
            "{what} [{value}] is invalid, it should be in range [{least}, {max}], but got {value}: invalid parameter"
        ))
    };
    let size = within(limit, 1).ok_or_else(|| refusal("topk", 1, limit))?;
    let skip = within(offset, 0).ok_or_else(|| refusal("offset", 0, offset))?;
    within(limit.saturating_add(offset), 1)
        .ok_or_else(|| refusal("offset+topk", 1, limit.saturating_add(offset)))?;
    Ok((size, skip))
}

/// Of a query or a hybrid search.
///
/// # Errors
/// 1100.
pub(crate) fn of_query(limit: i64, offset: i64) -> Result<(usize, usize), ApiError> {
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

/// Checks the number of query vectors.
///
/// # Errors
/// 1100.
pub(crate) fn check_number_of_queries(count: usize) -> Result<(), ApiError> {
    if (1..=MAX_RESULT_WINDOW).contains(&count) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "nq [{count}] is invalid, nq (number of search vector per search request) should be in range [1, \
         {MAX_RESULT_WINDOW}], but got {count}: invalid parameter"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_checked_as_sent() {
        assert_eq!(of_query(100, 0), Ok((100, 0)));
        assert_eq!(of_query(1, 16_383), Ok((1, 16_383)));
        for (limit, offset) in [(0, 0), (-1, 0), (1, -1), (16_385, 0), (2, 16_383), (i64::MAX, i64::MAX)] {
            assert_eq!(of_query(limit, offset).unwrap_err().code, 1100, "{limit} {offset}");
            assert_eq!(of_search(limit, offset).unwrap_err().code, 1100, "{limit} {offset}");
        }
        assert_eq!(of_search(16_384, 0), Ok((16_384, 0)));
    }
}
