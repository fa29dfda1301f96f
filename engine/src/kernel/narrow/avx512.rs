//! AVX-512 (F, BW, VL), tails by masked loads: 16 floats a register, four sums in flight; 64 bytes a round for `i8` and
//! for bits. In three levels, of which a processor has the lower ones too: VNNI multiplies bytes without widening them,
//! and VPOPCNTDQ counts bits.
//!
//! AVX512_BF16 is left out: its products take denormal elements for zeros and make zeros of denormal sums, and 2⁻¹²⁷ is
//! not small next to an element of 2¹²⁷. The error bound leaves no room for that. Widening costs a shift.

use std::arch::x86_64::*;

use half::{bf16, f16};

use super::{Loops, NarrowKernel, avx2, scalar};

/// Floats in a register.
const WIDTH: usize = 16;
/// Running sums of floats: they, and the row that the processor starts meanwhile, hide the latency of FMA.
const SUMS: usize = 4;
/// Floats taken by one round of the main loop.
const ROUND: usize = WIDTH * SUMS;
/// Bytes in a register.
const BYTES: usize = 64;

/// Best first. May be used only after [`detected`] gave them.
static LEVELS: [NarrowKernel; 3] = [
    level(
        DOT_VNNI,
        loops!(u8, u8 => u32, hamming, "avx512f,avx512bw,avx512vl,avx512vpopcntdq"),
        loops!(u8, u8 => f32, jaccard, "avx512f,avx512bw,avx512vl,avx512vpopcntdq"),
    ),
    level(DOT_VNNI, avx2::HAMMING, avx2::JACCARD),
    level(loops!(i8, i8 => i32, dot_i8, "avx512f,avx512bw,avx512vl"), avx2::HAMMING, avx2::JACCARD),
];

const DOT_VNNI: Loops<i8, i8, i32> =
    loops!(i8, i8 => i32, dot_i8_vnni, "avx512f,avx512bw,avx512vl,avx512vnni");

/// A kernel of what all levels share and of what they do not.
const fn level(
    dot_i8: Loops<i8, i8, i32>,
    hamming: Loops<u8, u8, u32>,
    jaccard: Loops<u8, u8, f32>,
) -> NarrowKernel {
    NarrowKernel {
        name: "avx512",
        f16: floats!(f16, f16, float, "avx512f,avx512bw,avx512vl"),
        f32_f16: floats!(f32, f16, float, "avx512f,avx512bw,avx512vl"),
        bf16: floats!(bf16, bf16, float, "avx512f,avx512bw,avx512vl"),
        f32_bf16: floats!(f32, bf16, float, "avx512f,avx512bw,avx512vl"),
        dot_i8,
        l2_i8: loops!(i8, i8 => u32, l2_i8, "avx512f,avx512bw,avx512vl"),
        hamming,
        jaccard,
    }
}

/// The levels that this processor (and operating system) can run, best first.
pub(super) fn detected() -> &'static [NarrowKernel] {
    let base = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && avx2::detected();
    let vnni = base && is_x86_feature_detected!("avx512vnni");
    match (base, vnni, vnni && is_x86_feature_detected!("avx512vpopcntdq")) {
        (_, _, true) => &LEVELS,
        (_, true, _) => &LEVELS[1..],
        (true, ..) => &LEVELS[2..],
        _ => &[],
    }
}

/// An element that registers of f32 can be loaded from.
trait Load: Copy {
    /// # Safety
    /// The processor has AVX-512F, BW and VL; the elements that the mask admits can be read from `from`. The others are
    /// not touched and read as 0.
    unsafe fn load(mask: __mmask16, from: *const Self) -> __m512;
}

impl Load for f32 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load(mask: __mmask16, from: *const Self) -> __m512 {
        // SAFETY: the elements that the mask admits can be read.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }
}

impl Load for f16 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load(mask: __mmask16, from: *const Self) -> __m512 {
        // SAFETY: the elements that the mask admits, of 2 bytes each, can be read.
        _mm512_cvtph_ps(unsafe { _mm256_maskz_loadu_epi16(mask, from.cast()) })
    }
}

impl Load for bf16 {
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    unsafe fn load(mask: __mmask16, from: *const Self) -> __m512 {
        // SAFETY: the elements that the mask admits, of 2 bytes each, can be read.
        let bits = _mm512_cvtepu16_epi32(unsafe { _mm256_maskz_loadu_epi16(mask, from.cast()) });
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
    }
}

