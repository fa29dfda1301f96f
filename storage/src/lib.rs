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
//!      ├── blob       originals by SHA-256                    put = durable
//!      ├── quota      how much may be in use                  asked before data grows
//!      └── reserve    a file to give away                     the way out of a full disk
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
pub mod quota;
mod reserve;
mod vfs;
mod wal;

pub use blob::{BlobStore, Digest};
pub use container::{CONTAINER_VERSION, Container, ContainerWriter, FileKind};
pub use crc32c::crc32c;
pub use error::{Resource, Result, StorageError};
pub use mmap::{ALIGNMENT, Bytes};
pub use reserve::Reserve;
#[cfg(feature = "sim")]
pub use vfs::sim;
pub use vfs::{
    AtomicFile, DirEntry, DiskVfs, LockGuard, Space, TEMPORARY_SUFFIX, Vfs, VfsFile, VfsRead, copy_file,
    read_full_at, sweep_temporary, write_atomic,
};
pub use wal::{MAX_RECORD_BYTES, Payload, Recovery, Wal, WalOptions};
