//! Putting the checksums of a changed file right, as somebody could who wants to harm a reader, so that what lies
//! behind them is reached. Layouts are those of `storage/FORMAT.md`.

use elanus_storage::crc32c;

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}

pub(crate) fn container(bytes: &mut [u8]) {
    if bytes.len() < 96 {
        return;
    }
    let header = crc32c(&bytes[..20]);
    put(bytes, 20, header);
    let footer = bytes.len() - 32;
    let total = bytes.len() as u64;
    bytes[footer + 8..footer + 16].copy_from_slice(&total.to_le_bytes());
    let directory = u64_at(bytes, footer).unwrap_or(0) as usize;
    for entry in (directory..footer).step_by(24) {
        let (Some(offset), Some(len)) = (u64_at(bytes, entry + 8), u64_at(bytes, entry + 16)) else {
            continue;
        };
        let end = (offset as usize).saturating_add(len as usize);
        if let Some(block) = bytes.get(offset as usize..end) {
            let crc = crc32c(block);
            put(bytes, entry + 4, crc);
        }
    }
    if let Some(list) = bytes.get(directory..footer) {
        let crc = crc32c(list);
        put(bytes, footer + 20, crc);
    }
    let crc = crc32c(&bytes[footer..footer + 24]);
    put(bytes, footer + 24, crc);
}

pub(crate) fn manifest(bytes: &mut [u8]) {
    if bytes.len() < 32 {
        return;
    }
    let len = (bytes.len() - 32) as u64;
    bytes[24..32].copy_from_slice(&len.to_le_bytes());
    put(bytes, 12, 0);
    let crc = crc32c(bytes);
    put(bytes, 12, crc);
}

pub(crate) fn log(bytes: &mut [u8]) {
    if bytes.len() < 32 {
        return;
    }
    let header = crc32c(&bytes[..28]);
    put(bytes, 28, header);
    let salt = u32_at(bytes, 24).unwrap_or(0);
    let mut at = 32;
    while let Some(len) = u32_at(bytes, at) {
        let end = at.saturating_add(24).saturating_add(len as usize);
        let Some(frame) = bytes.get(at..end) else { return };
        // The checksum covers everything but itself and starts from the salt.
        let mut covered = frame[..4].to_vec();
        covered.extend_from_slice(&frame[8..]);
        let crc = crc32c_from(salt, &covered);
        put(bytes, at + 4, crc);
        at = end;
    }
}

/// CRC32C that goes on from an earlier one, bit by bit: the storage crate's own is not for others.
fn crc32c_from(start: u32, bytes: &[u8]) -> u32 {
    let mut crc = !start;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}
