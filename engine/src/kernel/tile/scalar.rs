//! Tiles without any instruction set of their own.

use super::{Best, Loops, WIDTH};

pub(in super::super) static LOOPS: Loops = Loops { above, best };

fn products(panel: &[f32], row: &[f32]) -> [f32; WIDTH] {
    let mut sums = [0f32; WIDTH];
    for (values, &x) in panel.chunks_exact(WIDTH).zip(row) {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum += value * x;
        }
    }
    sums
}

fn above(
    panel: &[f32],
    rows: &[f32],
    scale: &[f32],
    shift: &[f32],
    bounds: &[f32; WIDTH],
    masks: &mut [u16],
) {
    let dim = panel.len() / WIDTH;
    for (r, mask) in masks.iter_mut().enumerate() {
        let sums = products(panel, &rows[r * dim..(r + 1) * dim]);
        *mask = 0;
        for (lane, (&sum, &bound)) in sums.iter().zip(bounds).enumerate() {
            let below = sum * scale[r] + shift[r] < bound;
            *mask |= u16::from(!below) << lane;
        }
    }
}

fn best(panel: &[f32], rows: &[f32], shift: &[f32], first: u32, best: &mut Best) {
    let dim = panel.len() / WIDTH;
    for (r, &shift) in shift.iter().enumerate() {
        let sums = products(panel, &rows[r * dim..(r + 1) * dim]);
        for (lane, &sum) in sums.iter().enumerate() {
            if sum + shift > best.value[lane] {
                best.value[lane] = sum + shift;
                best.row[lane] = first + r as u32;
            }
        }
    }
}
