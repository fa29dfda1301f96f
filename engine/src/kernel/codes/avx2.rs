//! Codes with AVX2: 16 dimensions a register, widened to i16, squared and summed in pairs to i32.

use std::arch::x86_64::*;

use super::{AHEAD, BLOCK, Loops, SUM_IN_32_BITS};

/// Bytes of a cache line.
const LINE: usize = 64;
/// Lines of a scattered row that are asked for ahead; the processor's own prefetcher takes longer rows on from there.
const LINES: usize = 8;

pub(in super::super) static LOOPS: Loops = Loops { many, gather, pair };

/// Rows compared side by side: they share the loads of the query, wait for memory together, and are summed up together.
const ROWS: usize = 4;

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "avx2")]
unsafe fn many(query: &[i16], rows: &[u8], out: &mut [f32]) {
    let len = query.len();
    // SAFETY (of the additions below): i is below the number of rows, so a whole row starts there.
    let row = |i: usize| unsafe { rows.as_ptr().add(i * len) };
    let mut i = 0;
    if len <= SUM_IN_32_BITS {
        while i + ROWS <= out.len() {
            // SAFETY: four whole rows start there, and there is room for four scores.
            unsafe {
                let sums = four(query, [row(i), row(i + 1), row(i + 2), row(i + 3)]);
                _mm_storeu_ps(out.as_mut_ptr().add(i), sums);
            }
            i += ROWS;
        }
    }
    for (i, score) in out.iter_mut().enumerate().skip(i) {
        // SAFETY: a whole row starts there.
        *score = unsafe { one(query, row(i)) };
    }
}

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "avx2")]
unsafe fn gather(query: &[i16], rows: &[u8], ids: &[u32], out: &mut [f32]) {
    let len = query.len();
    // SAFETY (of the additions below): each number is of a row within `rows`.
    let row = |i: usize| unsafe { rows.as_ptr().add(ids[i] as usize * len) };
    (0..ids.len().min(AHEAD)).for_each(|i| fetch(row(i), len));
    let mut i = 0;
    if len <= SUM_IN_32_BITS {
        while i + ROWS <= ids.len() {
            (i + AHEAD..(i + AHEAD + ROWS).min(ids.len())).for_each(|next| fetch(row(next), len));
            // SAFETY: four whole rows start there, and there is room for four scores.
            unsafe {
                let sums = four(query, [row(i), row(i + 1), row(i + 2), row(i + 3)]);
                _mm_storeu_ps(out.as_mut_ptr().add(i), sums);
            }
            i += ROWS;
        }
    }
    for (i, score) in out.iter_mut().enumerate().skip(i) {
        // SAFETY: a whole row starts there.
        *score = unsafe { one(query, row(i)) };
    }
}

/// Four rows of up to [`SUM_IN_32_BITS`] dimensions.
///
/// # Safety
/// As many bytes as the query has values can be read from each row.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn four(query: &[i16], rows: [*const u8; ROWS]) -> __m128 {
    let mut sums = [_mm256_setzero_si256(); ROWS];
    for at in (0..query.len()).step_by(BLOCK / 2) {
        // SAFETY: 16 values are left behind `at`.
        let a = unsafe { _mm256_loadu_si256(query.as_ptr().add(at).cast()) };
        for (sum, row) in sums.iter_mut().zip(rows) {
            // SAFETY: 16 bytes are left behind `at`.
            let b = unsafe { widen(row.add(at)) };
            *sum = _mm256_add_epi32(*sum, squares(a, b));
        }
    }
    let pairs = [_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3])];
    let halves = _mm256_hadd_epi32(pairs[0], pairs[1]);
    let all = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
    _mm_cvtepi32_ps(all)
}

/// Asks for the beginning of a row.
#[inline]
#[target_feature(enable = "avx2")]
fn fetch(row: *const u8, len: usize) {
    for line in 0..len.div_ceil(LINE).min(LINES) {
        // Only a hint.
        _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(line * LINE).cast());
    }
}

/// # Safety
/// As many bytes as the query has values can be read from `row`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn one(query: &[i16], row: *const u8) -> f32 {
    let mut sums = [_mm256_setzero_si256(); 2];
    for at in (0..query.len()).step_by(BLOCK) {
        for (half, sum) in sums.iter_mut().enumerate() {
            let at = at + half * BLOCK / 2;
            // SAFETY: 16 values are left behind `at` in both.
            let (a, b) = unsafe { (_mm256_loadu_si256(query.as_ptr().add(at).cast()), widen(row.add(at))) };
            *sum = _mm256_add_epi32(*sum, squares(a, b));
        }
    }
    reduce(sums, query.len())
}

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "avx2")]
unsafe fn pair(a: &[u8], b: &[u8]) -> f32 {
    let mut sums = [_mm256_setzero_si256(); 2];
    for at in (0..a.len()).step_by(BLOCK) {
        for (half, sum) in sums.iter_mut().enumerate() {
            let at = at + half * BLOCK / 2;
            // SAFETY: 16 bytes are left behind `at` in both.
            let (a, b) = unsafe { (widen(a.as_ptr().add(at)), widen(b.as_ptr().add(at))) };
            *sum = _mm256_add_epi32(*sum, squares(a, b));
        }
    }
    reduce(sums, a.len())
}

/// 16 bytes as i16.
///
/// # Safety
/// 16 bytes can be read from `from`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn widen(from: *const u8) -> __m256i {
    // SAFETY: as the caller says.
    _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(from.cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn squares(a: __m256i, b: __m256i) -> __m256i {
    let difference = _mm256_sub_epi16(a, b);
    _mm256_madd_epi16(difference, difference)
}

#[inline]
#[target_feature(enable = "avx2")]
fn reduce([a, b]: [__m256i; 2], dim: usize) -> f32 {
    let eight = _mm256_add_epi32(a, b);
    if dim > SUM_IN_32_BITS {
        let mut lanes = [0i32; 8];
        // SAFETY: the array holds a register.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), eight) };
        return lanes.iter().map(|&lane| i64::from(lane)).sum::<i64>() as f32;
    }
    let four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b01_00_11_10>(four));
    let one = _mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two));
    _mm_cvtsi128_si32(one) as f32
}
