//! Codes with AVX-512 (F and BW): 32 dimensions a register. See `avx2`.

use std::arch::x86_64::*;

use super::{AHEAD, BLOCK, Loops, SUM_IN_32_BITS};

/// Bytes of a cache line.
const LINE: usize = 64;
/// Lines of a scattered row that are asked for ahead.
const LINES: usize = 8;

pub(in super::super) static LOOPS: Loops = Loops { many, gather, pair };

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn many(query: &[i16], rows: &[u8], out: &mut [f32]) {
    for (i, score) in out.iter_mut().enumerate() {
        // SAFETY: i is below the number of rows, so a whole row starts there.
        *score = unsafe { one(query, rows.as_ptr().add(i * query.len())) };
    }
}

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn gather(query: &[i16], rows: &[u8], ids: &[u32], out: &mut [f32]) {
    // SAFETY (of the additions below): each number is of a row within `rows`.
    let row = |id: u32| unsafe { rows.as_ptr().add(id as usize * query.len()) };
    ids.iter().take(AHEAD).for_each(|&id| fetch(row(id), query.len()));
    for (i, (&id, score)) in ids.iter().zip(out).enumerate() {
        if let Some(&next) = ids.get(i + AHEAD) {
            fetch(row(next), query.len());
        }
        // SAFETY: a whole row starts there.
        *score = unsafe { one(query, row(id)) };
    }
}

/// Asks for the beginning of a row.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn fetch(row: *const u8, len: usize) {
    for line in 0..len.div_ceil(LINE).min(LINES) {
        // Only a hint.
        _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(line * LINE).cast());
    }
}

/// # Safety
/// As many bytes as the query has values can be read from `row`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn one(query: &[i16], row: *const u8) -> f32 {
    let mut sum = _mm512_setzero_si512();
    for at in (0..query.len()).step_by(BLOCK) {
        // SAFETY: 32 values are left behind `at` in both.
        let (a, b) = unsafe { (_mm512_loadu_si512(query.as_ptr().add(at).cast()), widen(row.add(at))) };
        sum = _mm512_add_epi32(sum, squares(a, b));
    }
    reduce(sum, query.len())
}

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn pair(a: &[u8], b: &[u8]) -> f32 {
    let mut sum = _mm512_setzero_si512();
    for at in (0..a.len()).step_by(BLOCK) {
        // SAFETY: 32 bytes are left behind `at` in both.
        let (a, b) = unsafe { (widen(a.as_ptr().add(at)), widen(b.as_ptr().add(at))) };
        sum = _mm512_add_epi32(sum, squares(a, b));
    }
    reduce(sum, a.len())
}

/// 32 bytes as i16.
///
/// # Safety
/// 32 bytes can be read from `from`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn widen(from: *const u8) -> __m512i {
    // SAFETY: as the caller says.
    _mm512_cvtepu8_epi16(unsafe { _mm256_loadu_si256(from.cast()) })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn squares(a: __m512i, b: __m512i) -> __m512i {
    let difference = _mm512_sub_epi16(a, b);
    _mm512_madd_epi16(difference, difference)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn reduce(sum: __m512i, dim: usize) -> f32 {
    if dim > SUM_IN_32_BITS {
        let mut lanes = [0i32; 16];
        // SAFETY: the array holds a register.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), sum) };
        return lanes.iter().map(|&lane| i64::from(lane)).sum::<i64>() as f32;
    }
    _mm512_reduce_add_epi32(sum) as f32
}
