//! Tiles with NEON: four rows by 16 queries are sixteen sums in sixteen of thirty-two registers.

use std::arch::aarch64::*;

use super::{Best, Loops, WIDTH};

/// Rows of a full tile.
const ROWS: usize = 4;
/// Registers of 16 floats.
const PARTS: usize = 4;

/// Products of one row with the queries of a panel.
type Sums = [float32x4_t; PARTS];

pub(in super::super) static LOOPS: Loops = Loops { above, best };

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "neon")]
unsafe fn above(
    panel: &[f32],
    rows: &[f32],
    scale: &[f32],
    shift: &[f32],
    bounds: &[f32; WIDTH],
    masks: &mut [u16],
) {
    let finish = |r: usize, sums: Sums| {
        masks[r] = 0;
        for (lane, (sum, &bound)) in spread(sums).into_iter().zip(bounds).enumerate() {
            let below = sum.mul_add(scale[r], shift[r]) < bound;
            masks[r] |= u16::from(!below) << lane;
        }
    };
    // SAFETY: as the caller says.
    unsafe { each_row(panel, rows, finish) };
}

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "neon")]
unsafe fn best(panel: &[f32], rows: &[f32], shift: &[f32], first: u32, best: &mut Best) {
    let finish = |r: usize, sums: Sums| {
        for (lane, sum) in spread(sums).into_iter().enumerate() {
            if sum + shift[r] > best.value[lane] {
                best.value[lane] = sum + shift[r];
                best.row[lane] = first + r as u32;
            }
        }
    };
    // SAFETY: as the caller says.
    unsafe { each_row(panel, rows, finish) };
}

#[inline]
#[target_feature(enable = "neon")]
fn spread(sums: Sums) -> [f32; WIDTH] {
    let mut values = [0f32; WIDTH];
    for (part, sum) in sums.into_iter().enumerate() {
        // SAFETY: the four parts are the 16 values.
        unsafe { vst1q_f32(values.as_mut_ptr().add(4 * part), sum) };
    }
    values
}

/// Hands the products of each row to `finish`.
///
/// # Safety
/// The processor has NEON; `rows` holds whole rows of the panel's dimension.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn each_row(panel: &[f32], rows: &[f32], mut finish: impl FnMut(usize, Sums)) {
    let dim = panel.len() / WIDTH;
    let count = rows.len() / dim;
    let mut r = 0;
    while r + ROWS <= count {
        // SAFETY: four whole rows start there.
        let sums = unsafe { products::<ROWS>(panel, rows.as_ptr().add(r * dim), dim) };
        for (i, sums) in sums.into_iter().enumerate() {
            finish(r + i, sums);
        }
        r += ROWS;
    }
    while r < count {
        // SAFETY: a whole row starts there.
        let [sums] = unsafe { products::<1>(panel, rows.as_ptr().add(r * dim), dim) };
        finish(r, sums);
        r += 1;
    }
}

/// # Safety
/// `R` rows of `dim` floats can be read from `rows`, and `dim` times 16 from the panel.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn products<const R: usize>(panel: &[f32], rows: *const f32, dim: usize) -> [Sums; R] {
    let mut sums = [[vdupq_n_f32(0.0); PARTS]; R];
    for d in 0..dim {
        // SAFETY: d is below dim.
        let queries: Sums = unsafe { [0, 4, 8, 12].map(|at| vld1q_f32(panel.as_ptr().add(d * WIDTH + at))) };
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: r is below R and d below dim.
            let x = unsafe { rows.add(r * dim + d).read() };
            for part in 0..PARTS {
                sums[part] = vfmaq_n_f32(sums[part], queries[part], x);
            }
        }
    }
    sums
}
