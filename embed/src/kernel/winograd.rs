//! The two transforms of Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms for Convolutional
//! Neural Networks", 2015): a patch of 6x6 inputs becomes 36 values, their products with 36 transformed weights become
//! 4x4 outputs. 36 multiplications stand for the 144 of the sum as written.
//!
//! A polynomial of degree 5 is interpolated at 0, ±[`A`], ±[`B`] and infinity. Lavin and Gray take 1 and 2; 2/3 and 3/2
//! lie closer together in size, which halves the rounding error (measured over 256 channels: 1.07e-6 of the outputs'
//! size instead of 2.45e-6), and their product is 1, which saves multiplications.

use super::lanes::Lanes;
use super::{LINE, Line, Sink};

/// Outputs of a tile in each direction.
pub(crate) const TILE: usize = 4;
/// Inputs under a tile in each direction.
pub(crate) const PATCH: usize = 6;
/// Values of a transformed patch.
pub(crate) const VALUES: usize = PATCH * PATCH;

/// The first pair of points.
pub(crate) const A: f64 = 2.0 / 3.0;
/// The second pair of points, 1/A.
pub(crate) const B: f64 = 3.0 / 2.0;

const A1: f32 = A as f32;
const A2: f32 = (A * A) as f32;
const A3: f32 = (A * A * A) as f32;
const B1: f32 = B as f32;
const B2: f32 = (B * B) as f32;
const B3: f32 = (B * B * B) as f32;
const SUM2: f32 = (A * A + B * B) as f32;

/// The 6x3 matrix that transforms a kernel from both sides: row `p` holds 1, p, p² over the product of p's distances to
/// the other points.
pub(crate) fn kernel_transform() -> [[f64; 3]; PATCH] {
    let at = |p: f64, norm: f64| [1.0 / norm, p / norm, p * p / norm];
    let (norm_a, norm_b) = (2.0 * A * A * (A * A - B * B), 2.0 * B * B * (B * B - A * A));
    [at(0.0, 1.0), at(A, norm_a), at(-A, norm_a), at(B, norm_b), at(-B, norm_b), [0.0, 0.0, 1.0]]
}

/// Transforms the patches of `count` tiles that lie side by side, for 16 channels.
///
/// # Safety
/// The processor has `V`'s instruction set; six rows, `row` lines apart, of `4 * count + 2` lines can be read from
/// `from`; `count` lines can be written to each of 36 places `stride` lines apart from `to` on.
#[inline(always)]
pub(super) unsafe fn transform_patches<V: Lanes>(
    from: *const Line,
    row: usize,
    count: usize,
    to: *mut Line,
    stride: usize,
) {
    for tile in 0..count {
        for lane in (0..LINE).step_by(V::WIDTH) {
            // SAFETY: patch and values lie within what the caller allows.
            unsafe {
                let from = from.add(tile * TILE).cast::<f32>().add(lane);
                let to = to.add(tile).cast::<f32>().add(lane);
                let mut columns = [[V::splat(0.0); PATCH]; PATCH];
                for (x, column) in columns.iter_mut().enumerate() {
                    for (y, value) in column.iter_mut().enumerate() {
                        *value = V::load(from.add((y * row + x) * LINE));
                    }
                    *column = interpolate(*column);
                }
                for y in 0..PATCH {
                    for (x, value) in interpolate(across(&columns, y)).into_iter().enumerate() {
                        value.store(to.add((y * PATCH + x) * stride * LINE));
                    }
                }
            }
        }
    }
}

/// Row `y` of what is stored by columns.
#[inline(always)]
fn across<V: Lanes, const N: usize>(columns: &[[V; N]; PATCH], y: usize) -> [V; PATCH] {
    let mut row = [columns[0][y]; PATCH];
    for (value, column) in row.iter_mut().zip(columns) {
        *value = column[y];
    }
    row
}

