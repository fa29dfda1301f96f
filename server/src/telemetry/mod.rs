//! What operators see: metrics, health, logs. Metrics are counted where things happen, through [`Metrics`]; those of
//! collections are read when they are asked for.

mod admin;
pub(crate) mod log;
mod metrics;
mod milvus;

pub(crate) use admin::{Health, admin_routes};
pub use metrics::Metrics;
pub use milvus::{Counted, Protocol, VectorCount};
