//! Fully connected layers with ReLU. All pictures of a call go through the weights together, because reading those takes
//! the time: VGG16's first such layer has 411 MB of them.

use rayon::prelude::*;

use super::{Ending, Map, lines};
use crate::kernel::{Kernel, LINE, Line};

/// A fully connected layer with ReLU, its weights packed.
pub(crate) struct Dense {
    kernel: &'static Kernel,
    /// `[panels][inputs][panel]`, the inputs in the order of [`Rows::flatten`].
    panels: Vec<Line>,
    bias: Vec<Line>,
    /// Number of values in.
    inputs: usize,
}

/// Rows of values of some pictures: line `l` of picture `p` is `lines[l * pictures + p]`.
pub(crate) struct Rows {
    lines: Vec<Line>,
    pictures: usize,
}

impl Dense {
    /// Packs `[outputs, inputs]` weights. The inputs are channels of `area` positions each, as PyTorch flattens maps;
    /// channels are a multiple of 16, outputs of 32.
    pub(crate) fn new(kernel: &'static Kernel, weights: &[f32], bias: &[f32], area: usize) -> Self {
        let (width, inputs) = (kernel.width(), weights.len() / bias.len());
        let mut panels = vec![Line::ZERO; weights.len() / LINE];
        panels.par_chunks_exact_mut(inputs * width).enumerate().for_each(|(number, panel)| {
            for (half, lane) in (0..width).flat_map(|half| (0..LINE).map(move |lane| (half, lane))) {
                let output = (number * width + half) * LINE + lane;
                for (at, &weight) in weights[output * inputs..][..inputs].iter().enumerate() {
                    let (channel, position) = (at / area, at % area);
                    let input = (channel / LINE * area + position) * LINE + channel % LINE;
                    panel[input * width + half].0[lane] = weight;
                }
            }
        });
        Self { kernel, panels, bias: lines(bias), inputs }
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.panels.as_slice())
    }

    /// Floating-point operations of one picture.
    pub(crate) fn operations(&self) -> f64 {
        (2 * self.panels.len() * LINE) as f64
    }

    /// The outputs of each picture.
    pub(crate) fn forward(&self, input: &Rows) -> Rows {
        let (width, pictures) = (self.kernel.width(), input.pictures);
        let mut lines = vec![Line::ZERO; self.bias.len() * pictures];
        let panel = |number: usize| {
            let size = self.inputs * width;
            self.panels.get(number * size..(number + 1) * size)
        };
        lines.par_chunks_exact_mut(pictures * width).enumerate().for_each(|(number, outputs)| {
            let Some(weights) = panel(number) else { return };
            let next = panel(number + 1).unwrap_or(weights);
            let mut sums = vec![Line::ZERO; outputs.len()];
            self.kernel.multiply(&input.lines, pictures, pictures, weights, &mut sums, next);
            for (half, outputs) in outputs.chunks_exact_mut(pictures).enumerate() {
                Ending::Relu.write(&sums, (half, width), &self.bias[number * width + half], outputs);
            }
        });
        Rows { lines, pictures }
    }
}

impl Rows {
    /// The values of maps of one size, at least one.
    pub(crate) fn flatten(maps: &[Map]) -> Self {
        let mut lines = Vec::new();
        for block in 0..maps.first().map_or(0, Map::blocks) {
            let (height, width) = (maps[0].height(), maps[0].width());
            for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
                lines.extend(maps.iter().map(|map| map.block(block)[(y + 1) * map.stride() + x + 1]));
            }
        }
        Self { lines, pictures: maps.len() }
    }

    /// One row of values for each picture.
    pub(crate) fn values(&self) -> impl Iterator<Item = Vec<f32>> {
        (0..self.pictures).map(|picture| {
            self.lines.iter().skip(picture).step_by(self.pictures).flat_map(|line| line.0).collect()
        })
    }
}
