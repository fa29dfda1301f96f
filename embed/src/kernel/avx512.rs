//! AVX-512: registers of 16 floats, thirty-two of them. Twelve points by 32 outputs are 24 sums, each point is read as
//! an operand of its multiplications, and the rest of the registers hold the weights.

use std::arch::x86_64::*;

use super::lanes::Lanes;
use super::{Kernel, Line, loops_of};

#[derive(Clone, Copy)]
struct F32x16(__m512);

impl Lanes for F32x16 {
    const WIDTH: usize = 16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller has AVX-512.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller has AVX-512 and 16 floats to read.
        Self(unsafe { _mm512_loadu_ps(from) })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller has AVX-512 and room for 16 floats.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn fetch(line: *const Line) {
        // SAFETY: every x86-64 processor has SSE; a prefetch of any address does nothing but fetch.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller has AVX-512.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the caller has AVX-512.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        // The instruction gives the second operand where either is NaN.
        // SAFETY: the caller has AVX-512.
        Self(unsafe {
            let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0);
            _mm512_mask_mov_ps(_mm512_max_ps(self.0, other.0), nan, self.0)
        })
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // SAFETY: the caller has AVX-512.
        Self(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
    }
}

loops_of! { "avx512", F32x16, features "avx512f", vectors 2, points 12 }

/// Whether this processor (and operating system) can run the kernel.
pub(super) fn detected() -> bool {
    is_x86_feature_detected!("avx512f")
}
