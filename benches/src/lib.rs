//! What several benchmarks share: data sets, photos with labels and as vectors, what is measured on rankings, the program under measurement as a process of its own, connections that many
//! clients at once send prepared requests over, what the server counted meanwhile, and pictures of what was seen.

pub mod connection;
pub mod data;
pub mod embedding;
pub mod folder;
pub mod load;
pub mod metrics;
pub mod plot;
pub mod program;
pub mod retrieval;

/// Errors are for the person at the terminal.
pub type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;
