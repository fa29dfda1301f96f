//! What several benchmarks share: data sets, and the program under measurement as a process of its own.

pub mod data;
pub mod program;

/// Errors are for the person at the terminal.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
