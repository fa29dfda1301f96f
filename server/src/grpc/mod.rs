//! Milvus's gRPC service `milvus.proto.milvus.MilvusService`, as far as `server/COMPAT.md` says, beside REST on one port:
//! unmodified Milvus clients work. The work is done in [`crate::service`] and by the engine, as for REST; here are the
//! messages.
//!
//! ```text
//!   net::dispatch ─ application/grpc ─► wire (frames, deadline) ─► rpc (the table) ─► call (who asks, on what)
//!        collections schema partitions aliases databases indexes loading statistics flush compaction     ◄┘
//!        write ── columns::read       search hybrid query ── columns::write       users roles imports system
//! ```
//!
//! A method is one function from a request message to a response message, blocking. What goes wrong with a request
//! travels inside of the response ([`status`]): clients try again when the transport fails, up to 75 times. Messages are
//! decoded where the work is done, and only small ones on the threads that serve connections: decoding 64 MiB takes a while.
//!
//! The messages are those of the crate `milvus-sdk-rust`, generated from Milvus's own protocol files; those that carry rows
//! are in [`rows`], where vectors are not decoded but left where they are.

mod aliases;
mod call;
mod collections;
mod columns;
mod compaction;
mod databases;
mod flush;
mod hybrid;
mod imports;
mod indexes;
mod iterator;
mod keys;
mod loading;
mod params;
mod partitions;
mod query;
mod roles;
mod rows;
mod rpc;
mod schema;
mod search;
mod statistics;
mod status;
mod system;
mod templates;
mod time;
mod users;
mod weight;
mod wire;
mod write;

/// Milvus's messages.
use milvus::proto::{common, milvus as messages, schema as wire_schema};

pub(crate) use iterator::Iterators;
pub(crate) use wire::{refusal, routes};
