//! NEON: 4 floats a register, eight sums in flight; 16 bytes a round for `i8` and for bits. Only what every arm64
//! processor has.

use std::arch::aarch64::*;

use half::{bf16, f16};

use super::{NarrowKernel, padded, scalar};

/// Floats in a register.
const WIDTH: usize = 4;
/// Running sums of floats. Arm's large cores start four FMAs a cycle and take four cycles for each.
const SUMS: usize = 8;
/// Floats taken by one round of the main loop.
const ROUND: usize = WIDTH * SUMS;
/// Bytes in a register.
const BYTES: usize = 16;

/// May be used only after [`detected`] said so.
pub(super) static KERNEL: NarrowKernel = NarrowKernel {
    name: "neon",
    f16: floats!(f16, f16, float, "neon"),
    f32_f16: floats!(f32, f16, float, "neon"),
    bf16: floats!(bf16, bf16, float, "neon"),
    f32_bf16: floats!(f32, bf16, float, "neon"),
    dot_i8: loops!(i8, i8 => i32, dot_i8, "neon"),
    l2_i8: loops!(i8, i8 => u32, l2_i8, "neon"),
    hamming: loops!(u8, u8 => u32, hamming, "neon"),
    jaccard: loops!(u8, u8 => f32, jaccard, "neon"),
};

/// Whether this processor can run the kernel; every arm64 server and desktop can.
pub(super) fn detected() -> bool {
    std::arch::is_aarch64_feature_detected!("neon")
}

/// An element that registers of f32 can be loaded from.
trait Load: Copy + Default {
    /// # Safety
    /// The processor has NEON; 4 elements can be read from `from`.
    unsafe fn load(from: *const Self) -> float32x4_t;
}

impl Load for f32 {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(from: *const Self) -> float32x4_t {
        // SAFETY: 4 floats can be read.
        unsafe { vld1q_f32(from) }
    }
}

impl Load for f16 {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(from: *const Self) -> float32x4_t {
        // SAFETY: 4 elements of 2 bytes can be read.
        vcvt_f32_f16(vreinterpret_f16_u16(unsafe { vld1_u16(from.cast()) }))
    }
}

impl Load for bf16 {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn load(from: *const Self) -> float32x4_t {
        // SAFETY: 4 elements of 2 bytes can be read.
        vreinterpretq_f32_u32(vshll_n_u16::<16>(unsafe { vld1_u16(from.cast()) }))
    }
}

/// Σ(aᵢ-bᵢ)² or Σaᵢ·bᵢ.
#[inline]
#[target_feature(enable = "neon")]
fn float<Q: Load, R: Load, const L2: bool>(a: &[Q], b: &[R]) -> f32 {
    let dim = a.len().min(b.len());
    let mut sums = [vdupq_n_f32(0.0); SUMS];
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

#[inline]
#[target_feature(enable = "neon")]
fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let [low, high] = fold(a, b, [vdupq_n_s32(0); 2], |[low, high], a, b| {
        let (a, b) = (vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b));
        let low = vpadalq_s16(low, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
        [low, vpadalq_s16(high, vmull_high_s8(a, b))]
    });
    vaddvq_s32(vaddq_s32(low, high))
}

#[inline]
#[target_feature(enable = "neon")]
fn l2_i8(a: &[i8], b: &[i8]) -> u32 {
    let [low, high] = fold(a, b, [vdupq_n_u32(0); 2], |[low, high], a, b| {
        let difference = vabdq_s8(vreinterpretq_s8_u8(a), vreinterpretq_s8_u8(b));
        // 0..=255, which a byte without sign holds.
        let difference = vreinterpretq_u8_s8(difference);
        let half = vget_low_u8(difference);
        let low = vpadalq_u16(low, vmull_u8(half, half));
        [low, vpadalq_u16(high, vmull_high_u8(difference, difference))]
    });
    vaddvq_u32(vaddq_u32(low, high))
}

#[inline]
#[target_feature(enable = "neon")]
fn hamming(a: &[u8], b: &[u8]) -> u32 {
    vaddvq_u32(fold(a, b, vdupq_n_u32(0), |differ, a, b| add_ones(differ, veorq_u8(a, b))))
}

#[inline]
#[target_feature(enable = "neon")]
fn jaccard(a: &[u8], b: &[u8]) -> f32 {
    let [differ, either] = fold(a, b, [vdupq_n_u32(0); 2], |[differ, either], a, b| {
        [add_ones(differ, veorq_u8(a, b)), add_ones(either, vorrq_u8(a, b))]
    });
    scalar::jaccard_of(vaddvq_u32(differ), vaddvq_u32(either))
}

#[inline]
#[target_feature(enable = "neon")]
fn add_ones(sum: uint32x4_t, bits: uint8x16_t) -> uint32x4_t {
    vpadalq_u16(sum, vpaddlq_u8(vcntq_u8(bits)))
}

/// What `next` makes of `sums` and each register of bytes of two vectors of one length. The last one is filled up with
/// zeros.
#[inline]
#[target_feature(enable = "neon")]
fn fold<T: Copy + Default, S>(
    a: &[T],
    b: &[T],
    mut sums: S,
    next: impl Fn(S, uint8x16_t, uint8x16_t) -> S,
) -> S {
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
#[target_feature(enable = "neon")]
fn load_bytes<T>(from: &[T; BYTES]) -> uint8x16_t {
    const { assert!(size_of::<T>() == 1, "bytes") };
    // SAFETY: the array is as large as the register.
    unsafe { vld1q_u8(from.as_ptr().cast()) }
}
