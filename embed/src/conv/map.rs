//! Activations between layers: 16 channels of a pixel lie together in a [`Line`], pixels of a row follow each other,
//! then rows, then the next 16 channels. A border of zeros around the picture is the convolution's padding, so that no
//! loop asks where the edge is.

use crate::kernel::winograd::TILE;
use crate::kernel::{LINE, Line};

/// One picture of any number of channels.
pub(crate) struct Map {
    lines: Vec<Line>,
    blocks: usize,
    height: usize,
    width: usize,
}

/// The size of a picture, and the lines from one of its rows to the next.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) stride: usize,
}

impl Map {
    /// Zeros. `channels` is rounded up to a multiple of 16; no side may be 0.
    pub(crate) fn new(channels: usize, height: usize, width: usize) -> Self {
        let mut map = Self { lines: Vec::new(), blocks: channels.div_ceil(LINE), height, width };
        map.lines = vec![Line::ZERO; map.blocks * map.plane()];
        map
    }

    /// Lines of channels.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Rows of the picture without its border.
    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// Columns of the picture without its border.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn shape(&self) -> Shape {
        Shape { height: self.height, width: self.width, stride: self.stride() }
    }

    /// Tiles in a column and in a row of tiles.
    pub(crate) fn tiles(&self) -> (usize, usize) {
        (self.height.div_ceil(TILE), self.width.div_ceil(TILE))
    }

    /// Lines from a row to the next: whole tiles and the border.
    pub(crate) fn stride(&self) -> usize {
        self.width.next_multiple_of(TILE) + 2
    }

    /// Lines of 16 channels, border included.
    pub(crate) fn plane(&self) -> usize {
        (self.height.next_multiple_of(TILE) + 2) * self.stride()
    }

    /// 16 channels with their border: pixel (y, x) is line `(y + 1) * stride + x + 1`.
    pub(crate) fn block(&self, block: usize) -> &[Line] {
        &self.lines[block * self.plane()..][..self.plane()]
    }

    /// For each 16 channels the picture in bands of `rows` rows, to be written by different threads: each begins with
    /// the border left of its first pixel. Whoever writes leaves the border as it is.
    pub(crate) fn bands(&mut self, rows: usize) -> impl Iterator<Item = Vec<&mut [Line]>> {
        let (plane, stride) = (self.plane(), self.stride());
        let bands = self.height.div_ceil(rows);
        self.lines
            .chunks_exact_mut(plane)
            .map(move |plane| plane[stride..].chunks_mut(rows * stride).take(bands).collect())
    }

    /// The picture without its border as `[channels, height, width]`.
    pub(crate) fn planes(&self) -> Vec<f32> {
        let mut planes = Vec::with_capacity(self.blocks * LINE * self.height * self.width);
        for block in 0..self.blocks {
            let lines = self.block(block);
            for channel in 0..LINE {
                for y in 0..self.height {
                    let row = &lines[(y + 1) * self.stride() + 1..][..self.width];
                    planes.extend(row.iter().map(|line| line.0[channel]));
                }
            }
        }
        planes
    }
}

#[cfg(test)]
impl Map {
    /// From `[channels, height, width]`.
    pub(super) fn from_planes(channels: usize, height: usize, width: usize, planes: &[f32]) -> Self {
        let mut map = Self::new(channels, height, width);
        let (plane, stride) = (map.plane(), map.stride());
        for (at, &value) in planes.iter().enumerate() {
            let (channel, y, x) = (at / width / height, at / width % height, at % width);
            map.lines[channel / LINE * plane + (y + 1) * stride + x + 1].0[channel % LINE] = value;
        }
        map
    }

    /// Whether nobody has written outside of the picture.
    pub(super) fn border_is_zero(&self) -> bool {
        self.lines.iter().enumerate().all(|(at, line)| {
            let (y, x) = (at % self.plane() / self.stride(), at % self.stride());
            let inside = (1..=self.height).contains(&y) && (1..=self.width).contains(&x);
            inside || *line == Line::ZERO
        })
    }
}
