//! The loops of convolutions on a processor, one instruction set per file, chosen once at start. [`crate::conv`] calls
//! [`active`]; nothing else knows which processor it runs on.
//!
//! Everything is in units of a [`Line`]: 16 channels of one pixel, or 16 outputs of one sum, which is a cache line. What
//! must stay true, and `tests` checks for every instruction set that the machine has: a product of depth n is within
//! (n + 2)·2⁻²⁴·Σ|terms| of the exact sum, and the transforms are those of `winograd` to rounding.

#![allow(
    unsafe_code,
    reason = "SIMD intrinsics read through pointers and need a processor that was asked first"
)]

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lanes;
#[cfg(target_arch = "aarch64")]
mod neon;
mod product;
mod scalar;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod winograd;

use product::Product;
use winograd::{TILE, VALUES};

/// Values in a [`Line`].
pub(crate) const LINE: usize = 16;

/// Names a kernel to use in place of the best one, as it does for distances; a name that is unknown or cannot run here
/// changes nothing.
pub(crate) const KERNEL_VARIABLE: &str = "ELANUS_KERNEL";

/// 16 values side by side, aligned so that no load of a register crosses a cache line.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LINE]);

impl Line {
    pub(crate) const ZERO: Self = Self([0.0; LINE]);
}

/// Where finished tiles go: rows of a picture, `stride` lines apart.
struct Sink {
    to: *mut Line,
    stride: usize,
    /// Rows to write, at least 1; those beyond a tile are none.
    rows: usize,
    /// Columns to write for all tiles together.
    columns: usize,
    /// Whether each 2x2 becomes one.
    pool: bool,
}

/// The part of a picture that [`Kernel::finish_tiles`] writes.
pub(crate) struct Target<'a> {
    /// From the first pixel of the first tile on.
    pub(crate) pixels: &'a mut [Line],
    /// Lines from a row to the next.
    pub(crate) stride: usize,
    /// Rows of the picture from there on, at least 1.
    pub(crate) rows: usize,
    /// Columns of the picture from there on, so many that every tile has one.
    pub(crate) columns: usize,
    /// Whether the largest of each 2x2 is written instead of all four.
    pub(crate) pool: bool,
}

type Patches = unsafe fn(*const Line, usize, usize, *mut Line, usize);
type Finish = unsafe fn(*const Line, usize, usize, usize, &Line, &Sink);

/// The loops of one instruction set. Those handed out by [`active`] and [`available`] can run on this machine; there is
/// no other way to get one.
pub(crate) struct Kernel {
    name: &'static str,
    /// Floats in a register.
    lanes: usize,
    /// Lines in a row of a panel: 1 or 2.
    width: usize,
    multiply: unsafe fn(&Product),
    patches: Patches,
    finish: Finish,
    nothing: unsafe fn(usize) -> f32,
}

impl Kernel {
    /// Its name in logs and `ELANUS_KERNEL`: `scalar`, `avx2`, `avx512` or `neon`.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// How many lines of outputs one product gives: weights are packed in panels of so many.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Multiplies `count` points with a panel of weights.
    ///
    /// The values 16b to 16b + 15 of point p are `points[b * stride + p]`; `panel` holds [`Kernel::width`] lines for each
    /// value of a point, and `sums` gets as many for each point. `next` is the panel that the caller will want next: it is
    /// fetched meanwhile.
    ///
    /// # Panics
    /// When there is no point, the panel is not of a multiple of 16 values, or a slice is too short.
    pub(crate) fn multiply(
        &self,
        points: &[Line],
        count: usize,
        stride: usize,
        panel: &[Line],
        sums: &mut [Line],
        next: &[Line],
    ) {
        let blocks = panel.len() / (LINE * self.width);
        assert!(blocks > 0 && panel.len() == blocks * LINE * self.width, "a panel of whole lines of values");
        assert!(
            count > 0 && points.len() >= (blocks - 1) * stride + count,
            "as many points as are multiplied"
        );
        assert!(sums.len() >= count * self.width, "room for the sums");
        let (points, panel, sums) = (points.as_ptr(), panel.as_ptr(), sums.as_mut_ptr());
        let next = next.as_ptr();
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the lengths were checked.
        unsafe { (self.multiply)(&Product { points, count, stride, blocks, panel, sums, next }) }
    }

    /// Transforms the 6x6 patches of `count` tiles that lie side by side in a picture whose rows are `row` lines apart;
    /// `from` begins with the first patch. Value v of tile t goes to `to[v * stride + t]`.
    ///
    /// # Panics
    /// When a slice is too short.
    pub(crate) fn transform_patches(
        &self,
        from: &[Line],
        row: usize,
        count: usize,
        to: &mut [Line],
        stride: usize,
    ) {
        assert!(from.len() >= 5 * row + TILE * count + 2, "patches within the picture");
        assert!(stride >= count && to.len() >= (VALUES - 1) * stride + count, "room for the values");
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the lengths were checked.
        unsafe { (self.patches)(from.as_ptr(), row, count, to.as_mut_ptr(), stride) }
    }

