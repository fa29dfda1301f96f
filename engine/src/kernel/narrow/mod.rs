//! Distances over rows that are narrower than f32: `f16` and `bf16` (also from a query of f32), `i8`, and bit vectors.
//! One instruction set per file, chosen once at start, as in the parent module; [`active`] honours the same
//! [`KERNEL_VARIABLE`].
//!
//! What must stay true, and `tests` checks for every instruction set that the machine has:
//! - **A score depends on the two vectors only**: the `_many` forms give, bit for bit, what the others give for each
//!   row, whatever the block a row falls into and wherever it lies in memory.
//! - **Scores of `i8` and of bits are exact**, and so the same for all instruction sets: integer sums, and for Jaccard
//!   one division of two integers that f32 holds. [`MAX_BYTES`] is what keeps the sums in their type.
//! - **A score of floats is a number**: for finite input it is never NaN and never infinite. What f32 cannot hold, on
//!   the way or at the end (only `bf16` and queries of f32 reach so far), is summed again in f64 and held at
//!   ±`f32::MAX`.
//! - **Error bound of floats**: elements are widened to f32, which loses nothing, and from there it is the parent's
//!   bound: a sum of n terms tᵢ (tᵢ = aᵢ·bᵢ, or (aᵢ-bᵢ)²) is within (n/16 + 10)·2⁻²⁴·Σ|tᵢ| + n·2⁻¹⁴⁹ of the exact one.
//!   Each term passes through at most n/16 + 10 roundings since every kernel keeps 16 or more partial sums; the last
//!   part is what products below the smallest normal number lose. (For two rows of `f16`, terms of `dot` are exact and
//!   nothing underflows; for two of `bf16` they are exact unless they underflow.)

use std::sync::OnceLock;

use half::{bf16, f16};

use super::{KERNEL_VARIABLE, mend, saturate};

