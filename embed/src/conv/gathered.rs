//! Convolutions that Winograd's transforms do not help: 1x1, and 3x3 of stride 2. What each output pixel needs is gathered
//! side by side, and one product with the weights as they are gives the sums.

use rayon::prelude::*;

use super::item::{Cut, Item, cut};
use super::{Ending, Kernel2d, Map, Scratch};
use crate::kernel::{Kernel, LINE, Line};

/// Pixels that go through the same weights at once: what is gathered of them stays near the core.
const PIXELS: usize = 128;

/// A convolution of any odd size and stride, padded by half its side, its weights packed.
pub(crate) struct GatheredConv {
    kernel: &'static Kernel,
    /// `[panels][size²][inputs][panel]`.
    panels: Vec<Line>,
    bias: Vec<Line>,
    /// Lines of input channels.
    inputs: usize,
    /// Pixels of the convolution's side.
    size: usize,
    stride: usize,
    ending: Ending,
}

impl GatheredConv {
    /// Packs the weights. Inputs are a multiple of 16, outputs of 32.
    pub(crate) fn new(kernel: &'static Kernel, conv: &Kernel2d<'_>, stride: usize, ending: Ending) -> Self {
        let (width, area) = (kernel.width(), conv.size * conv.size);
        let depth = area * conv.inputs;
        let mut panels = vec![Line::ZERO; conv.outputs / LINE * depth];
        panels.par_chunks_exact_mut(depth * width).enumerate().for_each(|(number, panel)| {
            for (at, line) in panel.iter_mut().enumerate() {
                let (input, place) = (at / width % conv.inputs, at / width / conv.inputs);
                let first = (number * width + at % width) * LINE;
                for (lane, value) in line.0.iter_mut().enumerate() {
                    *value = conv.weights[((first + lane) * conv.inputs + input) * area + place];
                }
            }
        });
        let (bias, inputs) = (conv.bias_lines(), conv.inputs / LINE);
        Self { kernel, panels, bias, inputs, size: conv.size, stride, ending }
    }

    /// Channels of the output.
    pub(crate) fn outputs(&self) -> usize {
        self.bias.len() * LINE
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.panels.as_slice())
    }

    /// Floating-point operations of one picture with an output of so many pixels.
    pub(crate) fn operations(&self, pixels: usize) -> f64 {
        (2 * self.panels.len() * LINE * pixels) as f64
    }

    /// An output for each input, whose sides are those of the input divided by the stride.
    pub(crate) fn forward(&self, inputs: &[Map], outputs: &mut [Map], scratch: &Scratch) {
        let Some(output) = outputs.first() else { return };
        let (height, width, blocks) = (output.height(), output.width(), output.blocks());
        let rows = (PIXELS / width).clamp(1, height);
        // Where pictures give too few items for all threads, each of them takes some of the channels.
        let items = inputs.len() * height.div_ceil(rows);
        let parts = (2 * rayon::current_num_threads()).div_ceil(items);
        let blocks = blocks.div_ceil(parts).next_multiple_of(self.kernel.width());
        let layer = Layer { conv: self, inputs, rows, height, width, stride: output.stride(), scratch };
        cut(outputs, &Cut { images: 1, rows, blocks }).into_par_iter().for_each(|item| layer.some_rows(item));
    }
}

/// One run of a layer.
struct Layer<'a> {
    conv: &'a GatheredConv,
    inputs: &'a [Map],
    /// Rows of an item.
    rows: usize,
    /// Of the output, in pixels.
    height: usize,
    width: usize,
    /// Lines from a row of the output to the next.
    stride: usize,
    scratch: &'a Scratch,
}

impl Layer<'_> {
    fn some_rows(&self, mut item: Item<'_>) {
        let Self { conv, width, .. } = *self;
        let first = item.band * self.rows;
        let rows = self.rows.min(self.height - first);
        let (count, panel_lines) = (rows * width, conv.kernel.width());
        let depth = conv.size * conv.size * conv.inputs;
        self.scratch.with(|[points, sums]| {
            let points = points.lines(depth * count);
            let sums = sums.lines(panel_lines * count);
            self.gather(&self.inputs[item.images.start], first, rows, points);
            let panel = |number: usize| {
                let size = depth * LINE * panel_lines;
                conv.panels.get(number * size..(number + 1) * size)
            };
            for (at, targets) in item.targets.chunks_mut(panel_lines).enumerate() {
                let number = item.block / panel_lines + at;
                let Some(weights) = panel(number) else { return };
                let next = panel(number + 1).unwrap_or(weights);
                conv.kernel.multiply(points, count, count, weights, sums, next);
                for (half, target) in targets.iter_mut().enumerate() {
                    let bias = &conv.bias[number * panel_lines + half];
                    for (y, sums) in sums.chunks_exact(width * panel_lines).enumerate() {
                        let row = &mut target[y * self.stride + 1..][..width];
                        conv.ending.write(sums, (half, panel_lines), bias, row);
                    }
                }
            }
        });
    }

    /// Lays out what the pixels of some rows need: `[size²][lines of inputs][pixels]` lines.
    fn gather(&self, input: &Map, first: usize, rows: usize, points: &mut [Line]) {
        let Self { conv, width, .. } = *self;
        for (at, points) in points.chunks_exact_mut(rows * width).enumerate() {
            let (block, place) = (at % conv.inputs, at / conv.inputs);
            let (lines, stride) = (input.block(block), input.stride());
            // One pixel of border is there; a 1x1 convolution begins behind it.
            let (dy, dx) = (place / conv.size + 1 - conv.size / 2, place % conv.size + 1 - conv.size / 2);
            for (y, points) in points.chunks_exact_mut(width).enumerate() {
                let row = &lines[((first + y) * conv.stride + dy) * stride + dx..];
                if conv.stride == 1 {
                    points.copy_from_slice(&row[..width]);
                } else {
                    let pixels = row.iter().step_by(conv.stride);
                    points.iter_mut().zip(pixels).for_each(|(point, pixel)| *point = *pixel);
                }
            }
        }
    }
}
