//! Distances over rows of f32, one instruction set per file, chosen once at start, and the collector of the best
//! rows. Searches and index builds call [`active`]; nothing else in the engine knows which processor it runs on.
//!
//! What must stay true, and `tests` checks for every instruction set that the machine has:
//! - **A score depends on the two vectors only**: `dot_many` and `l2_many` give, bit for bit, what `dot` and `l2` give
//!   for each row, whatever the block a row falls into and wherever it lies in memory. Answers therefore do not change
//!   with segments, threads or batches. (Two *different* kernels may differ within the bound below.)
//! - **A score is a number**: for finite input it is never NaN and never infinite. What f32 cannot hold, on the way or
//!   at the end, is summed again in f64 and held at ±`f32::MAX`.
//! - **Error bound**: a sum of n terms tᵢ (tᵢ = aᵢ·bᵢ, or (aᵢ-bᵢ)²) is within (n/16 + 10)·2⁻²⁴·Σ|tᵢ| + n·2⁻¹⁴⁹ of the
//!   exact one. Each term passes through at most n/16 + 10 roundings since every kernel keeps 16 or more partial sums;
//!   the last part is what products below the smallest normal number lose.

#![allow(
    unsafe_code,
    reason = "SIMD intrinsics read through pointers and need a processor that was asked first"
)]

use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod codes;
mod metric;
pub mod narrow;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(test)]
mod tests;
pub mod tile;
mod topk;

pub use metric::{Metric, UnknownMetric};
pub use topk::TopK;

/// Names a kernel to use in place of the best one; a name that is unknown or cannot run here changes nothing.
pub const KERNEL_VARIABLE: &str = "ELANUS_KERNEL";

/// Norms, and inverse norms, that f32 sums measure well: at the ends of this range squares are still 1e±30, so nothing
/// overflows, and what underflows is far below the last bit. Outside of it the f64 sums decide.
const TRUSTED: std::ops::RangeInclusive<f32> = 1e-15..=1e15;

/// Two vectors to a score.
///
/// Unsafe: the processor must have the instruction set, and both slices one length.
type Pair = unsafe fn(&[f32], &[f32]) -> f32;

/// A query and contiguous rows to a score for each row.
///
/// Unsafe: the processor must have the instruction set, and the second slice as many rows of the first one's length as
/// the third has scores.
type Many = unsafe fn(&[f32], &[f32], &mut [f32]);

/// A query and scattered rows to a score for each row.
///
/// Unsafe: the processor must have the instruction set, and each number must be of a row within the second slice.
type Gather = unsafe fn(&[f32], &[f32], &[u32], &mut [f32]);

/// The loops of one instruction set. Those handed out by [`active`] and [`available`] can run on this machine; there is
/// no other way to get one.
pub struct Kernel {
    name: &'static str,
    dot: Pair,
    l2: Pair,
    dot_many: Many,
    l2_many: Many,
    dot_gather: Gather,
    l2_gather: Gather,
    codes: &'static codes::Loops,
    tile: &'static tile::Loops,
}

