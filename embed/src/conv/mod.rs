//! Convolutions on the processor, made for the networks in this crate: 3x3 with padding 1, bias and ReLU, and a 2x2 max
//! pool where one follows.
//!
//! ```text
//!    RGB bytes                          Map: [channels / 16][rows][columns][16], with a border of zeros
//!       | im2col   27 values a pixel, one product            |
//!       v                                                    | winograd   6x6 patches -> 36 values
//!      Map  ------------------------------------------------>|            36 products with packed weights
//!                                                            v            -> 4x4 outputs, or 2x2 after the pool
//!                                                           Map
//! ```
//!
//! Work is cut into items that own the rows and channels they write, and spread over rayon's pool; scratch memory is
//! sized for a core's cache and kept between calls. What must stay true: results do not depend on the number of threads
//! or on the other images of a batch, bit for bit.

mod im2col;
mod item;
mod map;
mod scratch;
#[cfg(test)]
mod tests;
mod winograd;

pub(crate) use im2col::FirstConv;
pub(crate) use map::Map;
pub(crate) use scratch::{Buffer, Scratch};
pub(crate) use winograd::WinogradConv;

use crate::kernel::{LINE, Line};

/// A 3x3 convolution as files have it.
pub(crate) struct Kernel3x3<'a> {
    /// `[outputs, inputs, 3, 3]`, row-major.
    pub(crate) weights: &'a [f32],
    /// One value per output.
    pub(crate) bias: &'a [f32],
    /// Output channels, a multiple of 32.
    pub(crate) outputs: usize,
    /// Input channels.
    pub(crate) inputs: usize,
}

impl Kernel3x3<'_> {
    /// The bias by lines of channels.
    fn bias_lines(&self) -> Vec<Line> {
        let line = |values: &[f32]| {
            let mut line = Line::ZERO;
            line.0[..values.len()].copy_from_slice(values);
            line
        };
        self.bias.chunks(LINE).map(line).collect()
    }
}
