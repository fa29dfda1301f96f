//! ResNet's pool behind its first layer. Those of VGG are part of the convolutions before them.

use rayon::prelude::*;

use super::Map;
use super::item::{Cut, cut};

/// Rows of an item.
const ROWS: usize = 8;

/// The largest of each 3x3 at every second pixel, one pixel beyond the edge counted as zero: `output` has half the sides.
/// Values are from 0 on, as a ReLU leaves them, or NaN, which stays one.
pub(crate) fn max_pool_3x3(input: &Map, output: &mut Map) {
    let (height, width, stride) = (output.height(), output.width(), output.stride());
    cut(std::slice::from_mut(output), &Cut { images: 1, rows: ROWS, blocks: 1 }).into_par_iter().for_each(
        |mut item| {
            let (lines, first) = (input.block(item.block), item.band * ROWS);
            for y in 0..ROWS.min(height - first) {
                for x in 0..width {
                    let corner = 2 * (first + y) * input.stride() + 2 * x;
                    let mut largest = lines[corner];
                    for (dy, dx) in (0..3).flat_map(|dy| (0..3).map(move |dx| (dy, dx))) {
                        let near = lines[corner + dy * input.stride() + dx];
                        for (largest, near) in largest.0.iter_mut().zip(near.0) {
                            *largest = if near > *largest || near.is_nan() { near } else { *largest };
                        }
                    }
                    item.targets[0][y * stride + x + 1] = largest;
                }
            }
        },
    );
}
