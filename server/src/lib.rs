//! # Elanus server: knows people
//!
//! One program that is a vector database with Milvus's REST and gRPC APIs, an image embedder and an image-search page. It turns
//! requests into calls of `elanus-engine` (vectors) and `elanus-embed` (pixels), which never see each other.
//!
//! ```text
//!   cli ─► config ─► start ──► Handle          one process, two ports
//!                      │
//!        ┌─────────────┴───────────────┐
//!   :19530 net                    :9091 telemetry::admin
//!   connections, limits,          /metrics /healthz /livez /readyz, backup
//!   panics, CORS, auth
//!        │ by content type, then by path
//!        ├── application/grpc grpc      Milvus's messages              ┐ service: what
//!        ├── /v2/vectordb/…   rest      Milvus's JSON                  ┘ both have    ┐
//!        ├── /v2/openapi.json /v2/docs  rest::spec  what those calls take           │
//!        ├── /v1/images /v1/embed  images    files in, vectors and links out  │
//!        ├── /v1/imports      imports   files with rows into collections       │
//!        ├── /v1/jobs         jobs      import folders, reduce vectors        ├─► App ─► Engine
//!        ├── /api/v1 /img …   classic   old names of the same calls           │      └► ImageService ─► embed
//!        └── / /ui/…          ui        the page                              ┘
//! ```
//!
//! Read [`start`] for what runs, [`app`] for what handlers share, [`error`] for the one table from errors to codes,
//! `models` for weights files on the disk,
//! [`rest`] and `grpc` for the Milvus APIs over their common `service`, [`auth`] for who may do what. Handlers never block the async threads: engine calls go through [`app::blocking`].

pub mod app;
pub mod auth;
mod backup;
pub mod body;
mod check;
pub mod classic;
mod cli;
pub mod config;
pub mod error;
mod grpc;
pub mod images;
pub mod imports;
pub mod jobs;
mod memory;
mod models;
pub mod net;
pub mod reply;
pub mod rest;
mod service;
mod start;
mod status;
pub mod telemetry;
pub mod ui;
mod version;

pub use app::App;
pub use cli::run;
pub use config::Config;
pub use error::{ApiError, StartError};
pub use start::{Handle, start};
