//! Reading Arrow IPC bytes that may be anything. The `arrow` crates answer most broken messages with an error and panic
//! on some (offsets beyond the end, for example); whoever reads a damaged file must get an error from all of them.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_schema::ArrowError;

/// Runs a reading of bytes and makes a panic an error. The reading must change nothing but what it returns.
pub(crate) fn guarded<T>(read: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, ArrowError> {
    // Safe to go on after an unwinding: what the closure had borrowed is only read.
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(ArrowError::IpcError("the message contradicts itself".to_owned())))
}
