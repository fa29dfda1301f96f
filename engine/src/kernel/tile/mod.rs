//! Many queries against many rows as a blocked matrix product: [`WIDTH`] queries at a time lie in a [`Panel`], one
//! dimension after the other, and each row is read once for all of them (the inner loop of Goto and van de Geijn,
//! "Anatomy of High-Performance Matrix Multiplication", 2008, without packing of rows).
//!
//! The products are sums in one order, of another length than those of `dot`, so they are no scores. They are used for
//! what needs none: to find the pairs that are worth scoring ([`Kernel::tile_above`]; the caller's bound leaves room
//! for [`ERROR`]), and to find the nearest centroid ([`Kernel::tile_best`]).

use super::Kernel;

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod scalar;
#[cfg(test)]
mod tests;

/// Queries of a panel.
pub const WIDTH: usize = 16;

/// A product of `n` dimensions is within `ERROR(n)`·|a|·|b| of the exact one: each of its terms is rounded at most
/// n + 2 times, and Σ|aᵢ·bᵢ| ≤ |a|·|b|.
pub fn error(dim: usize) -> f32 {
    (dim + 2) as f32 * (0.5 * f32::EPSILON)
}

/// Up to [`WIDTH`] queries, transposed: the values of one dimension lie together.
#[derive(Debug, Clone)]
pub struct Panel {
    values: Vec<f32>,
    queries: usize,
}

impl Panel {
    /// Transposes row-major `queries` of `dim` values. Missing ones are zeros.
    ///
    /// # Panics
    /// With more than [`WIDTH`] queries, or when their values are no multiple of `dim`.
    pub fn new(queries: &[f32], dim: usize) -> Self {
        assert!(dim > 0 && queries.len().is_multiple_of(dim) && queries.len() / dim <= WIDTH, "a panel");
        let mut values = vec![0.0; dim * WIDTH];
        for (lane, query) in queries.chunks_exact(dim).enumerate() {
            query.iter().enumerate().for_each(|(d, &value)| values[d * WIDTH + lane] = value);
        }
        Self { values, queries: queries.len() / dim }
    }

    /// Queries in it.
    pub fn queries(&self) -> usize {
        self.queries
    }

    fn dim(&self) -> usize {
        self.values.len() / WIDTH
    }
}

/// The best row so far for each query of a panel, by `product + shift`.
#[derive(Debug, Clone, Copy)]
pub struct Best {
    /// Its value.
    pub value: [f32; WIDTH],
    /// Its number.
    pub row: [u32; WIDTH],
}

impl Best {
    /// Nothing yet.
    pub const NONE: Self = Self { value: [f32::NEG_INFINITY; WIDTH], row: [0; WIDTH] };
}

/// A panel, rows, the scale and shift of each, the bound of each query, to a mask for each row.
type Above = unsafe fn(&[f32], &[f32], &[f32], &[f32], &[f32; WIDTH], &mut [u16]);

/// The loops of one instruction set.
///
/// All unsafe: the processor must have the instruction set; the first slice is a panel, the second as many rows of its
/// dimension as the per-row slices have values.
pub(super) struct Loops {
    pub(super) above: Above,
    pub(super) best: unsafe fn(&[f32], &[f32], &[f32], u32, &mut Best),
}

impl Kernel {
    /// Which pairs are worth a look: bit `q` of `masks[r]` is set unless `product(q, r) · scale[r] + shift[r] <
    /// bounds[q]`. What is not a number is worth a look.
    ///
    /// # Panics
    /// When `rows`, `scale`, `shift` and `masks` are not of as many rows.
    pub fn tile_above(
        &self,
        panel: &Panel,
        rows: &[f32],
        scale: &[f32],
        shift: &[f32],
        bounds: &[f32; WIDTH],
        masks: &mut [u16],
    ) {
        check_rows(panel, rows, masks.len());
        assert!(scale.len() == masks.len() && shift.len() == masks.len(), "a scale and a shift a row");
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the shape was checked.
        unsafe { (self.tile.above)(&panel.values, rows, scale, shift, bounds, masks) }
    }

    /// Raises `best` to the rows whose `product + shift[r]` is larger; the first of `rows` has number `first`. Of equal
    /// ones the earlier stays.
    ///
    /// # Panics
    /// When `rows` and `shift` are not of as many rows.
    pub fn tile_best(&self, panel: &Panel, rows: &[f32], shift: &[f32], first: u32, best: &mut Best) {
        check_rows(panel, rows, shift.len());
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the shape was checked.
        unsafe { (self.tile.best)(&panel.values, rows, shift, first, best) }
    }
}

fn check_rows(panel: &Panel, rows: &[f32], count: usize) {
    assert_eq!(panel.dim().checked_mul(count), Some(rows.len()), "rows of the panel's dimension");
}
