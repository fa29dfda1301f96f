//! What the loops need of a processor: a register of floats. The loops are written once over [`Lanes`]; each
//! instruction set says in its own file what a register is.

use super::Line;

/// A register of [`Lanes::WIDTH`] floats, a divisor of 16.
///
/// All functions are unsafe: the processor must have the instruction set, and pointers must allow `WIDTH` floats.
pub(super) trait Lanes: Copy {
    /// Floats in a register.
    const WIDTH: usize;
    /// The same value in every lane.
    unsafe fn splat(value: f32) -> Self;
    /// Reads `WIDTH` floats.
    unsafe fn load(from: *const f32) -> Self;
    /// Writes `WIDTH` floats.
    unsafe fn store(self, to: *mut f32);
    /// Asks for the memory of a line that is wanted soon. Only a hint: any address will do.
    #[inline(always)]
    unsafe fn fetch(_line: *const Line) {}
    /// Lane by lane `self + other`.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane by lane `self - other`.
    unsafe fn sub(self, other: Self) -> Self;
    /// Lane by lane the larger one; NaN where either is, so that the head of the network can refuse it.
    unsafe fn max(self, other: Self) -> Self;
    /// Lane by lane `self * factor + addend`, rounded once where the processor can.
    unsafe fn mul_add(self, factor: Self, addend: Self) -> Self;
}
