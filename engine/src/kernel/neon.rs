//! NEON: 4 floats a register, eight sums in flight. As in `avx2`, many rows are one stream through memory.

use std::arch::aarch64::*;

use super::Kernel;

/// Floats in a register.
const WIDTH: usize = 4;
/// Running sums. Arm's large cores start four FMAs a cycle and take four cycles for each.
const SUMS: usize = 8;
/// Floats taken by one round of the main loop.
const ROUND: usize = WIDTH * SUMS;

/// May be used only after [`detected`] said so.
pub(super) static KERNEL: Kernel = Kernel {
    name: "neon",
    dot: one::<false>,
    l2: one::<true>,
    dot_many: many::<false>,
    l2_many: many::<true>,
    dot_gather: gather::<false>,
    l2_gather: gather::<true>,
    codes: &super::codes::neon::LOOPS,
    tile: &super::tile::neon::LOOPS,
};

/// Whether this processor can run the kernel; every arm64 server and desktop can.
pub(super) fn detected() -> bool {
    std::arch::is_aarch64_feature_detected!("neon")
}

/// # Safety
/// The processor has NEON; `a` and `b` are of one length.
#[target_feature(enable = "neon")]
unsafe fn one<const L2: bool>(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: `b` holds as many floats as `a`.
    unsafe { score::<L2>(a, b.as_ptr()) }
}

/// # Safety
/// The processor has NEON; `rows` holds `out.len()` rows of `query.len()` floats.
#[target_feature(enable = "neon")]
unsafe fn many<const L2: bool>(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        // SAFETY: i is below the number of rows, so a whole row starts there.
        *out = unsafe { score::<L2>(query, rows.as_ptr().add(i * query.len())) };
    }
}

/// # Safety
/// The processor has NEON; each number is of a row of `query.len()` floats within `rows`.
#[target_feature(enable = "neon")]
unsafe fn gather<const L2: bool>(query: &[f32], rows: &[f32], ids: &[u32], out: &mut [f32]) {
    for (&id, out) in ids.iter().zip(out) {
        // SAFETY: a whole row starts there.
        *out = unsafe { score::<L2>(query, rows.as_ptr().add(id as usize * query.len())) };
    }
}

/// Scores one row.
///
/// # Safety
/// `query.len()` floats can be read from `row`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn score<const L2: bool>(query: &[f32], row: *const f32) -> f32 {
    let dim = query.len();
    let query = query.as_ptr();
    let mut sums = [vdupq_n_f32(0.0); SUMS];
    let mut at = 0;
    while at + ROUND <= dim {
        for (s, sum) in sums.iter_mut().enumerate() {
            let offset = at + s * WIDTH;
            // SAFETY: offset + WIDTH <= at + ROUND <= dim.
            let (a, b) = unsafe { (vld1q_f32(query.add(offset)), vld1q_f32(row.add(offset))) };
            *sum = accumulate::<L2>(*sum, a, b);
        }
        at += ROUND;
    }
    for sum in &mut sums {
        if at >= dim {
            break;
        }
        let (a, b) = if at + WIDTH <= dim {
            // SAFETY: at + WIDTH <= dim.
            unsafe { (vld1q_f32(query.add(at)), vld1q_f32(row.add(at))) }
        } else {
            // SAFETY: dim - at floats are left, fewer than a register holds.
            unsafe { (load_tail(query.add(at), dim - at), load_tail(row.add(at), dim - at)) }
        };
        *sum = accumulate::<L2>(*sum, a, b);
        at += WIDTH;
    }
    reduce(sums)
}

/// `count` (at most 4) floats from `from`, zeros behind them: NEON has no masked load.
///
/// # Safety
/// `count` floats can be read from `from`.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load_tail(from: *const f32, count: usize) -> float32x4_t {
    let mut padded = [0f32; WIDTH];
    for (i, lane) in padded.iter_mut().enumerate().take(count) {
        // SAFETY: i < count.
        *lane = unsafe { from.add(i).read() };
    }
    // SAFETY: `padded` holds 4 floats.
    unsafe { vld1q_f32(padded.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn accumulate<const L2: bool>(sum: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
    if L2 {
        let difference = vsubq_f32(a, b);
        vfmaq_f32(sum, difference, difference)
    } else {
        vfmaq_f32(sum, a, b)
    }
}

/// The sum of all lanes of all registers.
#[inline]
#[target_feature(enable = "neon")]
fn reduce([a, b, c, d, e, f, g, h]: [float32x4_t; SUMS]) -> f32 {
    let low = vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d));
    let high = vaddq_f32(vaddq_f32(e, f), vaddq_f32(g, h));
    vaddvq_f32(vaddq_f32(low, high))
}
