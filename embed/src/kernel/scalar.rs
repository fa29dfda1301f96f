//! Plain Rust for any processor: four floats at a time, which compilers turn into whatever the target's baseline has.
//! The reference of the other instruction sets' tests.

use super::lanes::Lanes;
use super::{Kernel, loops_of};

#[derive(Clone, Copy)]
struct Four([f32; 4]);

impl Lanes for Four {
    const WIDTH: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 4])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller has 4 floats to read.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller has room for 4 floats.
        unsafe { to.cast::<[f32; 4]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(each(self.0, other.0, |a, b| a + b))
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(each(self.0, other.0, |a, b| a - b))
    }

    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        Self(each(self.0, other.0, |a, b| if a > b || a.is_nan() { a } else { b }))
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self {
        // Not `f32::mul_add`: without an FMA instruction that is a slow call.
        Self(each(each(self.0, factor.0, |a, b| a * b), addend.0, |a, b| a + b))
    }
}

#[inline(always)]
fn each(a: [f32; 4], b: [f32; 4], of: impl Fn(f32, f32) -> f32) -> [f32; 4] {
    [of(a[0], b[0]), of(a[1], b[1]), of(a[2], b[2]), of(a[3], b[3])]
}

loops_of! { "scalar", Four, vectors 4, points 2 }
