//! What becomes of the sums of a product. Written once, so that all layers treat what is no number alike: it stays one,
//! and the head of the network refuses it.

use crate::kernel::{LINE, Line};

/// What is done with sums and their bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// They are the output.
    Sum,
    /// Those above zero are.
    Relu,
    /// They are added to what the output holds, and those above zero are the output: the end of a residual block.
    AddRelu,
}

impl Ending {
    /// Writes a line of channels of some pixels: their sums are every `width`th line from `half` on.
    pub(super) fn write(
        self,
        sums: &[Line],
        (half, width): (usize, usize),
        bias: &Line,
        pixels: &mut [Line],
    ) {
        let sums = sums.chunks_exact(width).map(|sums| &sums[half]);
        match self {
            Self::Sum => each(sums, bias, pixels, |_, sum| sum),
            Self::Relu => each(sums, bias, pixels, |_, sum| relu(sum)),
            Self::AddRelu => each(sums, bias, pixels, |before, sum| relu(before + sum)),
        }
    }
}

#[inline(always)]
fn each<'a>(
    sums: impl Iterator<Item = &'a Line>,
    bias: &Line,
    pixels: &mut [Line],
    of: impl Fn(f32, f32) -> f32,
) {
    for (pixel, sum) in pixels.iter_mut().zip(sums) {
        for lane in 0..LINE {
            pixel.0[lane] = of(pixel.0[lane], sum.0[lane] + bias.0[lane]);
        }
    }
}

/// Not `f32::max`, which makes zero of NaN.
#[inline(always)]
fn relu(value: f32) -> f32 {
    if value < 0.0 { 0.0 } else { value }
}
