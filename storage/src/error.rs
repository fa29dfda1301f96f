//! The one error type of this crate. Every I/O error carries the operation and the path; damaged bytes carry the offset.

use std::io;
use std::path::{Path, PathBuf};

/// What can go wrong between memory and disk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The operating system refused an operation.
    #[error("can't {op} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        op: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Stored bytes are not what was written.
    #[error("{} is damaged at byte {offset}: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// What does not hold.
        reason: String,
    },
    /// A newer program wrote this file.
    #[error("{} has format version {found}; this program reads up to version {supported}", path.display())]
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version this program knows.
        supported: u32,
    },
    /// Another process works on the data directory.
    #[error("{} is in use by another process{}", path.display(), owner.map_or_else(String::new, |pid| format!(" (pid {pid})")))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Process that holds it, where it said so.
        owner: Option<u32>,
    },
    /// The folder was not made by this program and holds other files.
    #[error("{} is {reason}", path.display())]
    NotADataDir {
        /// The folder.
        path: PathBuf,
        /// What speaks against it.
        reason: String,
    },
    /// A sync failed earlier: what the disk holds is unknown, so nothing more is written until a restart.
    #[error("{} takes no more writes until a restart: {reason}", path.display())]
    Poisoned {
        /// The log's folder.
        path: PathBuf,
        /// The failure that did it.
        reason: String,
    },
    /// What may be written is used up, by configuration or because the machine has no more.
    #[error(
        "{resource} quota exceeded: {used} of {limit} bytes are in use; deletes and drops are still taken"
    )]
    QuotaExceeded {
        /// Of what there is too little.
        resource: Resource,
        /// Bytes in use, what was asked for included.
        used: u64,
        /// Most bytes that may be in use.
        limit: u64,
    },
    /// A record is larger than the log takes.
    #[error("a log record of {bytes} bytes is larger than the limit of {limit}")]
    RecordTooLarge {
        /// Its size.
        bytes: usize,
        /// The most that is taken.
        limit: usize,
    },
}

/// What a quota is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Room in files.
    Disk,
    /// Room in memory.
    Memory,
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Disk => "disk",
            Self::Memory => "memory",
        })
    }
}

impl StorageError {
    /// Wraps an I/O error.
    pub fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { op, path: path.to_owned(), source }
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, reason: impl Into<String>) -> Self {
        Self::Corrupt { path: path.to_owned(), offset, reason: reason.into() }
    }

    /// Whether the file or folder does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether the disk, or the user's share of it, is full.
    pub fn is_disk_full(&self) -> bool {
        let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded, io::ErrorKind::FileTooLarge];
        matches!(self, Self::Io { source, .. } if kinds.contains(&source.kind()))
    }

    /// Whether a hard link was refused because this pair of places can't have one: copying may work.
    pub fn is_unlinkable(&self) -> bool {
        let kinds = [
            io::ErrorKind::CrossesDevices,
            io::ErrorKind::Unsupported,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::TooManyLinks,
        ];
        matches!(self, Self::Io { source, .. } if kinds.contains(&source.kind()))
    }

    /// The same failure for another of several writers that it hits.
    #[must_use]
    pub fn for_another(&self) -> Self {
        match self {
            Self::Io { op, path, source } => {
                let copy = source.raw_os_error().map_or_else(
                    || io::Error::new(source.kind(), source.to_string()),
                    io::Error::from_raw_os_error,
                );
                Self::Io { op, path: path.clone(), source: copy }
            }
            Self::Corrupt { path, offset, reason } => {
                Self::Corrupt { path: path.clone(), offset: *offset, reason: reason.clone() }
            }
            Self::UnsupportedVersion { path, found, supported } => {
                Self::UnsupportedVersion { path: path.clone(), found: *found, supported: *supported }
            }
            Self::Locked { path, owner } => Self::Locked { path: path.clone(), owner: *owner },
            Self::NotADataDir { path, reason } => {
                Self::NotADataDir { path: path.clone(), reason: reason.clone() }
            }
            Self::Poisoned { path, reason } => Self::Poisoned { path: path.clone(), reason: reason.clone() },
            Self::QuotaExceeded { resource, used, limit } => {
                Self::QuotaExceeded { resource: *resource, used: *used, limit: *limit }
            }
            Self::RecordTooLarge { bytes, limit } => Self::RecordTooLarge { bytes: *bytes, limit: *limit },
        }
    }
}

/// Result with [`StorageError`].
pub type Result<T, E = StorageError> = std::result::Result<T, E>;
