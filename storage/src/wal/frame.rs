//! Bytes of a log file: one header, then frames. A frame says its length, its sequence number and up to which sequence
//! number the log was synced when it was written; a checksum covers all of that and the payload. The last field is
//! what lets recovery tell a torn tail (frames never acknowledged) from damage to acknowledged ones.

use super::MAX_RECORD_BYTES;

const MAGIC: [u8; 8] = *b"ELANWAL\0";
/// Version of the log's format.
pub(super) const VERSION: u32 = 2;
/// The oldest version that is still read: without a salt.
const OLDEST: u32 = 1;
/// Bytes before the first frame.
pub(super) const HEADER_BYTES: usize = 32;
/// Bytes of a frame before its payload.
pub(super) const FRAME_BYTES: usize = 24;

/// What makes the checksums of one file its own: bytes that look like a frame, be they left over on the disk or sent by
/// somebody who wants to confuse recovery, are none without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Salt(pub(super) u32);

pub(super) fn header(first_sequence: u64, salt: Salt) -> [u8; HEADER_BYTES] {
    let mut bytes = [0u8; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&first_sequence.to_le_bytes());
    bytes[24..28].copy_from_slice(&salt.0.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..28]);
    bytes[28..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What the first bytes of a file are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Header {
    Good {
        first_sequence: u64,
        salt: Salt,
    },
    /// Whole, but of a version that this program does not read.
    Version(u32),
    Bad,
}

pub(super) fn read_header(bytes: &[u8]) -> Header {
    let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else { return Header::Bad };
    if bytes[..8] != MAGIC || u32_at(bytes, 28) != crc32c::crc32c(&bytes[..28]) {
        return Header::Bad;
    }
    match u32_at(bytes, 8) {
        OLDEST..=VERSION => Header::Good { first_sequence: u64_at(bytes, 16), salt: Salt(u32_at(bytes, 24)) },
        other => Header::Version(other),
    }
}

/// The bytes of a frame before its payload, which comes in pieces of `len` bytes together.
pub(super) fn head(
    salt: Salt,
    sequence: u64,
    synced: u64,
    payload: &[&[u8]],
    len: usize,
) -> [u8; FRAME_BYTES] {
    let mut head = [0; FRAME_BYTES];
    head[..4].copy_from_slice(&(len as u32).to_le_bytes());
    head[8..16].copy_from_slice(&sequence.to_le_bytes());
    head[16..].copy_from_slice(&synced.to_le_bytes());
    let crc = checksum(salt, &head, payload);
    head[4..8].copy_from_slice(&crc.to_le_bytes());
    head
}

/// Over length, sequence, synced and payload: everything but itself. The salt is where it starts.
fn checksum(salt: Salt, head: &[u8; FRAME_BYTES], payload: &[&[u8]]) -> u32 {
    let parts = [&head[..4], &head[8..]].into_iter().chain(payload.iter().copied());
    parts.fold(salt.0, crc32c::crc32c_append)
}

/// A whole frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) sequence: u64,
    /// The log was synced up to this number when the frame was written.
    pub(super) synced: u64,
    pub(super) payload: &'a [u8],
}

impl Frame<'_> {
    pub(super) fn bytes(&self) -> usize {
        FRAME_BYTES + self.payload.len()
    }
}

/// The frame at the start of `bytes`, if a whole one with a matching checksum is there.
pub(super) fn read(bytes: &[u8], salt: Salt) -> Option<Frame<'_>> {
    read_where(bytes, salt, |_, _| true)
}

/// As [`read`], for a frame whose sequence and synced numbers are `wanted`. These are looked at before the checksum,
/// which costs a pass over as many bytes as four arbitrary ones claim: who searches for frames in a record's payload
/// must not pay that at every byte.
pub(super) fn read_where(bytes: &[u8], salt: Salt, wanted: impl Fn(u64, u64) -> bool) -> Option<Frame<'_>> {
    let head = bytes.first_chunk::<FRAME_BYTES>()?;
    let len = u32_at(head, 0) as usize;
    if len > MAX_RECORD_BYTES {
        return None;
    }
    let whole = bytes.get(..FRAME_BYTES + len)?;
    let (sequence, synced) = (u64_at(head, 8), u64_at(head, 16));
    if sequence == 0
        || synced >= sequence
        || !wanted(sequence, synced)
        || u32_at(head, 4) != checksum(salt, head, &[&whole[FRAME_BYTES..]])
    {
        return None;
    }
    Some(Frame { sequence, synced, payload: &whole[FRAME_BYTES..] })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}
