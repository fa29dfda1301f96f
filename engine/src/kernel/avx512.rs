//! AVX-512 (F and BW): 16 floats a register, four sums in flight, tails by masked loads. As in `avx2`, many rows are one stream
//! through memory.

use std::arch::x86_64::*;

use super::Kernel;

/// Floats in a register.
const WIDTH: usize = 16;
/// Running sums: they, and the row that the processor starts meanwhile, hide the latency of FMA.
const SUMS: usize = 4;
/// Floats taken by one round of the main loop.
const ROUND: usize = WIDTH * SUMS;

/// May be used only after [`detected`] said so.
pub(super) static KERNEL: Kernel = Kernel {
    name: "avx512",
    dot: one::<false>,
    l2: one::<true>,
    dot_many: many::<false>,
    l2_many: many::<true>,
    dot_gather: gather::<false>,
    l2_gather: gather::<true>,
    codes: &super::codes::avx512::LOOPS,
    tile: &super::tile::avx512::LOOPS,
};

/// Whether this processor (and operating system) can run the kernel.
pub(super) fn detected() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// # Safety
/// The processor has AVX-512F; `a` and `b` are of one length.
#[target_feature(enable = "avx512f")]
unsafe fn one<const L2: bool>(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: `b` holds as many floats as `a`.
    unsafe { score::<L2>(a, b.as_ptr()) }
}

/// # Safety
/// The processor has AVX-512F; `rows` holds `out.len()` rows of `query.len()` floats.
#[target_feature(enable = "avx512f")]
unsafe fn many<const L2: bool>(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        // SAFETY: i is below the number of rows, so a whole row starts there.
        *out = unsafe { score::<L2>(query, rows.as_ptr().add(i * query.len())) };
    }
}

/// # Safety
/// The processor has AVX-512F; each number is of a row of `query.len()` floats within `rows`.
#[target_feature(enable = "avx512f")]
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
#[target_feature(enable = "avx512f")]
unsafe fn score<const L2: bool>(query: &[f32], row: *const f32) -> f32 {
    let dim = query.len();
    let query = query.as_ptr();
    let mut sums = [_mm512_setzero_ps(); SUMS];
    let mut at = 0;
    while at + ROUND <= dim {
        for (s, sum) in sums.iter_mut().enumerate() {
            let offset = at + s * WIDTH;
            // SAFETY: offset + WIDTH <= at + ROUND <= dim.
            let (a, b) = unsafe { (_mm512_loadu_ps(query.add(offset)), _mm512_loadu_ps(row.add(offset))) };
            *sum = accumulate::<L2>(*sum, a, b);
        }
        at += ROUND;
    }
    for sum in &mut sums {
        if at >= dim {
            break;
        }
        let mask = tail_mask(dim - at);
        // SAFETY: the mask admits at most dim - at floats; the others are not touched and read as 0.
        let (a, b) =
            unsafe { (_mm512_maskz_loadu_ps(mask, query.add(at)), _mm512_maskz_loadu_ps(mask, row.add(at))) };
        *sum = accumulate::<L2>(*sum, a, b);
        at += WIDTH;
    }
    reduce(sums)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn accumulate<const L2: bool>(sum: __m512, a: __m512, b: __m512) -> __m512 {
    if L2 {
        let difference = _mm512_sub_ps(a, b);
        _mm512_fmadd_ps(difference, difference, sum)
    } else {
        _mm512_fmadd_ps(a, b, sum)
    }
}

/// Ones for the first `left` lanes, for all 16 when more are left.
#[inline]
fn tail_mask(left: usize) -> __mmask16 {
    if left >= WIDTH { __mmask16::MAX } else { (1 << left) - 1 }
}

/// The sum of all lanes of all registers.
#[inline]
#[target_feature(enable = "avx512f")]
fn reduce([a, b, c, d]: [__m512; SUMS]) -> f32 {
    _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)))
}
