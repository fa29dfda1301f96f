//! Random changes of bytes.

use elanus_storage::sim::Random;

/// Numbers at which arithmetic goes wrong.
const EDGES: [u64; 12] = [
    0,
    1,
    7,
    8,
    63,
    64,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Changes one to four things.
pub(crate) fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        change(bytes, random);
    }
}

fn change(bytes: &mut Vec<u8>, random: &mut Random) {
    let len = bytes.len() as u64;
    let at = random.below(len) as usize;
    match random.below(9) {
        _ if bytes.is_empty() => bytes.push(random.next() as u8),
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.next() as u8,
        3 => bytes.truncate(at),
        4 => {
            let end = (at + random.below(64) as usize).min(bytes.len());
            bytes.drain(at..end);
        }
        5 => {
            let end = (at + random.below(64) as usize).min(bytes.len());
            let copy = bytes[at..end].to_vec();
            let to = random.below(len) as usize;
            bytes.splice(to..to, copy);
        }
        6 => {
            let end = (at + random.below(16) as usize).min(bytes.len());
            bytes[at..end].fill(random.next() as u8);
        }
        _ => {
            // Numbers stand at multiples of four, in four or eight bytes.
            let at = at / 4 * 4;
            let edge = EDGES[random.below(EDGES.len() as u64) as usize].to_le_bytes();
            let width = if random.chance(500) { 4 } else { 8 };
            let end = (at + width).min(bytes.len());
            bytes[at..end].copy_from_slice(&edge[..end - at]);
        }
    }
}
