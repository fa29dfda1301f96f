//! Every instruction set that this machine has, on the same generated values, against sums in f64.

use super::winograd::{A, B, PATCH, TILE, VALUES};
use super::*;

/// Numbers between -1 and 1 that are the same in every run.
pub(crate) fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

fn lines(count: usize, seed: u64) -> Vec<Line> {
    let mut next = numbers(seed);
    (0..count).map(|_| Line(std::array::from_fn(|_| next()))).collect()
}

/// What was never written.
const UNTOUCHED: Line = Line([-77.0; LINE]);

#[test]
fn scalar_is_always_there_and_names_choose() {
    let kernels = available();
    assert_eq!(kernels.last().map(|kernel| kernel.name()), Some("scalar"));
    assert_eq!(choose(&kernels, Some(" SCALAR ")).name(), "scalar");
    assert_eq!(choose(&kernels, Some("abacus")).name(), kernels[0].name());
    assert_eq!(choose(&kernels, None).name(), kernels[0].name());
}

#[test]
fn products_equal_the_exact_sums() {
    for kernel in available() {
        for (count, blocks) in (1..=27).flat_map(|count| [1, 2, 5].map(|blocks| (count, blocks))) {
            let (width, stride) = (kernel.width(), count + 3);
            let points = lines(blocks * stride, 1);
            let panel = lines(blocks * LINE * width, 2);
            let mut sums = vec![UNTOUCHED; count * width + 1];
            kernel.multiply(&points, count, stride, &panel, &mut sums, &panel);
            assert_eq!(sums[count * width], UNTOUCHED, "{kernel:?} {count} {blocks}");
            for (point, output) in (0..count).flat_map(|point| (0..width * LINE).map(move |o| (point, o))) {
                let terms = (0..blocks * LINE).map(|value| {
                    let point = points[value / LINE * stride + point].0[value % LINE];
                    let weight = panel[value * width + output / LINE].0[output % LINE];
                    f64::from(point) * f64::from(weight)
                });
                let (sum, size) = terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
                let found = f64::from(sums[point * width + output / LINE].0[output % LINE]);
                let bound = (blocks * LINE + 2) as f64 * 2f64.powi(-24) * size;
                assert!((found - sum).abs() <= bound, "{kernel:?} {count} {blocks} {point} {output}");
            }
        }
    }
}

/// The polynomials that vanish at all points but one (at all, for infinity), lowest power first: the rows of Bᵀ.
fn patch_transform() -> [[f64; PATCH]; PATCH] {
    let points = [0.0, A, -A, B, -B];
    std::array::from_fn(|skipped| {
        let mut polynomial = [0.0; PATCH];
        polynomial[0] = 1.0;
        for (at, point) in points.into_iter().enumerate() {
            if at != skipped {
                for power in (0..PATCH).rev() {
                    let below = if power > 0 { polynomial[power - 1] } else { 0.0 };
                    polynomial[power] = below - point * polynomial[power];
                }
            }
        }
        polynomial
    })
}

/// Powers of the points: the rows of Aᵀ.
fn output_transform() -> [[f64; PATCH]; TILE] {
    std::array::from_fn(|power| {
        let at = |point: f64| point.powi(power as i32);
        [at(0.0), at(A), at(-A), at(B), at(-B), if power == TILE - 1 { 1.0 } else { 0.0 }]
    })
}

/// `matrix · values · matrixᵀ` for a square of 6x6 values.
fn both_sides<const N: usize>(
    matrix: &[[f64; PATCH]; N],
    value: impl Fn(usize, usize) -> f64,
) -> [[f64; N]; N] {
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let term = |(y, x): (usize, usize)| matrix[i][y] * value(y, x) * matrix[j][x];
            (0..PATCH).flat_map(|y| (0..PATCH).map(move |x| (y, x))).map(term).sum()
        })
    })
}

#[test]
fn patches_are_transformed_as_the_definition_says() {
    for kernel in available() {
        for count in [1, 2, 7] {
            let (row, stride) = (TILE * count + 5, count + 1);
            let from = lines(5 * row + TILE * count + 2, 3);
            let mut to = vec![UNTOUCHED; VALUES * stride];
            kernel.transform_patches(&from, row, count, &mut to, stride);
            for (tile, channel) in (0..count).flat_map(|tile| (0..LINE).map(move |c| (tile, c))) {
                let input = |y: usize, x: usize| f64::from(from[y * row + tile * TILE + x].0[channel]);
                let expected = both_sides(&patch_transform(), input);
                for value in 0..VALUES {
                    let found = f64::from(to[value * stride + tile].0[channel]);
                    let expected = expected[value / PATCH][value % PATCH];
                    assert!((found - expected).abs() < 1e-5, "{kernel:?} {count} {tile} {value}");
                }
            }
            assert!((0..VALUES).all(|value| to[value * stride + count] == UNTOUCHED), "{kernel:?} {count}");
        }
    }
}

