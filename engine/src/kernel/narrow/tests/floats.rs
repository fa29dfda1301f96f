//! What the tests of floats are made of: kinds of values, and the oracle in f64 with the error that is allowed.

use std::fmt::Debug;

use half::{bf16, f16};
use rand::Rng;
use rand::rngs::StdRng;

use super::NarrowKernel;

/// An element of a vector of floats: what the tests need to know of each type.
pub(super) trait Sample: Copy + Default + Debug + Into<f64> + 'static {
    const MAX: Self;
    /// Bits of the smallest normal number: denormal ones are below.
    const NORMAL: u32;
    fn of(value: f32) -> Self;
    fn of_bits(bits: u32) -> Self;
    fn negative(self) -> Self;
}

macro_rules! sample {
    ($type:ty, $normal:literal, $of:expr, $of_bits:expr) => {
        impl Sample for $type {
            const MAX: Self = <$type>::MAX;
            const NORMAL: u32 = $normal;
            fn of(value: f32) -> Self {
                $of(value)
            }
            fn of_bits(bits: u32) -> Self {
                $of_bits(bits)
            }
            fn negative(self) -> Self {
                -self
            }
        }
    };
}

sample!(f32, 0x0080_0000, |value| value, f32::from_bits);
sample!(f16, 0x0400, f16::from_f32, |bits| f16::from_bits(bits as u16));
sample!(bf16, 0x0080, bf16::from_f32, |bits| bf16::from_bits(bits as u16));

pub(super) const KINDS: [&str; 9] = [
    "ordinary",
    "denormal",
    "zeros of both signs",
    "the largest of both signs",
    "the largest",
    "any finite",
    "cancelling",
    "products near the smallest normal number",
    "products that underflow",
];

pub(super) fn sample<T: Sample>(rng: &mut StdRng, i: usize, kind: &str) -> T {
    let sign = |value: T, negative| if negative { value.negative() } else { value };
    match kind {
        "ordinary" => T::of(rng.random_range(-1.0..1.0)),
        "denormal" => sign(T::of_bits(rng.random_range(0..T::NORMAL)), rng.random()),
        "zeros of both signs" => sign(T::default(), rng.random()),
        "the largest of both signs" => sign(T::MAX, rng.random()),
        "the largest" => T::MAX,
        "any finite" => loop {
            let value = T::of_bits(rng.random());
            if value.into().is_finite() {
                return value;
            }
        },
        "cancelling" => sign(T::of(1.0e4 + rng.random_range(0.0..100.0)), i % 2 == 1),
        "products near the smallest normal number" => T::of(rng.random_range(-1.0e-19..1.0e-19)),
        _ => T::of(rng.random_range(-1.0e-30..1.0e-30)),
    }
}

pub(super) fn vector<T: Sample>(rng: &mut StdRng, len: usize, kind: &str) -> Vec<T> {
    (0..len).map(|i| sample(rng, i, kind)).collect()
}

/// Exact Σterms and the error that the module documentation allows a kernel.
pub(super) fn oracle(terms: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut n, mut sum, mut magnitude) = (0.0, 0.0, 0.0);
    for term in terms {
        n += 1.0;
        sum += term;
        magnitude += term.abs();
    }
    (sum, (n / 16.0 + 10.0) * 2f64.powi(-24) * magnitude + n * 2f64.powi(-149))
}

pub(super) fn dot_oracle<Q: Sample, R: Sample>(a: &[Q], b: &[R]) -> (f64, f64) {
    oracle(a.iter().zip(b).map(|(&a, &b)| a.into() * b.into()))
}

pub(super) fn l2_oracle<Q: Sample, R: Sample>(a: &[Q], b: &[R]) -> (f64, f64) {
    oracle(a.iter().zip(b).map(|(&a, &b)| (a.into() - b.into()) * (a.into() - b.into())))
}

#[track_caller]
pub(super) fn assert_within(kernel: &NarrowKernel, what: &str, score: f32, (exact, bound): (f64, f64)) {
    let error = (f64::from(score) - exact.clamp(f64::from(f32::MIN), f64::from(f32::MAX))).abs();
    // A comparison that NaN fails.
    assert!(
        score.is_finite() && error <= bound,
        "{}: {what}: {score:e} is {error:e} from {exact:e}, allowed {bound:e}",
        kernel.name()
    );
}
