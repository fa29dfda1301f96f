//! Tiles with AVX2 and FMA: six rows by 16 queries are twelve sums in twelve registers.

use std::arch::x86_64::*;

use super::{Best, Loops, WIDTH};

/// Rows of a full tile. Twelve sums, two registers of the panel and one of the row fill fifteen of sixteen registers,
/// and twelve independent FMAs hide the latency of one.
const ROWS: usize = 6;

/// Products of one row with the queries of a panel.
type Sums = [__m256; 2];

pub(in super::super) static LOOPS: Loops = Loops { above, best };

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "avx2,fma")]
unsafe fn above(
    panel: &[f32],
    rows: &[f32],
    scale: &[f32],
    shift: &[f32],
    bounds: &[f32; WIDTH],
    masks: &mut [u16],
) {
    // SAFETY: 16 bounds are two registers.
    let bounds = unsafe { [_mm256_loadu_ps(bounds.as_ptr()), _mm256_loadu_ps(bounds.as_ptr().add(8))] };
    let finish = |r: usize, sums: Sums| {
        let (scale, shift) = (_mm256_set1_ps(scale[r]), _mm256_set1_ps(shift[r]));
        let bits = [0, 1].map(|half| {
            let value = _mm256_fmadd_ps(sums[half], scale, shift);
            _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NLT_UQ>(value, bounds[half]))
        });
        masks[r] = (bits[0] | bits[1] << 8) as u16;
    };
    // SAFETY: as the caller says.
    unsafe { each_row(panel, rows, finish) };
}

/// # Safety
/// See [`Loops`].
#[target_feature(enable = "avx2,fma")]
unsafe fn best(panel: &[f32], rows: &[f32], shift: &[f32], first: u32, best: &mut Best) {
    // SAFETY: 16 values and 16 numbers are two registers each.
    let (mut value, mut row) = unsafe {
        (
            [0, 8].map(|at| _mm256_loadu_ps(best.value.as_ptr().add(at))),
            [0, 8].map(|at| _mm256_loadu_si256(best.row.as_ptr().add(at).cast())),
        )
    };
    let finish = |r: usize, sums: Sums| {
        let shift = _mm256_set1_ps(shift[r]);
        let number = _mm256_set1_epi32((first + r as u32) as i32);
        for half in 0..2 {
            let found = _mm256_add_ps(sums[half], shift);
            let better = _mm256_cmp_ps::<_CMP_GT_OQ>(found, value[half]);
            value[half] = _mm256_blendv_ps(value[half], found, better);
            row[half] = _mm256_blendv_epi8(row[half], number, _mm256_castps_si256(better));
        }
    };
    // SAFETY: as the caller says.
    unsafe { each_row(panel, rows, finish) };
    for half in 0..2 {
        // SAFETY: 16 values and 16 numbers are two registers each.
        unsafe {
            _mm256_storeu_ps(best.value.as_mut_ptr().add(8 * half), value[half]);
            _mm256_storeu_si256(best.row.as_mut_ptr().add(8 * half).cast(), row[half]);
        }
    }
}

/// Hands the products of each row to `finish`.
///
/// # Safety
/// The processor has AVX2 and FMA; `rows` holds whole rows of the panel's dimension.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn each_row(panel: &[f32], rows: &[f32], mut finish: impl FnMut(usize, Sums)) {
    let dim = panel.len() / WIDTH;
    let count = rows.len() / dim;
    let mut r = 0;
    while r + ROWS <= count {
        // SAFETY: six whole rows start there.
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
#[target_feature(enable = "avx2,fma")]
unsafe fn products<const R: usize>(panel: &[f32], rows: *const f32, dim: usize) -> [Sums; R] {
    let mut sums = [[_mm256_setzero_ps(); 2]; R];
    let panel = panel.as_ptr();
    for d in 0..dim {
        // SAFETY: d is below dim.
        let queries =
            unsafe { [_mm256_loadu_ps(panel.add(d * WIDTH)), _mm256_loadu_ps(panel.add(d * WIDTH + 8))] };
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: r is below R and d below dim.
            let x = _mm256_set1_ps(unsafe { rows.add(r * dim + d).read() });
            sums[0] = _mm256_fmadd_ps(queries[0], x, sums[0]);
            sums[1] = _mm256_fmadd_ps(queries[1], x, sums[1]);
        }
    }
    sums
}
