//! The first layer: three channels are too few for transforms, so each pixel's inputs (27 of a 3x3 convolution) are laid
//! side by side and multiplied with the weights as they are.

use rayon::prelude::*;

use super::item::{Cut, cut};
use super::{Ending, Kernel2d, Map, Scratch};
use crate::kernel::{Kernel, LINE, Line};

/// Input channels.
const INPUTS: usize = 3;
/// Rows of an item.
const ROWS: usize = 4;

/// A convolution of three channels with ReLU, padded by half its side, its weights packed.
pub(crate) struct FirstConv {
    kernel: &'static Kernel,
    /// `[panels][lines of a pixel's inputs * 16][panel]`.
    panels: Vec<Line>,
    bias: Vec<Line>,
    /// Pixels of the convolution's side.
    size: usize,
    stride: usize,
}

impl FirstConv {
    /// Packs the weights. `conv` has three inputs and outputs that are a multiple of 32.
    pub(crate) fn new(kernel: &'static Kernel, conv: &Kernel2d<'_>, stride: usize) -> Self {
        let (width, area) = (kernel.width(), conv.size * conv.size);
        let depth = (area * INPUTS).next_multiple_of(LINE);
        let mut panels = vec![Line::ZERO; conv.outputs / LINE * depth];
        for (at, &weight) in conv.weights.iter().enumerate() {
            // From [output][channel][place] to [panel][place][channel][output].
            let (output, channel, place) = (at / (area * INPUTS), at / area % INPUTS, at % area);
            let (block, input) = (output / LINE, place * INPUTS + channel);
            let line = (block / width * depth + input) * width + block % width;
            panels[line].0[output % LINE] = weight;
        }
        Self { kernel, panels, bias: conv.bias_lines(), size: conv.size, stride }
    }

    /// Pixels of zeros that the input has around it.
    pub(crate) fn padding(&self) -> usize {
        self.size / 2
    }

    /// Channels of the output.
    pub(crate) fn outputs(&self) -> usize {
        self.bias.len() * LINE
    }

    /// Floating-point operations of one picture with an output of so many pixels.
    pub(crate) fn operations(&self, pixels: usize) -> f64 {
        (2 * self.size * self.size * INPUTS * self.outputs() * pixels) as f64
    }

    /// A picture with its border, `[height, width, 3]` row-major, to `output`, whose sides are those of the picture
    /// divided by the stride.
    pub(crate) fn forward(&self, input: &[f32], output: &mut Map, scratch: &Scratch) {
        let (height, width, stride, blocks) =
            (output.height(), output.width(), output.stride(), output.blocks());
        let panel_lines = self.kernel.width();
        let point = (self.size * self.size * INPUTS).div_ceil(LINE);
        cut(std::slice::from_mut(output), &Cut { images: 1, rows: ROWS, blocks }).into_par_iter().for_each(
            |mut item| {
                scratch.with(|[points, sums]| {
                    let points = points.lines(point * width);
                    let sums = sums.lines(panel_lines * width);
                    for y in 0..ROWS.min(height - item.band * ROWS) {
                        self.gather(input, width, item.band * ROWS + y, points);
                        for (number, panel) in
                            self.panels.chunks_exact(point * LINE * panel_lines).enumerate()
                        {
                            self.kernel.multiply(points, width, width, panel, sums, panel);
                            for half in 0..panel_lines {
                                let block = number * panel_lines + half;
                                let row = &mut item.targets[block][y * stride + 1..][..width];
                                Ending::Relu.write(sums, (half, panel_lines), &self.bias[block], row);
                            }
                        }
                    }
                });
            },
        );
    }

    /// Lays out the surroundings of each pixel of row `y`: `[lines of a pixel's inputs][width]` lines.
    fn gather(&self, input: &[f32], width: usize, y: usize, points: &mut [Line]) {
        let (row, run) = ((width * self.stride + 2 * self.padding()) * INPUTS, self.size * INPUTS);
        // What is behind the last input stays zero: another layer may have left in `points` what is no number, and times
        // zero that is none either.
        let mut near = vec![0.0; (self.size * run).next_multiple_of(LINE)];
        for x in 0..width {
            for (dy, values) in near.chunks_exact_mut(run).take(self.size).enumerate() {
                let from = (y * self.stride + dy) * row + x * self.stride * INPUTS;
                values.copy_from_slice(&input[from..from + run]);
            }
            for (line, values) in near.chunks_exact(LINE).enumerate() {
                points[line * width + x].0.copy_from_slice(values);
            }
        }
    }
}
