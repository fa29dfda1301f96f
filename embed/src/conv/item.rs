//! A piece of a layer's work: some channels of some rows of some pictures, with the memory that it alone writes.

use std::ops::Range;

use super::map::Map;
use crate::kernel::Line;

/// How a layer's output is cut.
pub(super) struct Cut {
    /// Pictures of an item. More than one only where an item has all rows.
    pub(super) images: usize,
    /// Rows of an item.
    pub(super) rows: usize,
    /// Lines of channels of an item.
    pub(super) blocks: usize,
}

/// Rows and channels of pictures that one thread writes.
pub(super) struct Item<'a> {
    /// Which pictures.
    pub(super) images: Range<usize>,
    /// Number of the band of rows.
    pub(super) band: usize,
    /// The first line of channels.
    pub(super) block: usize,
    /// For each picture, then each line of channels, the rows: see [`Map::bands`].
    pub(super) targets: Vec<&'a mut [Line]>,
}

/// Cuts the outputs; every row of every channel is in exactly one item.
pub(super) fn cut<'a>(outputs: &'a mut [Map], cut: &Cut) -> Vec<Item<'a>> {
    let mut items = Vec::new();
    for (group, maps) in outputs.chunks_mut(cut.images).enumerate() {
        let first = group * cut.images;
        let start = items.len();
        for (at, map) in maps.iter_mut().enumerate() {
            for (block, bands) in map.bands(cut.rows).enumerate() {
                let count = bands.len();
                for (band, target) in bands.into_iter().enumerate() {
                    // Items of a group lie by channels, then by bands.
                    let number = start + block / cut.blocks * count + band;
                    if number == items.len() {
                        let block = block / cut.blocks * cut.blocks;
                        items.push(Item { images: first..first, band, block, targets: Vec::new() });
                    }
                    items[number].images.end = first + at + 1;
                    items[number].targets.push(target);
                }
            }
        }
    }
    items
}
