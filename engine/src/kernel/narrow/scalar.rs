//! Narrow distances without any instruction set of their own: what runs everywhere (and under Miri), and the sums of
//! floats in f64 that decide what a score is when f32 cannot hold it or a step on the way to it.

#![forbid(unsafe_code)]

use half::{bf16, f16};

use super::NarrowKernel;

/// Partial sums of a row. The compiler turns them into whatever vectors the target's baseline has.
const LANES: usize = 16;

/// The portable kernel; runs on any machine.
pub(super) static KERNEL: NarrowKernel = NarrowKernel {
    name: "scalar",
    f16: floats!(f16, f16, float),
    f32_f16: floats!(f32, f16, float),
    bf16: floats!(bf16, bf16, float),
    f32_bf16: floats!(f32, bf16, float),
    dot_i8: loops!(i8, i8 => i32, dot_i8),
    l2_i8: loops!(i8, i8 => u32, l2_i8),
    hamming: loops!(u8, u8 => u32, hamming),
    jaccard: loops!(u8, u8 => f32, jaccard),
};

/// 2¹¹²: the bias of an f32's exponent less that of an f16's.
const POWER_112: f32 = f32::from_bits((112 + 127) << 23);

/// An element that f32 holds exactly.
pub(super) trait Widen: Copy {
    fn widen(self) -> f32;
}

impl Widen for f32 {
    #[inline(always)]
    fn widen(self) -> f32 {
        self
    }
}

impl Widen for f16 {
    /// In steps that the compiler can do for many elements at once, which a call of `to_f32` is not: exponent and
    /// fraction take their places in an f32, and a product corrects the exponent's bias, which is exact and makes
    /// normal numbers of denormal ones.
    #[inline(always)]
    fn widen(self) -> f32 {
        let bits = u32::from(self.to_bits());
        let magnitude = f32::from_bits((bits & 0x7fff) << 13) * POWER_112;
        // Where the exponent was all ones (2¹⁶ and more by now), it stays all ones: infinity or NaN.
        let special = if magnitude >= 65_536.0 { f32::INFINITY.to_bits() } else { 0 };
        f32::from_bits(magnitude.to_bits() | special | (bits & 0x8000) << 16)
    }
}

impl Widen for bf16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }
}

/// Σ(aᵢ-bᵢ)² or Σaᵢ·bᵢ.
fn float<Q: Widen, R: Widen, const L2: bool>(a: &[Q], b: &[R]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail = a.remainder().iter().zip(b.remainder());
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            lanes[lane] += term::<L2>(a[lane].widen(), b[lane].widen());
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(tail) {
        *lane += term::<L2>(a.widen(), b.widen());
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[inline(always)]
fn term<const L2: bool>(a: f32, b: f32) -> f32 {
    if L2 { (a - b) * (a - b) } else { a * b }
}

fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
}

fn l2_i8(a: &[i8], b: &[i8]) -> u32 {
    a.iter().zip(b).map(|(&a, &b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

#[inline(always)]
pub(super) fn hamming(a: &[u8], b: &[u8]) -> u32 {
    count(a, b, |a, b| a ^ b)
}

#[inline(always)]
pub(super) fn jaccard(a: &[u8], b: &[u8]) -> f32 {
    jaccard_of(hamming(a, b), count(a, b, |a, b| a | b))
}

/// From the number of bits that differ and of bits that either vector has: 1 - |a∧b|/|a∨b| with a single rounding.
#[inline]
pub(super) fn jaccard_of(differ: u32, either: u32) -> f32 {
    if either == 0 { 0.0 } else { differ as f32 / either as f32 }
}

/// Bits of the two vectors combined, eight bytes at a time.
#[inline(always)]
fn count(a: &[u8], b: &[u8], combine: impl Fn(u64, u64) -> u64) -> u32 {
    let ((a, a_tail), (b, b_tail)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words: u32 = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| combine(u64::from_ne_bytes(a), u64::from_ne_bytes(b)).count_ones())
        .sum();
    let tail: u32 = a_tail.iter().zip(b_tail).map(|(&a, &b)| combine(a.into(), b.into()).count_ones()).sum();
    words + tail
}

/// Σaᵢ·bᵢ in f64. Products of elements are exact there and cannot overflow, so for finite input the result is finite.
pub(super) fn dot_f64<Q: Copy + Into<f64>, R: Copy + Into<f64>>(a: &[Q], b: &[R]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| a.into() * b.into()).sum()
}

/// Σ(aᵢ-bᵢ)² in f64; finite for finite input.
pub(super) fn l2_f64<Q: Copy + Into<f64>, R: Copy + Into<f64>>(a: &[Q], b: &[R]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| a.into() - b.into()).map(|x| x * x).sum()
}
