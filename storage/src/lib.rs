//! # Elanus storage: knows bytes
//!
//! Files, and what must be true of them after any crash. No vectors, no async. `FORMAT.md` beside this crate says every
//! byte of every file.
//!
//! ```text
//!    data directory (locked, stamped)
//!      ├── manifest   the atomic list of what is alive        store = commit point
//!      ├── wal        framed records, group commit            append, sync, replay, cut
//!      ├── container  immutable files: aligned blocks + CRC   write beside, rename into place, map
//!      └── blob       originals by SHA-256                    put = durable
//!                 │
//!                vfs  the only door to the disk; each method says what is durable
//!                 └── mmap  shared read-only bytes [unsafe]
//! ```

pub mod blob;
mod container;
pub mod data_dir;
mod error;
pub mod manifest;
mod mmap;
mod vfs;
mod wal;

pub use blob::{BlobStore, Digest};
pub use container::{CONTAINER_VERSION, Container, ContainerWriter, FileKind};
pub use crc32c::crc32c;
pub use error::{Result, StorageError};
pub use mmap::{ALIGNMENT, Bytes};
pub use vfs::{DirEntry, DiskVfs, LockGuard, TEMPORARY_SUFFIX, Vfs, VfsFile, sweep_temporary, write_atomic};
pub use wal::{MAX_RECORD_BYTES, Recovery, Wal, WalOptions};
