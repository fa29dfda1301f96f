//! 3x3 convolutions by Winograd's F(4x4, 3x3), see [`crate::kernel::winograd`]. Weights are transformed and packed once.
//! Two ways to run, which differ only in who transforms the inputs:
//!
//! - few channels, many tiles (the first layers): an item is a row of tiles; it transforms its own patches in pieces that
//!   stay in a core's cache and goes through all weights for each piece;
//! - many channels, few tiles: all patches are transformed first, shared by items that each go through some of the
//!   weights once for all tiles.

use std::ops::Range;

use rayon::prelude::*;

use super::Kernel2d;
use super::item::{Cut, Item, cut};
use super::map::{Map, Shape};
use super::scratch::{Buffer, Scratch};
use crate::kernel::winograd::{PATCH, TILE, VALUES, kernel_transform};
use crate::kernel::{Kernel, LINE, Line, Target};

/// Up to so many lines of input channels a row of tiles transforms its own patches.
const ALONE: usize = 8;
/// Lines of transformed patches that a piece of such a row may take: a quarter of a megabyte.
const PIECE: usize = 4096;
/// Tiles that go through the same weights at once: their patches, for one of the 36 values, stay in a core's cache.
const TILES: usize = 128;
/// Lines of products that an item keeps: two megabytes. Not in a core's own cache, but every panel more saves one reading
/// of all the patches: a quarter of a megabyte was measured to be slower by a third.
const PRODUCTS: usize = 32768;

/// A 3x3 convolution with ReLU and perhaps a 2x2 max pool, its weights transformed and packed.
pub(crate) struct WinogradConv {
    kernel: &'static Kernel,
    /// `[panels][36][inputs][panel]`.
    panels: Vec<Line>,
    bias: Vec<Line>,
    /// Lines of input channels.
    inputs: usize,
    pool: bool,
}

impl WinogradConv {
    /// Transforms and packs the weights on all threads. Inputs are a multiple of 16, outputs of 32.
    pub(crate) fn new(kernel: &'static Kernel, conv: &Kernel2d<'_>, pool: bool) -> Self {
        let width = kernel.width();
        let panel = VALUES * conv.inputs * width;
        let mut panels = vec![Line::ZERO; conv.outputs / (LINE * width) * panel];
        panels.par_chunks_exact_mut(panel).enumerate().for_each(|(number, panel)| {
            for input in 0..conv.inputs {
                for half in 0..width {
                    let values = transform_kernels(conv, (number * width + half) * LINE, input);
                    for (value, line) in values.into_iter().enumerate() {
                        panel[(value * conv.inputs + input) * width + half] = line;
                    }
                }
            }
        });
        Self { kernel, panels, bias: conv.bias_lines(), inputs: conv.inputs / LINE, pool }
    }

    /// Bytes of the packed weights.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.panels.as_slice())
    }

    /// Floating-point operations in the products of one picture.
    pub(crate) fn multiplied(&self, height: usize, width: usize) -> f64 {
        let tiles = height.div_ceil(TILE) * width.div_ceil(TILE);
        (2 * VALUES * tiles * self.inputs * self.bias.len() * LINE * LINE) as f64
    }

    /// An output for each input: of the same size, or of half of it after a pool, for which sides must be even.
    pub(crate) fn forward(
        &self,
        inputs: &[Map],
        outputs: &mut [Map],
        shared: &mut Buffer,
        scratch: &Scratch,
    ) {
        let (Some(input), Some(output)) = (inputs.first(), outputs.first()) else { return };
        let layer = Layer { conv: self, inputs, output: output.shape(), tiles: input.tiles(), scratch };
        if self.inputs <= ALONE {
            let all = Cut { images: 1, rows: self.side(), blocks: self.bias.len() };
            cut(outputs, &all).into_par_iter().for_each(|item| layer.row_of_tiles(item));
            return;
        }
        let cut_by = self.cut_shared(inputs.len(), layer.tiles);
        let patches = layer.transform_all(shared);
        let items = cut(outputs, &cut_by);
        items.into_par_iter().for_each(|item| layer.some_channels(item, cut_by.rows / self.side(), patches));
    }

    /// Pixels of a tile after the pool.
    fn side(&self) -> usize {
        if self.pool { TILE / 2 } else { TILE }
    }

    /// The weights for one of the 36 values.
    fn panel(&self, number: usize, value: usize) -> &[Line] {
        let size = self.inputs * LINE * self.kernel.width();
        &self.panels[(number * VALUES + value) * size..][..size]
    }

    /// Items of up to [`TILES`] tiles, and of as many channels as [`PRODUCTS`] allows and leaves work for every thread.
    fn cut_shared(&self, images: usize, (rows, columns): (usize, usize)) -> Cut {
        let width = self.kernel.width();
        let item_rows = rows.div_ceil((rows * columns).div_ceil(TILES));
        let whole = if item_rows == rows { (TILES / (rows * columns)).clamp(1, images) } else { 1 };
        let item_images = images.div_ceil(images.div_ceil(whole));
        let items = rows.div_ceil(item_rows) * images.div_ceil(item_images);
        let panels = self.bias.len() / width;
        let fitting = PRODUCTS / (VALUES * width * stride_of(item_rows * columns * item_images));
        let enough = panels * items / (2 * rayon::current_num_threads());
        let together = fitting.min(enough).clamp(1, panels);
        Cut { images: item_images, rows: item_rows * self.side(), blocks: together * width }
    }
}

