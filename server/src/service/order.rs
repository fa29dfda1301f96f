//! The order of rows that a query asks for.

use elanus_engine::exec::OrderBy;

use crate::error::ApiError;

/// Reads `field`, `field:desc` or `field:asc:nulls_first`.
///
/// # Errors
/// 1100.
pub(crate) fn read(item: &str) -> Result<OrderBy, ApiError> {
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
