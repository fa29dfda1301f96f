//! # Elanus engine: knows vectors
//!
//! Collections of rows with vectors: durable writes, snapshots, filters, exact and indexed search. No async, no HTTP, no
//! pixels; bytes on disk are `elanus-storage`'s.
//!
//! ```text
//!   Engine (catalog) ── Collection ──┬── commit: one log, group commit, then apply
//!                                    ├── snapshot: Arc<[segment + tombstones]>  ◄── readers
//!                                    ├── seal: growing chunks → mapped segment files ┐
//!                                    ├── compact: worn and small files → fewer       ┴─ rewrite: one commit point
//!                                    ├── index: sealed segments → derived lists, graphs and orders, in the background
//!                                    └── alter, partition: fields, properties, parts of it, while it serves
//!
//!   request ─► filter (parse, bind) ─► plan ─► exec over each segment of one snapshot ─► merge, group, fuse ─► rows
//!                                                  └── index, or every row ── kernel (SIMD, chosen at start)
//! ```
//!
//! [`text`] cuts texts into words, for full-text search and for filters; [`schema`] also shows rows that were stored under an
//! earlier schema as the present one.
//!
//! `catalog` names databases and aliases, and also opens collections in the background, backs them up and takes them back; [`check`] examines a data
//! directory that nobody uses.
//!
//! Read [`schema`] and [`row`] for the data, [`collection`] for how a write becomes durable and then visible,
//! [`segment`] for what lies on disk, [`index`] for how near rows are found, [`exec`] for how a search runs.

mod array;
pub mod catalog;
pub mod check;
pub mod collection;
mod compact;
pub mod error;
pub mod exec;
pub mod filter;
pub mod index;
mod ipc;
pub mod kernel;
pub mod limits;
mod metric;
pub mod plan;
pub mod row;
mod rowset;
pub mod schema;
pub mod segment;
pub mod text;

pub use catalog::{BackupInfo, Engine, EngineOptions, Loading};
pub use collection::{Collection, CollectionStats, CompactionStats, Definition, Durability};
pub use error::{EngineError, ErrorClass, Result};
pub use exec::{QueryRequest, QueryVectors, SearchHits, SearchRequest};
pub use filter::{Filter, FilterOptions, TemplateValue, Templates};
pub use index::SearchStats;
pub use kernel::Metric;
pub use metric::MetricType;
pub use plan::Effort;
pub use rowset::RowSet;
