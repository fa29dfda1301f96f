//! Tiles with AVX-512: twelve rows by 16 queries are twelve sums in twelve registers; a row's value is broadcast from
//! memory by the FMA itself.

use std::arch::x86_64::*;

use super::{Best, Loops, WIDTH};

/// Rows of a full tile: enough independent FMAs to hide the latency of one.
const ROWS: usize = 12;

pub(in super::super) static LOOPS: Loops = Loops { above, best };

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "avx512f")]
unsafe fn above(
    panel: &[f32],
    rows: &[f32],
    scale: &[f32],
    shift: &[f32],
    bounds: &[f32; WIDTH],
    masks: &mut [u16],
) {
    // SAFETY: 16 bounds are one register.
    let bounds = unsafe { _mm512_loadu_ps(bounds.as_ptr()) };
    let finish = |r: usize, sums: __m512| {
        let value = _mm512_fmadd_ps(sums, _mm512_set1_ps(scale[r]), _mm512_set1_ps(shift[r]));
        masks[r] = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(value, bounds);
    };
    // SAFETY: as the caller says.
    unsafe { each_row(panel, rows, finish) };
}

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "avx512f")]
unsafe fn best(panel: &[f32], rows: &[f32], shift: &[f32], first: u32, best: &mut Best) {
    // SAFETY: 16 values and 16 numbers are one register each.
    let (mut value, mut row) =
        unsafe { (_mm512_loadu_ps(best.value.as_ptr()), _mm512_loadu_si512(best.row.as_ptr().cast())) };
    let finish = |r: usize, sums: __m512| {
        let found = _mm512_add_ps(sums, _mm512_set1_ps(shift[r]));
        let better = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(found, value);
        value = _mm512_mask_mov_ps(value, better, found);
        row = _mm512_mask_set1_epi32(row, better, (first + r as u32) as i32);
    };
    // SAFETY: as the caller says.
    unsafe { each_row(panel, rows, finish) };
    // SAFETY: 16 values and 16 numbers are one register each.
    unsafe {
        _mm512_storeu_ps(best.value.as_mut_ptr(), value);
        _mm512_storeu_si512(best.row.as_mut_ptr().cast(), row);
    }
}

/// Hands the products of each row to `finish`.
///
/// # Safety
/// The processor has AVX-512F; `rows` holds whole rows of the panel's dimension.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn each_row(panel: &[f32], rows: &[f32], mut finish: impl FnMut(usize, __m512)) {
    let dim = panel.len() / WIDTH;
    let count = rows.len() / dim;
    let mut r = 0;
    while r + ROWS <= count {
        // SAFETY: twelve whole rows start there.
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
#[target_feature(enable = "avx512f")]
unsafe fn products<const R: usize>(panel: &[f32], rows: *const f32, dim: usize) -> [__m512; R] {
    let mut sums = [_mm512_setzero_ps(); R];
    for d in 0..dim {
        // SAFETY: d is below dim.
        let queries = unsafe { _mm512_loadu_ps(panel.as_ptr().add(d * WIDTH)) };
        for (r, sum) in sums.iter_mut().enumerate() {
            // SAFETY: r is below R and d below dim.
            let x = _mm512_set1_ps(unsafe { rows.add(r * dim + d).read() });
            *sum = _mm512_fmadd_ps(queries, x, *sum);
        }
    }
    sums
}
