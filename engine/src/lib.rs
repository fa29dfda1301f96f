//! # Elanus engine: knows vectors
//!
//! Collections of rows with vectors: durable writes, snapshots, filters and exact search. No async, no HTTP, no
//! pixels; bytes on disk are `elanus-storage`'s.
//!
//! ```text
//!   Engine (catalog) ── Collection ──┬── commit: one log, group commit, then apply
//!                                    ├── snapshot: Arc<[segment + tombstones]>  ◄── readers
//!                                    └── seal: growing chunks → mapped segment files
//!
//!   request ─► filter (parse, bind) ─► plan ─► exec over each segment of one snapshot ─► merge ─► rows
//!                                                  └── kernel (SIMD, chosen at start)
//! ```
//!
//! Read [`schema`] and [`row`] for the data, [`collection`] for how a write becomes durable and then visible,
//! [`segment`] for what lies on disk, [`exec`] for how a search runs.

pub mod catalog;
pub mod collection;
pub mod error;
pub mod exec;
pub mod filter;
pub mod kernel;
pub mod limits;
pub mod plan;
pub mod row;
pub mod schema;
pub mod segment;

pub use catalog::{Engine, EngineOptions};
pub use collection::{Collection, Definition};
pub use error::{EngineError, ErrorClass, Result};
pub use exec::{QueryRequest, SearchHits, SearchRequest};
pub use filter::Filter;
pub use kernel::Metric;
