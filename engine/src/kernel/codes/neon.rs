//! Codes with NEON: 16 dimensions at a time, widened to i16, squared and summed to i32.

use std::arch::aarch64::*;

use super::{BLOCK, Loops, SUM_IN_32_BITS};

pub(in super::super) static LOOPS: Loops = Loops { many, gather, pair };

/// Dimensions of one step.
const STEP: usize = 16;
const _: () = assert!(BLOCK.is_multiple_of(STEP));

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "neon")]
unsafe fn many(query: &[i16], rows: &[u8], out: &mut [f32]) {
    for (i, score) in out.iter_mut().enumerate() {
        // SAFETY: i is below the number of rows, so a whole row starts there.
        *score = unsafe { one(query, rows.as_ptr().add(i * query.len())) };
    }
}

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "neon")]
unsafe fn gather(query: &[i16], rows: &[u8], ids: &[u32], out: &mut [f32]) {
    for (&id, score) in ids.iter().zip(out) {
        // SAFETY: the number is of a row within `rows`.
        *score = unsafe { one(query, rows.as_ptr().add(id as usize * query.len())) };
    }
}

/// # Safety
/// As many bytes as the query has values can be read from `row`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn one(query: &[i16], row: *const u8) -> f32 {
    let mut sums = [vdupq_n_s32(0); 4];
    for at in (0..query.len()).step_by(STEP) {
        // SAFETY: 16 values are left behind `at` in both.
        let (low, high, row) = unsafe {
            let query = query.as_ptr().add(at);
            (vld1q_s16(query), vld1q_s16(query.add(STEP / 2)), vld1q_u8(row.add(at)))
        };
        add_squares(&mut sums, [low, high], widen(row));
    }
    reduce(sums, query.len())
}

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "neon")]
unsafe fn pair(a: &[u8], b: &[u8]) -> f32 {
    let mut sums = [vdupq_n_s32(0); 4];
    for at in (0..a.len()).step_by(STEP) {
        // SAFETY: 16 bytes are left behind `at` in both.
        let (a, b) = unsafe { (vld1q_u8(a.as_ptr().add(at)), vld1q_u8(b.as_ptr().add(at))) };
        add_squares(&mut sums, widen(a), widen(b));
    }
    reduce(sums, a.len())
}

/// 16 bytes as i16.
#[inline]
#[target_feature(enable = "neon")]
fn widen(bytes: uint8x16_t) -> [int16x8_t; 2] {
    [vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))), vreinterpretq_s16_u16(vmovl_high_u8(bytes))]
}

#[inline]
#[target_feature(enable = "neon")]
fn add_squares(sums: &mut [int32x4_t; 4], a: [int16x8_t; 2], b: [int16x8_t; 2]) {
    for half in 0..2 {
        let difference = vsubq_s16(a[half], b[half]);
        let low = vget_low_s16(difference);
        sums[2 * half] = vmlal_s16(sums[2 * half], low, low);
        sums[2 * half + 1] = vmlal_high_s16(sums[2 * half + 1], difference, difference);
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn reduce([a, b, c, d]: [int32x4_t; 4], dim: usize) -> f32 {
    let four = vaddq_s32(vaddq_s32(a, b), vaddq_s32(c, d));
    if dim > SUM_IN_32_BITS { vaddlvq_s32(four) as f32 } else { vaddvq_s32(four) as f32 }
}