impl Kernel {
    /// Its name in logs, metrics, `--version` and `ELANUS_KERNEL`: `scalar`, `avx2`, `avx512` or `neon`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Inner product Σaᵢ·bᵢ; 0 for empty vectors.
    ///
    /// # Panics
    /// When the lengths differ.
    #[inline]
    pub fn dot(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "vectors of one length");
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the lengths are equal.
        let score = unsafe { (self.dot)(a, b) };
        if score.is_finite() { score } else { saturate(scalar::dot_f64(a, b)) }
    }

    /// Squared Euclidean distance Σ(aᵢ-bᵢ)²; 0 for empty vectors.
    ///
    /// # Panics
    /// When the lengths differ.
    #[inline]
    pub fn l2(&self, a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len(), "vectors of one length");
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the lengths are equal.
        let score = unsafe { (self.l2)(a, b) };
        if score.is_finite() { score } else { saturate(scalar::l2_f64(a, b)) }
    }

    /// `out[i]` = [`dot`](Self::dot) of `query` and row `i` of `rows`, a row-major matrix of `out.len()` rows.
    ///
    /// # Panics
    /// When `rows.len()` is not `query.len() * out.len()`.
    pub fn dot_many(&self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        check_shape(query, rows, out);
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the shape was checked.
        unsafe { (self.dot_many)(query, rows, out) };
        mend(out, |i| scalar::dot_f64(query, row_of(rows, query.len(), i)));
    }

    /// `out[i]` = [`l2`](Self::l2) of `query` and row `i` of `rows`, a row-major matrix of `out.len()` rows.
    ///
    /// # Panics
    /// When `rows.len()` is not `query.len() * out.len()`.
    pub fn l2_many(&self, query: &[f32], rows: &[f32], out: &mut [f32]) {
        check_shape(query, rows, out);
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the shape was checked.
        unsafe { (self.l2_many)(query, rows, out) };
        mend(out, |i| scalar::l2_f64(query, row_of(rows, query.len(), i)));
    }

    /// `out[i]` = [`dot`](Self::dot) of `query` and row `ids[i]` of `rows`.
    ///
    /// # Panics
    /// When a number is of no row, or `ids` and `out` differ in length.
    pub fn dot_gather(&self, query: &[f32], rows: &[f32], ids: &[u32], out: &mut [f32]) {
        check_ids(query.len(), rows.len(), ids, out.len());
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the numbers were checked.
        unsafe { (self.dot_gather)(query, rows, ids, out) };
        mend(out, |i| scalar::dot_f64(query, row_of(rows, query.len(), ids[i] as usize)));
    }

    /// `out[i]` = [`l2`](Self::l2) of `query` and row `ids[i]` of `rows`.
    ///
    /// # Panics
    /// When a number is of no row, or `ids` and `out` differ in length.
    pub fn l2_gather(&self, query: &[f32], rows: &[f32], ids: &[u32], out: &mut [f32]) {
        check_ids(query.len(), rows.len(), ids, out.len());
        // SAFETY: a `Kernel` in anyone's hands was detected (`available`), and the numbers were checked.
        unsafe { (self.l2_gather)(query, rows, ids, out) };
        mend(out, |i| scalar::l2_f64(query, row_of(rows, query.len(), ids[i] as usize)));
    }

    /// `out[i]` = [`cosine`](Self::cosine) of `unit_query` and row `ids[i]` of `rows`, whose inverse norms are given.
    ///
    /// # Panics
    /// When a number is of no row or has no inverse norm, or `ids` and `out` differ in length.
    pub fn cosine_gather(
        &self,
        unit_query: &[f32],
        rows: &[f32],
        inverse_norms: &[f32],
        ids: &[u32],
        out: &mut [f32],
    ) {
        self.dot_gather(unit_query, rows, ids, out);
        for (score, &id) in out.iter_mut().zip(ids) {
            let row = row_of(rows, unit_query.len(), id as usize);
            *score = cosine_of(*score, unit_query, row, inverse_norms[id as usize]);
        }
    }

    /// Cosine of a query of length 1 (see [`unit`](Self::unit)) and a row whose
    /// [`inverse_norm`](Self::inverse_norm) is given, in -1..=1. 0 when either is a vector of zeros.
    ///
    /// # Panics
    /// When the lengths differ.
    #[inline]
    pub fn cosine(&self, unit_query: &[f32], row: &[f32], inverse_norm: f32) -> f32 {
        cosine_of(self.dot(unit_query, row), unit_query, row, inverse_norm)
    }

    /// `out[i]` = [`cosine`](Self::cosine) of `unit_query` and row `i` of `rows`, a row-major matrix of `out.len()` rows
    /// whose inverse norms are given.
    ///
    /// # Panics
    /// When `rows.len()` is not `unit_query.len() * out.len()`, or `inverse_norms` and `out` differ in length.
    pub fn cosine_many(&self, unit_query: &[f32], rows: &[f32], inverse_norms: &[f32], out: &mut [f32]) {
        assert_eq!(inverse_norms.len(), out.len(), "one inverse norm a row");
        self.dot_many(unit_query, rows, out);
        for (i, (score, &inverse_norm)) in out.iter_mut().zip(inverse_norms).enumerate() {
            *score = cosine_of(*score, unit_query, row_of(rows, unit_query.len(), i), inverse_norm);
        }
    }

    /// Euclidean length √Σaᵢ²; 0 only for a vector of zeros, and never infinite.
    pub fn norm(&self, a: &[f32]) -> f32 {
        let norm = self.dot(a, a).sqrt();
        if TRUSTED.contains(&norm) { norm } else { saturate(scalar::dot_f64(a, a).sqrt()) }
    }

    /// One over [`norm`](Self::norm); 0 for a vector of zeros, and never infinite.
    pub fn inverse_norm(&self, a: &[f32]) -> f32 {
        let norm = self.norm(a);
        if norm > 0.0 { norm.recip().min(f32::MAX) } else { 0.0 }
    }

    /// The vector scaled to length 1; zeros for a vector of zeros.
    pub fn unit(&self, a: &[f32]) -> Vec<f32> {
        let norm = scalar::dot_f64(a, a).sqrt();
        let scale = if norm > 0.0 { norm.recip() } else { 0.0 };
        a.iter().map(|&x| (f64::from(x) * scale) as f32).collect()
    }
}