    /// Turns products into 16 channels of a picture: bias, ReLU, and the pool if `target` says so. Value v of tile t is
    /// `products[v * stride + t * width]`.
    ///
    /// # Panics
    /// When a slice is too short or a tile has no column.
    pub(crate) fn finish_tiles(
        &self,
        products: &[Line],
        stride: usize,
        count: usize,
        bias: &Line,
        target: &mut Target<'_>,
    ) {
        let side = if target.pool { TILE / 2 } else { TILE };
        let Target { stride: row, rows, columns, pool, .. } = *target;
        assert!(count > 0 && products.len() > (VALUES - 1) * stride + (count - 1) * self.width, "products");
        assert!(rows > 0 && columns > (count - 1) * side, "every tile has a pixel");
        let (rows, columns) = (rows.min(side), columns.min(count * side));
        assert!(target.pixels.len() >= (rows - 1) * row + columns, "room for the pixels");
        let sink = Sink { to: target.pixels.as_mut_ptr(), stride: row, rows, columns, pool };
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the lengths were checked.
        unsafe { (self.finish)(products.as_ptr(), self.width, stride, count, bias, &sink) }
    }

    /// Works in registers only, and says how many floating-point operations that were: the yardstick of all else.
    pub(crate) fn spin(&self, rounds: usize) -> f64 {
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`).
        std::hint::black_box(unsafe { (self.nothing)(rounds) });
        (rounds * product::CHAINS * self.lanes * 2) as f64
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kernel").field(&self.name).finish()
    }
}

/// The kernel that this process uses: the best one available, or the one named by [`KERNEL_VARIABLE`]. Chosen at the
/// first call and the same ever after.
pub(crate) fn active() -> &'static Kernel {
    static ACTIVE: OnceLock<&'static Kernel> = OnceLock::new();
    ACTIVE.get_or_init(|| choose(&available(), std::env::var(KERNEL_VARIABLE).ok().as_deref()))
}

/// Every kernel that this machine can run, best first. The last one is always `scalar`.
pub(crate) fn available() -> Vec<&'static Kernel> {
    let mut kernels = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        kernels.extend(avx512::detected().then_some(&avx512::KERNEL));
        kernels.extend(avx2::detected().then_some(&avx2::KERNEL));
    }
    #[cfg(target_arch = "aarch64")]
    kernels.extend(neon::detected().then_some(&neon::KERNEL));
    kernels.push(&scalar::KERNEL);
    kernels
}

/// The wanted kernel if it is among the available ones, else the first of them.
fn choose(available: &[&'static Kernel], wanted: Option<&str>) -> &'static Kernel {
    let named =
        available.iter().find(|k| wanted.is_some_and(|name| name.trim().eq_ignore_ascii_case(k.name)));
    named.or(available.first()).copied().unwrap_or(&scalar::KERNEL)
}

/// Compiles the loops for one instruction set: `vectors` registers of outputs make a panel's row, and at most `points`
/// points are summed at once.
macro_rules! loops_of {
    ($name:literal, $lanes:ty, $(features $features:literal,)? vectors $vectors:literal, points $points:literal) => {
        /// May be used only after [`detected`] said so, if there is one.
        pub(super) static KERNEL: Kernel = Kernel {
            name: $name,
            lanes: <$lanes as Lanes>::WIDTH,
            width: $vectors * <$lanes as Lanes>::WIDTH / super::LINE,
            multiply,
            patches,
            finish,
            nothing,
        };

        /// # Safety
        /// The processor has the instruction set; the rest as [`super::product::multiply`] says.
        $(#[target_feature(enable = $features)])?
        unsafe fn multiply(product: &super::product::Product) {
            // SAFETY: as the caller says.
            unsafe { super::product::multiply::<$lanes, $vectors, $points>(product) }
        }

        /// # Safety
        /// The processor has the instruction set; the rest as [`super::winograd::transform_patches`] says.
        $(#[target_feature(enable = $features)])?
        unsafe fn patches(
            from: *const super::Line,
            row: usize,
            count: usize,
            to: *mut super::Line,
            stride: usize,
        ) {
            // SAFETY: as the caller says.
            unsafe { super::winograd::transform_patches::<$lanes>(from, row, count, to, stride) }
        }

        /// # Safety
        /// The processor has the instruction set; the rest as [`super::winograd::finish_tiles`] says.
        $(#[target_feature(enable = $features)])?
        unsafe fn finish(
            products: *const super::Line,
            width: usize,
            stride: usize,
            count: usize,
            bias: &super::Line,
            sink: &super::Sink,
        ) {
            // SAFETY: as the caller says.
            unsafe { super::winograd::finish_tiles::<$lanes>(products, width, stride, count, bias, sink) }
        }

        /// # Safety
        /// The processor has the instruction set.
        $(#[target_feature(enable = $features)])?
        unsafe fn nothing(rounds: usize) -> f32 {
            // SAFETY: as the caller says.
            unsafe { super::product::multiply_nothing::<$lanes>(rounds) }
        }
    };
}
use loops_of;
