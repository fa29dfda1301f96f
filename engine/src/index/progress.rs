//! How far a build is, and the way to call it off.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::{EngineError, Result};

/// Shared by a build and whoever watches it.
#[derive(Debug, Default)]
pub(crate) struct BuildProgress {
    rows: AtomicUsize,
    called_off: AtomicBool,
}

impl BuildProgress {
    /// Notes that this many more rows are done.
    pub(crate) fn add(&self, rows: usize) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Rows that are done.
    pub(crate) fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// Lets the build end at its next check.
    pub(crate) fn call_off(&self) {
        self.called_off.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// `Closing` once the build is called off.
    pub(crate) fn check(&self) -> Result<()> {
        if self.called_off.load(Ordering::Relaxed) { Err(EngineError::Closing) } else { Ok(()) }
    }
}