impl std::fmt::Debug for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Kernel").field(&self.name).finish()
    }
}

/// The kernel that this process uses: the best one available, or the one named by [`KERNEL_VARIABLE`]. Chosen at the
/// first call and the same ever after.
pub fn active() -> &'static Kernel {
    static ACTIVE: OnceLock<&'static Kernel> = OnceLock::new();
    ACTIVE.get_or_init(|| choose(&available(), std::env::var(KERNEL_VARIABLE).ok().as_deref()))
}

/// Every kernel that this machine can run, best first. The last one is always `scalar`.
pub fn available() -> Vec<&'static Kernel> {
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

/// Asks for the memory that holds `slice[index]`, which is wanted soon. Only a hint: an index beyond the end is fine.
#[inline]
pub fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has SSE; a prefetch of any address does nothing but fetch.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().wrapping_add(index).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, index);
}

fn check_shape(query: &[f32], rows: &[f32], out: &[f32]) {
    // Checked: a product that wrapped around would let the loops read past the rows.
    assert_eq!(query.len().checked_mul(out.len()), Some(rows.len()), "as many rows as scores");
}

fn check_ids(dim: usize, values: usize, ids: &[u32], scores: usize) {
    assert_eq!(ids.len(), scores, "as many rows as scores");
    let rows = values.checked_div(dim).unwrap_or(usize::MAX);
    assert!(ids.iter().all(|&id| (id as usize) < rows), "a number of no row");
}

fn row_of(rows: &[f32], dim: usize, row: usize) -> &[f32] {
    &rows[row * dim..(row + 1) * dim]
}

/// Replaces the scores that f32 could not hold by what f64 says.
fn mend(scores: &mut [f32], exact: impl Fn(usize) -> f64) {
    for (i, score) in scores.iter_mut().enumerate() {
        if !score.is_finite() {
            *score = saturate(exact(i));
        }
    }
}

/// The nearest finite f32.
fn saturate(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

#[inline]
fn cosine_of(dot: f32, unit_query: &[f32], row: &[f32], inverse_norm: f32) -> f32 {
    let cosine = if inverse_norm == 0.0 || TRUSTED.contains(&inverse_norm) {
        dot * inverse_norm
    } else {
        (scalar::dot_f64(unit_query, row) / scalar::dot_f64(row, row).sqrt()) as f32
    };
    cosine.clamp(-1.0, 1.0)
}