/// One run of a layer.
struct Layer<'a> {
    conv: &'a WinogradConv,
    inputs: &'a [Map],
    output: Shape,
    /// Rows and columns of tiles.
    tiles: (usize, usize),
    scratch: &'a Scratch,
}

/// Transformed patches of some tiles of one picture: `[input blocks][36][stride]` lines.
#[derive(Clone, Copy)]
struct Patches<'a> {
    lines: &'a [Line],
    stride: usize,
    /// The first tile to take and how many.
    first: usize,
    count: usize,
}

/// Tiles of a row that lie side by side: of an item, its row, and the first column and number of tiles.
#[derive(Clone, Copy)]
struct Run {
    row: usize,
    column: usize,
    count: usize,
}

impl Layer<'_> {
    /// Transforms the patches of all tiles: `[images][input blocks][36][stride]` lines.
    fn transform_all<'b>(&self, buffer: &'b mut Buffer) -> &'b [Line] {
        let (blocks, (rows, columns)) = (self.conv.inputs, self.tiles);
        let stride = stride_of(rows * columns);
        let patches = buffer.lines(self.inputs.len() * blocks * VALUES * stride);
        patches.par_chunks_exact_mut(VALUES * stride).enumerate().for_each(|(number, to)| {
            let input = &self.inputs[number / blocks];
            for row in 0..rows {
                let from = &input.block(number % blocks)[row * TILE * input.stride()..];
                let to = &mut to[row * columns..];
                self.conv.kernel.transform_patches(from, input.stride(), columns, to, stride);
            }
        });
        patches
    }

    /// Some channels of the item's tiles, from shared patches.
    fn some_channels(&self, mut item: Item<'_>, item_rows: usize, patches: &[Line]) {
        let (rows, columns) = self.tiles;
        let first_row = item.band * item_rows;
        let item_rows = item_rows.min(rows - first_row);
        let stride = stride_of(rows * columns);
        let parts: Vec<Patches<'_>> = patches
            .chunks_exact(self.conv.inputs * VALUES * stride)
            .take(item.images.end)
            .skip(item.images.start)
            .map(|lines| Patches { lines, stride, first: first_row * columns, count: item_rows * columns })
            .collect();
        let width = self.conv.kernel.width();
        let panels = item.targets.len() / parts.len() / width;
        let first = item.block / width;
        self.scratch.with(|[_, buffer]| {
            let (products, stride) = self.multiply(&parts, first..first + panels, buffer);
            for panel in 0..panels {
                let products = &products[panel * VALUES * stride * width..];
                for tile_row in 0..parts.len() * item_rows {
                    let (image, row) = (tile_row / item_rows, tile_row % item_rows);
                    let targets = &mut item.targets[(image * panels + panel) * width..][..width];
                    let run = Run { row, column: 0, count: columns };
                    let products = &products[tile_row * columns * width..];
                    self.finish(products, stride, (first + panel, first_row), run, targets);
                }
            }
        });
    }

    /// One row of tiles with all channels, patches included.
    fn row_of_tiles(&self, mut item: Item<'_>) {
        let (input, columns, width) =
            (&self.inputs[item.images.start], self.tiles.1, self.conv.kernel.width());
        let pieces = columns.div_ceil((PIECE / (VALUES * self.conv.inputs)).clamp(1, columns));
        let size = columns.div_ceil(pieces);
        self.scratch.with(|[patches, products]| {
            for column in (0..columns).step_by(size) {
                let count = size.min(columns - column);
                let stride = stride_of(count);
                let lines = patches.lines(self.conv.inputs * VALUES * stride);
                for (block, to) in lines.chunks_exact_mut(VALUES * stride).enumerate() {
                    let from = &input.block(block)[item.band * TILE * input.stride() + column * TILE..];
                    self.conv.kernel.transform_patches(from, input.stride(), count, to, stride);
                }
                let part = Patches { lines, stride, first: 0, count };
                for (panel, targets) in item.targets.chunks_mut(width).enumerate() {
                    let (products, stride) = self.multiply(&[part], panel..panel + 1, products);
                    let run = Run { row: 0, column, count };
                    self.finish(products, stride, (panel, item.band), run, targets);
                }
            }
        });
    }

    /// The 36 products of tiles and panels: `[panels][36][stride][panel]` lines and the stride.
    fn multiply<'b>(
        &self,
        parts: &[Patches<'_>],
        panels: Range<usize>,
        buffer: &'b mut Buffer,
    ) -> (&'b [Line], usize) {
        let width = self.conv.kernel.width();
        let stride = stride_of(parts.iter().map(|part| part.count).sum());
        let products = buffer.lines(panels.len() * VALUES * stride * width);
        for value in 0..VALUES {
            for (at, panel) in panels.clone().enumerate() {
                let weights = self.conv.panel(panel, value);
                let (next_panel, next_value) = if panel + 1 < panels.end {
                    (panel + 1, value)
                } else {
                    (panels.start, (value + 1) % VALUES)
                };
                let next = self.conv.panel(next_panel, next_value);
                let mut sums = &mut products[(at * VALUES + value) * stride * width..];
                for part in parts {
                    let points = &part.lines[value * part.stride + part.first..];
                    self.conv.kernel.multiply(points, part.count, VALUES * part.stride, weights, sums, next);
                    sums = &mut sums[part.count * width..];
                }
            }
        }
        (products, stride)
    }

    /// Writes the outputs of a run of tiles for one panel of channels. `first_row` is the item's first row of tiles,
    /// `targets` its lines of channels.
    fn finish(
        &self,
        products: &[Line],
        stride: usize,
        (panel, first_row): (usize, usize),
        run: Run,
        targets: &mut [&mut [Line]],
    ) {
        let (width, side, shape) = (self.conv.kernel.width(), self.conv.side(), self.output);
        for (half, pixels) in targets.iter_mut().enumerate() {
            let mut target = Target {
                // One column of border precedes the first pixel.
                pixels: &mut pixels[run.row * side * shape.stride + run.column * side + 1..],
                stride: shape.stride,
                rows: shape.height - (first_row + run.row) * side,
                columns: shape.width - run.column * side,
                pool: self.conv.pool,
            };
            let bias = &self.conv.bias[panel * width + half];
            self.conv.kernel.finish_tiles(&products[half..], stride * width, run.count, bias, &mut target);
        }
    }
}

