//! NEON: registers of 4 floats, thirty-two of them. Six points by 16 outputs are 24 sums, beside four registers of
//! weights and one of a point.

use std::arch::aarch64::*;

use super::lanes::Lanes;
use super::{Kernel, loops_of};

#[derive(Clone, Copy)]
struct F32x4(float32x4_t);

impl Lanes for F32x4 {
    const WIDTH: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller has NEON.
        Self(unsafe { vdupq_n_f32(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller has NEON and 4 floats to read.
        Self(unsafe { vld1q_f32(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller has NEON and room for 4 floats.
        unsafe { vst1q_f32(to, self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller has NEON.
        Self(unsafe { vaddq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller has NEON.
        Self(unsafe { vsubq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // NEON's maximum of a number and NaN is NaN, whichever comes first.
        // SAFETY: the caller has NEON.
        Self(unsafe { vmaxq_f32(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the caller has NEON.
        Self(unsafe { vfmaq_f32(addend.0, self.0, factor.0) })
    }
}

loops_of! { "neon", F32x4, features "neon", vectors 4, points 6 }

/// Whether this processor can run the kernel.
pub(super) fn detected() -> bool {
    std::arch::is_aarch64_feature_detected!("neon")
}
