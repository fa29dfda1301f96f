//! AVX2 with FMA and F16C: 8 floats a register, four sums in flight; 32 `i8` a round, as pairs of 16 bits; bits by
//! `popcnt`, eight bytes at a time.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{Loops, NarrowKernel, padded, scalar};

/// Floats in a register.
const WIDTH: usize = 8;
/// Running sums of floats: they, and the row that the processor starts meanwhile, hide the latency of FMA.
const SUMS: usize = 4;
/// Floats taken by one round of the main loop.
const ROUND: usize = WIDTH * SUMS;
/// Bytes in a register.
const BYTES: usize = 32;

/// May be used only after [`detected`] said so.
pub(super) static KERNEL: NarrowKernel = NarrowKernel {
    name: "avx2",
    f16: floats!(f16, f16, float, "avx2,fma,f16c"),
    f32_f16: floats!(f32, f16, float, "avx2,fma,f16c"),
    bf16: floats!(bf16, bf16, float, "avx2,fma,f16c"),
    f32_bf16: floats!(f32, bf16, float, "avx2,fma,f16c"),
    dot_i8: loops!(i8, i8 => i32, dot_i8, "avx2"),
    l2_i8: loops!(i8, i8 => u32, l2_i8, "avx2"),
    hamming: HAMMING,
    jaccard: JACCARD,
};

/// Also what AVX-512 without its own way to count takes.
pub(super) const HAMMING: Loops<u8, u8, u32> = loops!(u8, u8 => u32, hamming, "avx2");
/// As [`HAMMING`].
pub(super) const JACCARD: Loops<u8, u8, f32> = loops!(u8, u8 => f32, jaccard, "avx2");

/// Whether this processor (and operating system) can run the kernel.
pub(super) fn detected() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("popcnt")
}

/// An element that registers of f32 can be loaded from.
trait Load: Copy + Default {
    /// # Safety
    /// The processor has AVX2 and F16C; 8 elements can be read from `from`.
    unsafe fn load(from: *const Self) -> __m256;
}

impl Load for f32 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(from: *const Self) -> __m256 {
        // SAFETY: 8 floats can be read.
        unsafe { _mm256_loadu_ps(from) }
    }
}

impl Load for f16 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(from: *const Self) -> __m256 {
        // SAFETY: 8 elements of 2 bytes can be read.
        _mm256_cvtph_ps(unsafe { _mm_loadu_si128(from.cast()) })
    }
}

impl Load for bf16 {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn load(from: *const Self) -> __m256 {
        // SAFETY: 8 elements of 2 bytes can be read.
        let bits = _mm256_cvtepu16_epi32(unsafe { _mm_loadu_si128(from.cast()) });
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits))
    }
}

/// Σ(aᵢ-bᵢ)² or Σaᵢ·bᵢ.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn float<Q: Load, R: Load, const L2: bool>(a: &[Q], b: &[R]) -> f32 {
    let dim = a.len().min(b.len());
    let mut sums = [_mm256_setzero_ps(); SUMS];
    let mut at = 0;
    while at + ROUND <= dim {
        for (s, sum) in sums.iter_mut().enumerate() {
            let offset = at + s * WIDTH;
            // SAFETY: offset + WIDTH <= at + ROUND <= dim, the shorter of the lengths.
            let (a, b) = unsafe { (Q::load(a.as_ptr().add(offset)), R::load(b.as_ptr().add(offset))) };
            *sum = accumulate::<L2>(*sum, a, b);
        }
        at += ROUND;
    }
    for sum in &mut sums {
        if at >= dim {
            break;
        }
        let (a, b) = if at + WIDTH <= dim {
            // SAFETY: at + WIDTH <= dim, the shorter of the lengths.
            unsafe { (Q::load(a.as_ptr().add(at)), R::load(b.as_ptr().add(at))) }
        } else {
            let (a, b) = (padded::<Q, WIDTH>(&a[at..dim]), padded::<R, WIDTH>(&b[at..dim]));
            // SAFETY: they hold WIDTH elements.
            unsafe { (Q::load(a.as_ptr()), R::load(b.as_ptr())) }
        };
        *sum = accumulate::<L2>(*sum, a, b);
        at += WIDTH;
    }
    reduce(sums)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn accumulate<const L2: bool>(sum: __m256, a: __m256, b: __m256) -> __m256 {
    if L2 {
        let difference = _mm256_sub_ps(a, b);
        _mm256_fmadd_ps(difference, difference, sum)
    } else {
        _mm256_fmadd_ps(a, b, sum)
    }
}