/// Σ(aᵢ-bᵢ)² or Σaᵢ·bᵢ.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn float<Q: Load, R: Load, const L2: bool>(a: &[Q], b: &[R]) -> f32 {
    let dim = a.len().min(b.len());
    let mut sums = [_mm512_setzero_ps(); SUMS];
    let mut at = 0;
    while at + ROUND <= dim {
        for (s, sum) in sums.iter_mut().enumerate() {
            let offset = at + s * WIDTH;
            let all = __mmask16::MAX;
            // SAFETY: offset + WIDTH <= at + ROUND <= dim, the shorter of the lengths.
            let (a, b) =
                unsafe { (Q::load(all, a.as_ptr().add(offset)), R::load(all, b.as_ptr().add(offset))) };
            *sum = accumulate::<L2>(*sum, a, b);
        }
        at += ROUND;
    }
    for sum in &mut sums {
        if at >= dim {
            break;
        }
        let mask = if dim - at >= WIDTH { __mmask16::MAX } else { (1 << (dim - at)) - 1 };
        // SAFETY: the mask admits at most dim - at elements, dim being the shorter of the lengths.
        let (a, b) = unsafe { (Q::load(mask, a.as_ptr().add(at)), R::load(mask, b.as_ptr().add(at))) };
        *sum = accumulate::<L2>(*sum, a, b);
        at += WIDTH;
    }
    let [a, b, c, d] = sums;
    _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn accumulate<const L2: bool>(sum: __m512, a: __m512, b: __m512) -> __m512 {
    if L2 {
        let difference = _mm512_sub_ps(a, b);
        _mm512_fmadd_ps(difference, difference, sum)
    } else {
        _mm512_fmadd_ps(a, b, sum)
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let sum = fold(a, b, _mm512_setzero_si512(), |sum, a, b| {
        let low = _mm512_madd_epi16(
            _mm512_cvtepi8_epi16(_mm512_castsi512_si256(a)),
            _mm512_cvtepi8_epi16(_mm512_castsi512_si256(b)),
        );
        let high = _mm512_madd_epi16(
            _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64::<1>(a)),
            _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64::<1>(b)),
        );
        _mm512_add_epi32(sum, _mm512_add_epi32(low, high))
    });
    _mm512_reduce_add_epi32(sum)
}

/// VNNI multiplies bytes without sign by bytes with one: Σaᵢ·bᵢ = Σaᵢ·(bᵢ+128) - 128·Σaᵢ.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn dot_i8_vnni(a: &[i8], b: &[i8]) -> i32 {
    let [raised, plain] = fold(a, b, [_mm512_setzero_si512(); 2], |[raised, plain], a, b| {
        let raised = _mm512_dpbusd_epi32(raised, _mm512_xor_si512(b, _mm512_set1_epi8(i8::MIN)), a);
        [raised, _mm512_dpbusd_epi32(plain, _mm512_set1_epi8(1), a)]
    });
    _mm512_reduce_add_epi32(_mm512_sub_epi32(raised, _mm512_slli_epi32::<7>(plain)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn l2_i8(a: &[i8], b: &[i8]) -> u32 {
    let sum = fold(a, b, _mm512_setzero_si512(), |sum, a, b| {
        // 0..=255, which a byte without sign holds.
        let difference = _mm512_sub_epi8(_mm512_max_epi8(a, b), _mm512_min_epi8(a, b));
        let even = _mm512_and_si512(difference, _mm512_set1_epi16(0xff));
        let odd = _mm512_srli_epi16::<8>(difference);
        let squares = _mm512_add_epi32(_mm512_madd_epi16(even, even), _mm512_madd_epi16(odd, odd));
        _mm512_add_epi32(sum, squares)
    });
    _mm512_reduce_add_epi32(sum).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
fn hamming(a: &[u8], b: &[u8]) -> u32 {
    let differ = fold(a, b, _mm512_setzero_si512(), |differ, a, b| {
        _mm512_add_epi32(differ, _mm512_popcnt_epi32(_mm512_xor_si512(a, b)))
    });
    _mm512_reduce_add_epi32(differ).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
fn jaccard(a: &[u8], b: &[u8]) -> f32 {
    let [differ, either] = fold(a, b, [_mm512_setzero_si512(); 2], |[differ, either], a, b| {
        let differ = _mm512_add_epi32(differ, _mm512_popcnt_epi32(_mm512_xor_si512(a, b)));
        [differ, _mm512_add_epi32(either, _mm512_popcnt_epi32(_mm512_or_si512(a, b)))]
    });
    let [differ, either] = [differ, either].map(|sum| _mm512_reduce_add_epi32(sum).cast_unsigned());
    scalar::jaccard_of(differ, either)
}

/// What `next` makes of `sums` and each register of bytes of two vectors of one length. The last one is filled up with
/// zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn fold<T, S>(a: &[T], b: &[T], mut sums: S, next: impl Fn(S, __m512i, __m512i) -> S) -> S {
    const { assert!(size_of::<T>() == 1, "bytes") };
    let dim = a.len().min(b.len());
    for at in (0..dim).step_by(BYTES) {
        let mask = if dim - at >= BYTES { __mmask64::MAX } else { (1 << (dim - at)) - 1 };
        // SAFETY: the mask admits at most dim - at bytes, dim being the shorter of the lengths; the others are not
        // touched and read as 0.
        let (a, b) = unsafe {
            (
                _mm512_maskz_loadu_epi8(mask, a.as_ptr().add(at).cast()),
                _mm512_maskz_loadu_epi8(mask, b.as_ptr().add(at).cast()),
            )
        };
        sums = next(sums, a, b);
    }
    sums
}
