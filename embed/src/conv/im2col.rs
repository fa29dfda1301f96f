//! The first layer: three channels are too few for transforms, so each pixel's 27 inputs are laid side by side and
//! multiplied with the weights as they are.

use rayon::prelude::*;

use super::item::{Cut, cut};
use super::{Kernel3x3, Map, Scratch};
use crate::kernel::{Kernel, LINE, Line};

/// Input channels.
const INPUTS: usize = 3;
/// Lines of a pixel's inputs: 27 values, the rest zeros.
const POINT: usize = (9 * INPUTS).div_ceil(LINE);
/// Rows of an item.
const ROWS: usize = 4;

/// A 3x3 convolution of three channels with ReLU, its weights packed.
pub(crate) struct FirstConv {
    kernel: &'static Kernel,
    /// `[panels][32 inputs][panel]`.
    panels: Vec<Line>,
    bias: Vec<Line>,
}

impl FirstConv {
    /// Packs the weights. `conv` has three inputs.
    pub(crate) fn new(kernel: &'static Kernel, conv: &Kernel3x3<'_>) -> Self {
        let width = kernel.width();
        let mut panels = vec![Line::ZERO; conv.outputs / LINE * POINT * LINE];
        for (at, &weight) in conv.weights.iter().enumerate() {
            // From [output][channel][place] to [panel][place][channel][output].
            let (output, channel, place) = (at / (9 * INPUTS), at / 9 % INPUTS, at % 9);
            let (block, input) = (output / LINE, place * INPUTS + channel);
            let line = (block / width * POINT * LINE + input) * width + block % width;
            panels[line].0[output % LINE] = weight;
        }
        Self { kernel, panels, bias: conv.bias_lines() }
    }

    /// A picture with a border of one pixel, `[height + 2, width + 2, 3]` row-major, to `output`.
    pub(crate) fn forward(&self, input: &[f32], output: &mut Map, scratch: &Scratch) {
        let (height, width, stride, blocks) =
            (output.height(), output.width(), output.stride(), output.blocks());
        let panel_lines = self.kernel.width();
        cut(std::slice::from_mut(output), &Cut { images: 1, rows: ROWS, blocks }).into_par_iter().for_each(
            |mut item| {
                scratch.with(|[points, sums]| {
                    let points = points.lines(POINT * width);
                    let sums = sums.lines(panel_lines * width);
                    for y in 0..ROWS.min(height - item.band * ROWS) {
                        gather(input, width, item.band * ROWS + y, points);
                        for (number, panel) in
                            self.panels.chunks_exact(POINT * LINE * panel_lines).enumerate()
                        {
                            self.kernel.multiply(points, width, width, panel, sums, panel);
                            for half in 0..panel_lines {
                                let block = number * panel_lines + half;
                                let row = &mut item.targets[block][y * stride + 1..][..width];
                                let sums = sums.iter().skip(half).step_by(panel_lines);
                                finish(sums, &self.bias[block], row);
                            }
                        }
                    }
                });
            },
        );
    }
}

/// Lays out the 3x3 surroundings of each pixel of row `y`: `[2][width]` lines.
fn gather(input: &[f32], width: usize, y: usize, points: &mut [Line]) {
    let (head, tail) = points.split_at_mut(width);
    for (x, (head, tail)) in head.iter_mut().zip(tail).enumerate() {
        let mut values = [0.0; POINT * LINE];
        for (dy, values) in values.chunks_exact_mut(3 * INPUTS).take(3).enumerate() {
            values.copy_from_slice(&input[((y + dy) * (width + 2) + x) * INPUTS..][..3 * INPUTS]);
        }
        head.0.copy_from_slice(&values[..LINE]);
        tail.0.copy_from_slice(&values[LINE..]);
    }
}

/// Bias and ReLU.
fn finish<'a>(sums: impl Iterator<Item = &'a Line>, bias: &Line, row: &mut [Line]) {
    for (pixel, sum) in row.iter_mut().zip(sums) {
        for ((value, sum), bias) in pixel.0.iter_mut().zip(sum.0).zip(bias.0) {
            *value = (sum + bias).max(0.0);
        }
    }
}