/// The sum of all lanes of all registers.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn reduce([a, b, c, d]: [__m256; SUMS]) -> f32 {
    let all = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
    let four = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let sum = fold(a, b, _mm256_setzero_si256(), |sum, a, b| {
        let low = _mm256_madd_epi16(
            _mm256_cvtepi8_epi16(_mm256_castsi256_si128(a)),
            _mm256_cvtepi8_epi16(_mm256_castsi256_si128(b)),
        );
        let high = _mm256_madd_epi16(
            _mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(a)),
            _mm256_cvtepi8_epi16(_mm256_extracti128_si256::<1>(b)),
        );
        _mm256_add_epi32(sum, _mm256_add_epi32(low, high))
    });
    total(sum)
}

#[inline]
#[target_feature(enable = "avx2")]
fn l2_i8(a: &[i8], b: &[i8]) -> u32 {
    let sum = fold(a, b, _mm256_setzero_si256(), |sum, a, b| {
        // 0..=255, which a byte without sign holds.
        let difference = _mm256_sub_epi8(_mm256_max_epi8(a, b), _mm256_min_epi8(a, b));
        let even = _mm256_and_si256(difference, _mm256_set1_epi16(0xff));
        let odd = _mm256_srli_epi16::<8>(difference);
        let squares = _mm256_add_epi32(_mm256_madd_epi16(even, even), _mm256_madd_epi16(odd, odd));
        _mm256_add_epi32(sum, squares)
    });
    total(sum).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2")]
fn hamming(a: &[u8], b: &[u8]) -> u32 {
    let differ = fold(a, b, _mm256_setzero_si256(), |differ, a, b| {
        _mm256_add_epi32(differ, ones(_mm256_xor_si256(a, b)))
    });
    total(differ).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2")]
fn jaccard(a: &[u8], b: &[u8]) -> f32 {
    let [differ, either] = fold(a, b, [_mm256_setzero_si256(); 2], |[differ, either], a, b| {
        let differ = _mm256_add_epi32(differ, ones(_mm256_xor_si256(a, b)));
        [differ, _mm256_add_epi32(either, ones(_mm256_or_si256(a, b)))]
    });
    scalar::jaccard_of(total(differ).cast_unsigned(), total(either).cast_unsigned())
}

/// The number of ones in each 64 bits: each half byte is looked up in a table of sixteen counts.
#[inline]
#[target_feature(enable = "avx2")]
fn ones(bits: __m256i) -> __m256i {
    let table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    let half = _mm256_set1_epi8(0xf);
    let low = _mm256_shuffle_epi8(table, _mm256_and_si256(bits, half));
    let high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16::<4>(bits), half));
    _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256())
}

/// What `next` makes of `sums` and each register of bytes of two vectors of one length. The last one is filled up with
/// zeros.
#[inline]
#[target_feature(enable = "avx2")]
fn fold<T: Copy + Default, S>(a: &[T], b: &[T], mut sums: S, next: impl Fn(S, __m256i, __m256i) -> S) -> S {
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<BYTES>(), b.as_chunks::<BYTES>());
    for (a, b) in a.iter().zip(b) {
        sums = next(sums, load_bytes(a), load_bytes(b));
    }
    if !a_tail.is_empty() {
        sums = next(sums, load_bytes(&padded(a_tail)), load_bytes(&padded(b_tail)));
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_bytes<T>(from: &[T; BYTES]) -> __m256i {
    const { assert!(size_of::<T>() == 1, "bytes") };
    // SAFETY: the array is as large as the register.
    unsafe { _mm256_loadu_si256(from.as_ptr().cast()) }
}

/// The sum of all 32-bit lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn total(all: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256::<1>(all));
    let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
}