#[test]
fn tiles_are_finished_as_the_definition_says() {
    for kernel in available() {
        for (rows, columns, pool) in
            [(4, 12, false), (9, 12, false), (1, 9, false), (3, 10, false), (2, 6, true), (1, 5, true)]
        {
            let (count, width) = (3, kernel.width());
            let stride = count * width + 1;
            let (products, bias) = (lines(VALUES * stride, 4), lines(1, 5)[0]);
            let side = if pool { TILE / 2 } else { TILE };
            let mut pixels = vec![UNTOUCHED; side * 20];
            let target = &mut Target { pixels: &mut pixels, stride: 20, rows, columns, pool };
            kernel.finish_tiles(&products, stride, count, &bias, target);
            for (at, pixel) in pixels.iter().enumerate() {
                let (y, x) = (at / 20, at % 20);
                if y >= rows || x >= columns {
                    assert_eq!(pixel, &UNTOUCHED, "{kernel:?} {rows} {columns} {pool}: {y} {x}");
                    continue;
                }
                for channel in 0..LINE {
                    let product = |i: usize, j: usize| {
                        f64::from(products[(i * PATCH + j) * stride + x / side * width].0[channel])
                    };
                    let tile = both_sides(&output_transform(), product);
                    let output = |y: usize, x: usize| (tile[y][x] + f64::from(bias.0[channel])).max(0.0);
                    let x = x % side;
                    let expected = if pool {
                        [(0, 0), (0, 1), (1, 0), (1, 1)]
                            .map(|(dy, dx)| output(2 * y + dy, 2 * x + dx))
                            .into_iter()
                            .fold(0.0, f64::max)
                    } else {
                        output(y, x)
                    };
                    let found = f64::from(pixel.0[channel]);
                    assert!((found - expected).abs() < 2e-5, "{kernel:?} {pool} {y} {x}: {found} {expected}");
                }
            }
        }
    }
}

#[test]
fn pooled_tiles_keep_what_is_no_number() {
    for kernel in available() {
        // Of 36 values, the first goes into the first output of a tile only, the last into the last.
        for (value, corner) in [(0, 0), (VALUES - 1, 21)] {
            let mut products = lines(VALUES * kernel.width(), 4);
            products[value * kernel.width()] = Line([f32::NAN; LINE]);
            let mut pixels = vec![UNTOUCHED; 40];
            let target = &mut Target { pixels: &mut pixels, stride: 20, rows: 2, columns: 2, pool: true };
            kernel.finish_tiles(&products, kernel.width(), 1, &Line::ZERO, target);
            for at in [0, 1, 20, 21] {
                let nan = pixels[at].0.iter().all(|value| value.is_nan());
                assert_eq!(nan, at == corner, "{kernel:?}: {value}, {at}");
            }
        }
    }
}

#[test]
fn slices_that_are_too_short_are_refused() {
    let refused = |work: &dyn Fn()| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).expect_err("a panic, not a wild read");
    };
    for kernel in available() {
        let width = kernel.width();
        let many = lines(2000, 6);
        let sums = || vec![Line::ZERO; 4 * width];
        refused(&|| kernel.multiply(&many[..3], 4, 4, &many[..LINE * width], &mut sums(), &many));
        refused(&|| kernel.multiply(&many[..7], 4, 4, &many[..2 * LINE * width], &mut sums(), &many));
        refused(&|| kernel.multiply(&many, 5, 5, &many[..LINE * width], &mut sums(), &many));
        refused(&|| kernel.multiply(&many, 4, 4, &many[..LINE * width - 1], &mut sums(), &many));
        refused(&|| kernel.multiply(&many, 0, 4, &many[..LINE * width], &mut sums(), &many));
        refused(&|| kernel.transform_patches(&many[..35], 6, 1, &mut vec![Line::ZERO; VALUES], 1));
        refused(&|| kernel.transform_patches(&many[..36], 6, 1, &mut vec![Line::ZERO; VALUES - 1], 1));
        let finish = |products: usize, pixels: usize, rows, columns| {
            let pixels = &mut vec![Line::ZERO; pixels][..];
            let mut target = Target { pixels, stride: 4, rows, columns, pool: false };
            kernel.finish_tiles(&many[..products], width, 1, &many[0], &mut target);
        };
        finish(36 * width, 16, 4, 4);
        refused(&|| finish(35 * width, 16, 4, 4));
        refused(&|| finish(36 * width, 15, 4, 4));
        refused(&|| finish(36 * width, 16, 0, 4));
        refused(&|| finish(36 * width, 16, 4, 0));
    }
}

#[test]
fn spinning_counts_its_operations() {
    for kernel in available() {
        assert_eq!(kernel.spin(1000), (1000 * product::CHAINS * kernel.lanes * 2) as f64);
    }
}
