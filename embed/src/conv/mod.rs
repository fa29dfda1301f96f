//! Layers on the processor, made for the networks in this crate: convolutions with bias and ReLU, the pools between them,
//! and fully connected layers.
//!
//! ```text
//!    RGB bytes                          Map: [channels / 16][rows][columns][16], with a border of zeros
//!       | im2col   3x3 or 7x7 of three channels, one product      |
//!       v                                                         | winograd  3x3: 6x6 patches -> 36 values
//!      Map  ----------------------------------------------------->|           36 products with packed weights
//!                                                                 |           -> 4x4 outputs, or 2x2 after the pool
//!                                                                 | gathered  1x1, or of stride 2: one product, which
//!                                                                 |           may be added to what the output holds
//!                                                                 v
//!                                                                Map -- dense --> one row of values
//! ```
//!
//! Work is cut into items that own the rows and channels they write, and spread over rayon's pool; scratch memory is
//! sized for a core's cache and kept between calls. What must stay true: results do not depend on the number of threads
//! or on the other images of a batch, bit for bit.

mod dense;
mod ending;
mod gathered;
mod im2col;
mod item;
mod map;
mod pool;
mod scratch;
#[cfg(test)]
mod tests;
mod winograd;

pub(crate) use dense::{Dense, Rows};
pub(crate) use ending::Ending;
pub(crate) use gathered::GatheredConv;
pub(crate) use im2col::FirstConv;
pub(crate) use map::Map;
pub(crate) use pool::max_pool_3x3;
pub(crate) use scratch::{Buffer, Scratch};
pub(crate) use winograd::WinogradConv;

use crate::kernel::{LINE, Line};

/// A convolution as files have it.
pub(crate) struct Kernel2d<'a> {
    /// `[outputs, inputs, size, size]`, row-major.
    pub(crate) weights: &'a [f32],
    /// One value per output.
    pub(crate) bias: &'a [f32],
    /// Output channels, a multiple of 32.
    pub(crate) outputs: usize,
    /// Input channels.
    pub(crate) inputs: usize,
    /// Width and height, an odd number.
    pub(crate) size: usize,
}

impl Kernel2d<'_> {
    /// The bias by lines of channels.
    fn bias_lines(&self) -> Vec<Line> {
        lines(self.bias)
    }
}

/// Values by lines, the last one filled with zeros.
fn lines(values: &[f32]) -> Vec<Line> {
    let line = |values: &[f32]| {
        let mut line = Line::ZERO;
        line.0[..values.len()].copy_from_slice(values);
        line
    };
    values.chunks(LINE).map(line).collect()
}
