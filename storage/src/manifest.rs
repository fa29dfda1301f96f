//! The one atomic list of what is alive in a folder: opaque bytes with a generation number, under a checksum, replaced
//! as a whole. Storing a manifest is the commit point of everything that changes which files count.

use std::path::Path;

use crate::error::{Result, StorageError};
use crate::vfs::{Vfs, parent, write_atomic};

const MAGIC: [u8; 8] = *b"ELANMANI";
/// Version of the manifest's frame.
pub const MANIFEST_VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;

/// A manifest as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Rises with every store.
    pub generation: u64,
    /// What the caller stored.
    pub payload: Vec<u8>,
}

/// Replaces the manifest; durable when it returns.
///
/// # Errors
/// `Io`; then the old one still holds.
pub fn store(vfs: &dyn Vfs, path: &Path, generation: u64, payload: &[u8]) -> Result<()> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&MANIFEST_VERSION.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&generation.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(payload);
    let crc = crc32c::crc32c(&bytes);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    write_atomic(vfs, path, &bytes)
}

/// Reads the manifest and makes it the one that counts: a process killed between renaming it into place and syncing the
/// folder leaves one that a loss of power could still take back, after the reader has acted on it. `None` when there is
/// none.
///
/// # Errors
/// `Corrupt`, `UnsupportedVersion`, `Io`.
pub fn adopt(vfs: &dyn Vfs, path: &Path) -> Result<Option<Manifest>> {
    let found = load(vfs, path)?;
    vfs.sync_dir(parent(path))?;
    Ok(found)
}

/// Reads the manifest, for whoever only looks; `None` when there is none.
///
/// # Errors
/// `Corrupt`, `UnsupportedVersion`, `Io`.
pub fn load(vfs: &dyn Vfs, path: &Path) -> Result<Option<Manifest>> {
    let mut bytes = match vfs.read(path) {
        Err(error) if error.is_not_found() => return Ok(None),
        other => other?,
    };
    let corrupt = |reason: &str| StorageError::corrupt(path, 0, reason);
    let Some((header, payload)) = bytes.split_first_chunk_mut::<HEADER_BYTES>() else {
        return Err(corrupt("too short for a manifest"));
    };
    if header[..8] != MAGIC {
        return Err(corrupt("no manifest: another magic number"));
    }
    let crc = [header[12], header[13], header[14], header[15]];
    header[12..16].fill(0);
    if u32::from_le_bytes(crc) != crc32c::crc32c_append(crc32c::crc32c(header), payload) {
        return Err(corrupt("the content does not match its checksum"));
    }
    let found = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    if found != MANIFEST_VERSION {
        return Err(StorageError::UnsupportedVersion {
            path: path.to_owned(),
            found,
            supported: MANIFEST_VERSION,
        });
    }
    let mut number = [0; 8];
    number.copy_from_slice(&header[16..24]);
    let generation = u64::from_le_bytes(number);
    number.copy_from_slice(&header[24..32]);
    if u64::from_le_bytes(number) != payload.len() as u64 {
        return Err(corrupt("the content has another length than the header says"));
    }
    Ok(Some(Manifest { generation, payload: payload.to_vec() }))
}
