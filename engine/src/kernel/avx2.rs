//! AVX2 with FMA: 8 floats a register, four sums in flight. Many rows are one stream through memory, row after row:
//! scoring two or four rows side by side saves loads of the query, but reads memory as two or four streams, which was
//! measured to cost a quarter of the bandwidth.

use std::arch::x86_64::*;

use super::Kernel;

/// Floats in a register.
const WIDTH: usize = 8;
/// Running sums: they, and the row that the processor starts meanwhile, hide the latency of FMA.
const SUMS: usize = 4;
/// Floats taken by one round of the main loop.
const ROUND: usize = WIDTH * SUMS;
/// Bytes that are fetched ahead of the loads of a stream: the processor's own prefetcher stops at each page's end.
const AHEAD: usize = 512;
/// Scattered rows that are fetched ahead of being scored, and how many lines of each.
const FETCHED_ROWS: usize = 3;
const FETCHED_LINES: usize = 16;
/// Bytes of a cache line.
const LINE: usize = 64;

/// May be used only after [`detected`] said so.
pub(super) static KERNEL: Kernel = Kernel {
    name: "avx2",
    dot: one::<false>,
    l2: one::<true>,
    dot_many: many::<false>,
    l2_many: many::<true>,
    dot_gather: gather::<false>,
    l2_gather: gather::<true>,
    codes: &super::codes::avx2::LOOPS,
    tile: &super::tile::avx2::LOOPS,
};

/// Whether this processor (and operating system) can run the kernel.
pub(super) fn detected() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// # Safety
/// The processor has AVX2 and FMA; `a` and `b` are of one length.
#[target_feature(enable = "avx2,fma")]
unsafe fn one<const L2: bool>(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: `b` holds as many floats as `a`.
    unsafe { score::<L2, false>(a, b.as_ptr()) }
}

/// # Safety
/// The processor has AVX2 and FMA; `rows` holds `out.len()` rows of `query.len()` floats.
#[target_feature(enable = "avx2,fma")]
unsafe fn many<const L2: bool>(query: &[f32], rows: &[f32], out: &mut [f32]) {
    for (i, out) in out.iter_mut().enumerate() {
        // SAFETY: i is below the number of rows, so a whole row starts there.
        *out = unsafe { score::<L2, true>(query, rows.as_ptr().add(i * query.len())) };
    }
}

/// # Safety
/// The processor has AVX2 and FMA; each number is of a row of `query.len()` floats within `rows`.
#[target_feature(enable = "avx2,fma")]
unsafe fn gather<const L2: bool>(query: &[f32], rows: &[f32], ids: &[u32], out: &mut [f32]) {
    // SAFETY (of the additions below): each number is of a row within `rows`.
    let row = |id: u32| unsafe { rows.as_ptr().add(id as usize * query.len()) };
    let fetch = |id: u32| {
        for line in 0..size_of_val(query).div_ceil(LINE).min(FETCHED_LINES) {
            // Only a hint.
            _mm_prefetch::<_MM_HINT_T0>(row(id).wrapping_byte_add(line * LINE).cast());
        }
    };
    ids.iter().take(FETCHED_ROWS).for_each(|&id| fetch(id));
    for (i, (&id, score)) in ids.iter().zip(out).enumerate() {
        if let Some(&next) = ids.get(i + FETCHED_ROWS) {
            fetch(next);
        }
        // SAFETY: a whole row starts there.
        *score = unsafe { self::score::<L2, false>(query, row(id)) };
    }
}

/// Scores one row. `STREAM` says that what lies behind the row is wanted next; it does not change the score.
///
/// # Safety
/// `query.len()` floats can be read from `row`.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn score<const L2: bool, const STREAM: bool>(query: &[f32], row: *const f32) -> f32 {
    let dim = query.len();
    let query = query.as_ptr();
    let mut sums = [_mm256_setzero_ps(); SUMS];
    let mut at = 0;
    while at + ROUND <= dim {
        for (s, sum) in sums.iter_mut().enumerate() {
            let offset = at + s * WIDTH;
            // SAFETY: offset + WIDTH <= at + ROUND <= dim.
            let (a, b) = unsafe { (_mm256_loadu_ps(query.add(offset)), _mm256_loadu_ps(row.add(offset))) };
            *sum = accumulate::<L2>(*sum, a, b);
        }
        if STREAM {
            let next = row.wrapping_add(at).wrapping_byte_add(AHEAD).cast::<i8>();
            for line in 0..ROUND * size_of::<f32>() / LINE {
                // Only a hint: past the end of the rows it does nothing.
                _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(line * LINE));
            }
        }
        at += ROUND;
    }
    for sum in &mut sums {
        if at >= dim {
            break;
        }
        let (a, b) = if at + WIDTH <= dim {
            // SAFETY: at + WIDTH <= dim.
            unsafe { (_mm256_loadu_ps(query.add(at)), _mm256_loadu_ps(row.add(at))) }
        } else {
            let mask = tail_mask(dim - at);
            // SAFETY: the mask admits dim - at floats; the others are not touched and read as 0.
            unsafe { (_mm256_maskload_ps(query.add(at), mask), _mm256_maskload_ps(row.add(at), mask)) }
        };
        *sum = accumulate::<L2>(*sum, a, b);
        at += WIDTH;
    }
    reduce(sums)
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn accumulate<const L2: bool>(sum: __m256, a: __m256, b: __m256) -> __m256 {
    if L2 {
        let difference = _mm256_sub_ps(a, b);
        _mm256_fmadd_ps(difference, difference, sum)
    } else {
        _mm256_fmadd_ps(a, b, sum)
    }
}

/// Ones in the first `count` lanes of 8.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn tail_mask(count: usize) -> __m256i {
    let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes)
}

/// The sum of all lanes of all registers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn reduce([a, b, c, d]: [__m256; SUMS]) -> f32 {
    let all = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
    let four = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