/// Both forms of the distance that a function computes of two slices, compiled for the instruction set that is named.
macro_rules! loops {
    ($query:ty, $row:ty => $out:ty, $score:expr $(, $features:literal)?) => {{
        $(#[target_feature(enable = $features)])?
        fn one(a: &[$query], b: &[$row]) -> $out {
            $score(a, b)
        }
        $(#[target_feature(enable = $features)])?
        fn many(query: &[$query], rows: &[$row], out: &mut [$out]) {
            if query.is_empty() {
                return out.fill(<$out>::default());
            }
            for (out, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
                *out = $score(query, row);
            }
        }
        super::Loops { one, many }
    }};
}

/// Both distances of a pair of types, where `$score` is a function that takes the types and whether it is `l2`.
macro_rules! floats {
    ($query:ty, $row:ty, $score:ident $(, $features:literal)?) => {
        super::Floats {
            dot: loops!($query, $row => f32, $score::<$query, $row, false> $(, $features)?),
            l2: loops!($query, $row => f32, $score::<$query, $row, true> $(, $features)?),
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(test)]
mod tests;

/// The longest rows of `i8` and of bits, in bytes: 32,768 elements, 262,144 bits. Up to there no sum leaves its type:
/// 255²·32,768 < 2³¹.
pub const MAX_BYTES: usize = 32_768;

/// One distance of one instruction set.
///
/// To call either function is unsafe: the processor must have the instruction set. Wrong lengths are safe, but give a
/// score of less than the whole vectors.
struct Loops<Q, R, S> {
    /// Two vectors of one length to a score.
    one: unsafe fn(&[Q], &[R]) -> S,
    /// A query and contiguous rows of its length to a score for each row.
    many: unsafe fn(&[Q], &[R], &mut [S]),
}

impl<Q, R, S> Loops<Q, R, S> {
    #[inline]
    fn one(&self, a: &[Q], b: &[R]) -> S {
        assert_eq!(a.len(), b.len(), "vectors of one length");
        // SAFETY: `Loops` are reached through a `NarrowKernel`, and one in anyone's hands was detected (`available`).
        unsafe { (self.one)(a, b) }
    }

    fn many(&self, query: &[Q], rows: &[R], out: &mut [S]) {
        // Checked: a product that wrapped around would pass for the length of other rows.
        assert_eq!(query.len().checked_mul(out.len()), Some(rows.len()), "as many rows as scores");
        // SAFETY: `Loops` are reached through a `NarrowKernel`, and one in anyone's hands was detected (`available`).
        unsafe { (self.many)(query, rows, out) };
    }
}

/// The distances of vectors of `Q` to rows of `R`, in one instruction set.
pub struct Floats<Q, R> {
    dot: Loops<Q, R, f32>,
    l2: Loops<Q, R, f32>,
}

/// What a row of `R` (`f16` or `bf16`) can be compared with: a row of its own type, or a query of `f32`.
pub trait Against<R>: Copy + Into<f64> {
    /// Where a kernel keeps the distances of this pair.
    #[doc(hidden)]
    fn floats(kernel: &NarrowKernel) -> &Floats<Self, R>;
}

macro_rules! against {
    ($($field:ident: $query:ty, $row:ty;)*) => {$(
        impl Against<$row> for $query {
            #[inline]
            fn floats(kernel: &NarrowKernel) -> &Floats<$query, $row> {
                &kernel.$field
            }
        }
    )*};
}

against! {
    f16: f16, f16;
    f32_f16: f32, f16;
    bf16: bf16, bf16;
    f32_bf16: f32, bf16;
}

/// The loops of one instruction set over narrow rows. Those handed out by [`active`] and [`available`] can run on this
/// machine; there is no other way to get one.
pub struct NarrowKernel {
    name: &'static str,
    f16: Floats<f16, f16>,
    f32_f16: Floats<f32, f16>,
    bf16: Floats<bf16, bf16>,
    f32_bf16: Floats<f32, bf16>,
    dot_i8: Loops<i8, i8, i32>,
    l2_i8: Loops<i8, i8, u32>,
    hamming: Loops<u8, u8, u32>,
    jaccard: Loops<u8, u8, f32>,
}

impl NarrowKernel {
    /// Its name in logs and `ELANUS_KERNEL`: `scalar`, `avx2`, `avx512` or `neon`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Inner product Σaᵢ·bᵢ; 0 for empty vectors.
    ///
    /// # Panics
    /// When the lengths differ.
    #[inline]
    pub fn dot<Q: Against<R>, R: Copy + Into<f64>>(&self, a: &[Q], b: &[R]) -> f32 {
        let score = Q::floats(self).dot.one(a, b);
        if score.is_finite() { score } else { saturate(scalar::dot_f64(a, b)) }
    }

    /// Squared Euclidean distance Σ(aᵢ-bᵢ)²; 0 for empty vectors.
    ///
    /// # Panics
    /// When the lengths differ.
    #[inline]
    pub fn l2<Q: Against<R>, R: Copy + Into<f64>>(&self, a: &[Q], b: &[R]) -> f32 {
        let score = Q::floats(self).l2.one(a, b);
        if score.is_finite() { score } else { saturate(scalar::l2_f64(a, b)) }
    }

    /// `out[i]` = [`dot`](Self::dot) of `query` and row `i` of `rows`, a row-major matrix of `out.len()` rows.
    ///
    /// # Panics
    /// When `rows.len()` is not `query.len() * out.len()`.
    pub fn dot_many<Q: Against<R>, R: Copy + Into<f64>>(&self, query: &[Q], rows: &[R], out: &mut [f32]) {
        Q::floats(self).dot.many(query, rows, out);
        mend(out, |i| scalar::dot_f64(query, &rows[i * query.len()..][..query.len()]));
    }

    /// `out[i]` = [`l2`](Self::l2) of `query` and row `i` of `rows`, a row-major matrix of `out.len()` rows.
    ///
    /// # Panics
    /// When `rows.len()` is not `query.len() * out.len()`.
    pub fn l2_many<Q: Against<R>, R: Copy + Into<f64>>(&self, query: &[Q], rows: &[R], out: &mut [f32]) {
        Q::floats(self).l2.many(query, rows, out);
        mend(out, |i| scalar::l2_f64(query, &rows[i * query.len()..][..query.len()]));
    }
}

/// The distances that are exact.
macro_rules! exact {
    ($($(#[$doc:meta])* $one:ident, $many:ident: $element:ty => $out:ty;)*) => {
        impl NarrowKernel {$(
            $(#[$doc])*
            ///
            /// # Panics
            /// When the lengths differ, or are above [`MAX_BYTES`].
            #[inline]
            pub fn $one(&self, a: &[$element], b: &[$element]) -> $out {
                assert!(a.len() <= MAX_BYTES, "at most {MAX_BYTES} bytes a row");
                self.$one.one(a, b)
            }

            #[doc = concat!("`out[i]` = [`", stringify!($one), "`](Self::", stringify!($one), ") of `query` and row `i` of")]
            /// `rows`, a row-major matrix of `out.len()` rows.
            ///
            /// # Panics
            /// When `rows.len()` is not `query.len() * out.len()`, or `query.len()` is above [`MAX_BYTES`].
            pub fn $many(&self, query: &[$element], rows: &[$element], out: &mut [$out]) {
                assert!(query.len() <= MAX_BYTES, "at most {MAX_BYTES} bytes a row");
                self.$one.many(query, rows, out);
            }
        )*}
    };
}

exact! {
    /// Inner product Σaᵢ·bᵢ of integers, exact; 0 for empty vectors.
    dot_i8, dot_i8_many: i8 => i32;
    /// Squared Euclidean distance Σ(aᵢ-bᵢ)² of integers, exact; 0 for empty vectors.
    l2_i8, l2_i8_many: i8 => u32;
    /// Number of bits in which two bit vectors differ.
    hamming, hamming_many: u8 => u32;
    /// Jaccard distance 1 - |a∧b|/|a∨b| of two bit vectors, in 0..=1: the f32 nearest to it. 0 when neither has a bit.
    jaccard, jaccard_many: u8 => f32;
}

impl std::fmt::Debug for NarrowKernel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("NarrowKernel").field(&self.name).finish()
    }
}

/// The kernel that this process uses: the best one available, or the one named by [`KERNEL_VARIABLE`]. Chosen at the
/// first call and the same ever after.
pub fn active() -> &'static NarrowKernel {
    static ACTIVE: OnceLock<&'static NarrowKernel> = OnceLock::new();
    ACTIVE.get_or_init(|| choose(&available(), std::env::var(KERNEL_VARIABLE).ok().as_deref()))
}

/// Every kernel that this machine can run, best first. The last one is always `scalar`. A name can come several times:
/// `avx512` does once for each of its levels.
pub fn available() -> Vec<&'static NarrowKernel> {
    let mut kernels = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        kernels.extend(avx512::detected());
        kernels.extend(avx2::detected().then_some(&avx2::KERNEL));
    }
    #[cfg(target_arch = "aarch64")]
    kernels.extend(neon::detected().then_some(&neon::KERNEL));
    kernels.push(&scalar::KERNEL);
    kernels
}

/// The first of the available kernels with the wanted name, else the first of all.
fn choose(available: &[&'static NarrowKernel], wanted: Option<&str>) -> &'static NarrowKernel {
    let named =
        available.iter().find(|k| wanted.is_some_and(|name| name.trim().eq_ignore_ascii_case(k.name)));
    named.or(available.first()).copied().unwrap_or(&scalar::KERNEL)
}

/// The last elements of a vector, zeros behind them: what registers without masked loads take.
#[inline(always)]
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(dead_code))]
fn padded<T: Copy + Default, const N: usize>(tail: &[T]) -> [T; N] {
    let mut padded = [T::default(); N];
    padded[..tail.len()].copy_from_slice(tail);
    padded
}