/// Six values of a signal to six values of its polynomial, Bᵀd.
///
/// # Safety
/// The processor has `V`'s instruction set.
#[inline(always)]
unsafe fn interpolate<V: Lanes>(d: [V; PATCH]) -> [V; PATCH] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (minus_a2, minus_b2, minus_sum2) = (V::splat(-A2), V::splat(-B2), V::splat(-SUM2));
        let even_a = d[2].mul_add(minus_b2, d[4]);
        let odd_a = d[1].mul_add(minus_b2, d[3]);
        let even_b = d[2].mul_add(minus_a2, d[4]);
        let odd_b = d[1].mul_add(minus_a2, d[3]);
        [
            d[2].mul_add(minus_sum2, d[0].add(d[4])),
            odd_a.mul_add(V::splat(A1), even_a),
            odd_a.mul_add(V::splat(-A1), even_a),
            odd_b.mul_add(V::splat(B1), even_b),
            odd_b.mul_add(V::splat(-B1), even_b),
            d[3].mul_add(minus_sum2, d[1].add(d[5])),
        ]
    }
}

/// Six products to four outputs, Aᵀm.
///
/// # Safety
/// The processor has `V`'s instruction set.
#[inline(always)]
unsafe fn evaluate<V: Lanes>(m: [V; PATCH]) -> [V; TILE] {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (sum_a, difference_a) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (sum_b, difference_b) = (m[3].add(m[4]), m[3].sub(m[4]));
        let zero = V::splat(0.0);
        [
            m[0].add(sum_a).add(sum_b),
            difference_a.mul_add(V::splat(A1), difference_b.mul_add(V::splat(B1), zero)),
            sum_a.mul_add(V::splat(A2), sum_b.mul_add(V::splat(B2), zero)),
            difference_a.mul_add(V::splat(A3), difference_b.mul_add(V::splat(B3), m[5])),
        ]
    }
}

/// Turns the products of `count` tiles that lie side by side into outputs of 16 channels: adds the bias, cuts off what
/// is negative, takes the largest of each 2x2 where a pool follows, and writes what lies within the picture.
///
/// # Safety
/// The processor has `V`'s instruction set. A line of each of `count` tiles, `width` lines apart, can be read from each
/// of 36 places `stride` lines apart from `products` on. `sink` is good for what it says.
#[inline(always)]
pub(super) unsafe fn finish_tiles<V: Lanes>(
    products: *const Line,
    width: usize,
    stride: usize,
    count: usize,
    bias: &Line,
    sink: &Sink,
) {
    for tile in 0..count {
        for lane in (0..LINE).step_by(V::WIDTH) {
            // SAFETY: products and pixels lie within what the caller allows.
            unsafe {
                let from = products.add(tile * width).cast::<f32>().add(lane);
                let mut columns = [[V::splat(0.0); TILE]; PATCH];
                for (x, outputs) in columns.iter_mut().enumerate() {
                    let mut column = [V::splat(0.0); PATCH];
                    for (y, value) in column.iter_mut().enumerate() {
                        *value = V::load(from.add((y * PATCH + x) * stride * LINE));
                    }
                    *outputs = evaluate(column);
                }
                let bias = V::load(bias.0.as_ptr().add(lane));
                let mut outputs = [[V::splat(0.0); TILE]; TILE];
                for (y, outputs) in outputs.iter_mut().enumerate() {
                    for (output, value) in outputs.iter_mut().zip(evaluate(across(&columns, y))) {
                        *output = V::splat(0.0).max(value.add(bias));
                    }
                }
                write(&outputs, tile, lane, sink);
            }
        }
    }
}

/// # Safety
/// As [`finish_tiles`].
#[inline(always)]
unsafe fn write<V: Lanes>(outputs: &[[V; TILE]; TILE], tile: usize, lane: usize, sink: &Sink) {
    let side = if sink.pool { TILE / 2 } else { TILE };
    // The last tile of a row may hang over the edge.
    let columns = side.min(sink.columns - tile * side);
    for y in 0..side.min(sink.rows) {
        for x in 0..columns {
            // SAFETY: (y, tile * side + x) lies within the sink's rows and columns.
            unsafe {
                let value = if sink.pool {
                    let [a, b] = [2 * y, 2 * y + 1].map(|y| (outputs[y][2 * x], outputs[y][2 * x + 1]));
                    a.0.max(a.1).max(b.0.max(b.1))
                } else {
                    outputs[y][x]
                };
                value.store(sink.to.add(y * sink.stride + tile * side + x).cast::<f32>().add(lane));
            }
        }
    }
}