/// Lines from one of the 36 values of some tiles to the next. An odd number: with a power of two the values of a tile
/// would share a few sets of the cache and push each other out.
fn stride_of(tiles: usize) -> usize {
    tiles | 1
}

/// The kernels from one input to 16 outputs, transformed: G·g·Gᵀ for each.
fn transform_kernels(conv: &Kernel2d<'_>, output: usize, input: usize) -> [Line; VALUES] {
    let transform = kernel_transform().map(|row| row.map(|value| value as f32));
    let mut places = [Line::ZERO; 9];
    for lane in 0..LINE {
        let kernel = &conv.weights[((output + lane) * conv.inputs + input) * 9..][..9];
        places.iter_mut().zip(kernel).for_each(|(place, &weight)| place.0[lane] = weight);
    }
    let combine = |values: [&Line; 3], factors: [f32; 3]| {
        let mut line = Line::ZERO;
        for lane in 0..LINE {
            line.0[lane] = (0..3).map(|at| values[at].0[lane] * factors[at]).sum();
        }
        line
    };
    let mut half = [Line::ZERO; 3 * PATCH];
    for (y, factors) in transform.into_iter().enumerate() {
        for x in 0..3 {
            half[y * 3 + x] = combine([&places[x], &places[3 + x], &places[6 + x]], factors);
        }
    }
    std::array::from_fn(|value| {
        let row = &half[value / PATCH * 3..];
        combine([&row[0], &row[1], &row[2]], transform[value % PATCH])
    })
}
