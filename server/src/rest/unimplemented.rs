//! Calls that make sense in a cluster only, or that this server does not have: each answers so, with code 10.

use axum::http::StatusCode;

use super::call::Call;
use crate::error::{ApiError, code};

/// Says that there is no such service here.
pub(super) fn refuse(_: &Call<'_>) -> Result<Vec<u8>, ApiError> {
    let message = "service unimplemented: this server is one process; what is there is in server/COMPAT.md";
    Err(ApiError::new(code::UNIMPLEMENTED, StatusCode::NOT_IMPLEMENTED, message))
}
