//! The same checks for every kernel that this machine can run, against sums in f64. A new instruction set is covered
//! by being `available`.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

/// Lengths of every loop shape: empty, tails of all sizes, many rounds.
const LENGTHS: std::ops::RangeInclusive<usize> = 0..=1100;

type Fill = fn(&mut StdRng, usize) -> f32;

/// Kinds of values, each with what it is about.
const VALUES: [(&str, Fill); 8] = [
    ("ordinary", |rng, _| rng.random_range(-1.0..1.0)),
    ("large", |rng, _| rng.random_range(-1.0e18..1.0e18)),
    ("products near the smallest normal number", |rng, _| rng.random_range(-1.0e-19..1.0e-19)),
    ("products that underflow", |rng, _| rng.random_range(-1.0e-30..1.0e-30)),
    ("denormal", |rng, _| {
        f32::from_bits(rng.random_range(0..0x0080_0000u32) | rng.random_range(0..2u32) << 31)
    }),
    ("zeros of both signs", |rng, _| if rng.random() { 0.0 } else { -0.0 }),
    ("cancelling", |rng, i| if i % 2 == 0 { 1.0e8 } else { -1.0e8 } + rng.random_range(-8.0..8.0f32)),
    ("of all magnitudes", |rng, _| rng.random_range(-1.0..1.0f32) * 10f32.powi(rng.random_range(-18..18))),
];

fn vector(rng: &mut StdRng, len: usize, fill: Fill) -> Vec<f32> {
    (0..len).map(|i| fill(rng, i)).collect()
}

/// Exact Σterms and the error that the module documentation allows a kernel.
fn oracle(terms: impl Iterator<Item = f64>) -> (f64, f64) {
    let (mut n, mut sum, mut magnitude) = (0.0, 0.0, 0.0);
    for term in terms {
        n += 1.0;
        sum += term;
        magnitude += term.abs();
    }
    (sum, (n / 16.0 + 10.0) * 2f64.powi(-24) * magnitude + n * 2f64.powi(-149))
}

fn dot_oracle(a: &[f32], b: &[f32]) -> (f64, f64) {
    oracle(a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)))
}

fn l2_oracle(a: &[f32], b: &[f32]) -> (f64, f64) {
    oracle(a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)) * (f64::from(a) - f64::from(b))))
}

#[track_caller]
fn assert_within(kernel: &Kernel, what: &str, score: f32, (exact, bound): (f64, f64)) {
    let error = (f64::from(score) - exact.clamp(f64::from(f32::MIN), f64::from(f32::MAX))).abs();
    assert!(
        error <= bound,
        "{}: {what}: {score:e} is {error:e} from {exact:e}, allowed {bound:e}",
        kernel.name()
    );
}

#[test]
fn every_length_and_kind_of_value_is_within_the_bound() {
    let mut rng = StdRng::seed_from_u64(1);
    for len in LENGTHS {
        for (what, fill) in VALUES {
            let (a, b) = (vector(&mut rng, len, fill), vector(&mut rng, len, fill));
            let (dot, l2) = (dot_oracle(&a, &b), l2_oracle(&a, &b));
            for kernel in available() {
                assert_within(kernel, &format!("dot of {len} {what}"), kernel.dot(&a, &b), dot);
                assert_within(kernel, &format!("l2 of {len} {what}"), kernel.l2(&a, &b), l2);
            }
        }
    }
}

/// Each element weighs 2^(its place mod 8), so one that is left out, doubled or paired with the wrong partner shows.
#[test]
fn small_integers_are_exact() {
    for len in LENGTHS {
        let a: Vec<f32> = (0..len).map(|i| (1u32 << (i % 8)) as f32).collect();
        let b: Vec<f32> = (0..len).map(|i| (i % 11) as f32).collect();
        for kernel in available() {
            assert_eq!(f64::from(kernel.dot(&a, &b)), dot_oracle(&a, &b).0, "{} dot {len}", kernel.name());
            assert_eq!(f64::from(kernel.l2(&a, &b)), l2_oracle(&a, &b).0, "{} l2 {len}", kernel.name());
        }
    }
}

/// What lies around the vectors must not be read into the sum, wherever they start.
#[test]
fn unaligned_starts_give_the_same_bits() {
    let mut rng = StdRng::seed_from_u64(2);
    for len in LENGTHS.step_by(7).chain(0..70) {
        let (a, b) = (vector(&mut rng, len, VALUES[0].1), vector(&mut rng, len, VALUES[0].1));
        for kernel in available() {
            let expected = (kernel.dot(&a, &b).to_bits(), kernel.l2(&a, &b).to_bits());
            for (shift_a, shift_b) in [(1, 0), (0, 1), (3, 7), (13, 2), (15, 15)] {
                let framed = |v: &[f32], shift: usize| [&vec![f32::NAN; shift], v, &[f32::NAN; 16]].concat();
                let (wide_a, wide_b) = (framed(&a, shift_a), framed(&b, shift_b));
                let (a, b) = (&wide_a[shift_a..][..len], &wide_b[shift_b..][..len]);
                let found = (kernel.dot(a, b).to_bits(), kernel.l2(a, b).to_bits());
                assert_eq!(found, expected, "{} {len} at {shift_a}, {shift_b}", kernel.name());
            }
        }
    }
}

#[test]
fn a_row_scores_the_same_alone_and_in_any_block() {
    let mut rng = StdRng::seed_from_u64(3);
    for dim in (0..=70).chain([127, 128, 129, 384, 512, 1000, 1100]) {
        for (what, fill) in VALUES {
            let query = vector(&mut rng, dim, fill);
            let matrix = vector(&mut rng, dim * 9, fill);
            for kernel in available() {
                let unit = kernel.unit(&query);
                let rows: Vec<&[f32]> = (0..9).map(|i| &matrix[i * dim..(i + 1) * dim]).collect();
                let norms: Vec<f32> = rows.iter().map(|row| kernel.inverse_norm(row)).collect();
                for (from, to) in [(0, 0), (0, 1), (0, 9), (1, 4), (2, 9), (3, 8)] {
                    let block = &matrix[from * dim..to * dim];
                    let mut out = vec![f32::NAN; to - from];
                    let mut check = |kind: &str, many: &dyn Fn(&mut [f32]), one: &dyn Fn(usize) -> f32| {
                        many(&mut out);
                        for (i, score) in out.iter().enumerate() {
                            let alone = one(from + i);
                            assert_eq!(
                                score.to_bits(),
                                alone.to_bits(),
                                "{} {kind} {dim} {what}",
                                kernel.name()
                            );
                        }
                    };
                    check("dot", &|out| kernel.dot_many(&query, block, out), &|i| {
                        kernel.dot(&query, rows[i])
                    });
                    check("l2", &|out| kernel.l2_many(&query, block, out), &|i| kernel.l2(&query, rows[i]));
                    let ids: Vec<u32> = (from as u32..to as u32).rev().collect();
                    let mut gathered = vec![f32::NAN; ids.len()];
                    for (l2, cosine) in [(false, false), (true, false), (false, true)] {
                        match (l2, cosine) {
                            (true, _) => kernel.l2_gather(&query, &matrix, &ids, &mut gathered),
                            (_, true) => {
                                kernel.cosine_gather(&unit, &matrix, &norms, &ids, &mut gathered);
                            }
                            _ => kernel.dot_gather(&query, &matrix, &ids, &mut gathered),
                        }
                        for (&id, score) in ids.iter().zip(&gathered) {
                            let row = rows[id as usize];
                            let alone = match (l2, cosine) {
                                (true, _) => kernel.l2(&query, row),
                                (_, true) => kernel.cosine(&unit, row, norms[id as usize]),
                                _ => kernel.dot(&query, row),
                            };
                            assert_eq!(
                                score.to_bits(),
                                alone.to_bits(),
                                "{} gather {dim} {what}",
                                kernel.name()
                            );
                        }
                    }
                    check("cosine", &|out| kernel.cosine_many(&unit, block, &norms[from..to], out), &|i| {
                        kernel.cosine(&unit, rows[i], norms[i])
                    });
                }
            }
        }
    }
}

#[test]
fn finite_input_never_gives_nan_or_infinity() {
    let mut rng = StdRng::seed_from_u64(4);
    let huge: Fill = |rng, _| f32::MAX * rng.random_range(-1.0..=1.0f32);
    for len in [1, 2, 7, 8, 33, 100, 515, 1100] {
        let (a, b) = (vector(&mut rng, len, huge), vector(&mut rng, len, huge));
        let opposite: Vec<f32> = a.iter().map(|x| -x).collect();
        for kernel in available() {
            assert_within(kernel, "huge dot", kernel.dot(&a, &b), dot_oracle(&a, &b));
            assert_eq!(kernel.l2(&a, &opposite), f32::MAX, "{}", kernel.name());
            assert_eq!(kernel.dot(&a, &opposite), f32::MIN, "{}", kernel.name());
            let mut out = [0.0];
            kernel.dot_many(&a, &a, &mut out);
            assert_eq!(out, [f32::MAX], "{}", kernel.name());
        }
    }
    // Two infinite products that cancel on the way to a small sum.
    for kernel in available() {
        assert_eq!(kernel.dot(&[1e30, 1e30, 2.0], &[1e30, -1e30, 3.0]), 6.0, "{}", kernel.name());
    }
}

#[test]
fn norms_and_cosines_hold_at_every_magnitude() {
    let mut rng = StdRng::seed_from_u64(5);
    for magnitude in [1e-44f32, 1e-38, 1e-30, 1e-16, 1e-15, 1e-8, 1.0, 1e8, 1e15, 1e16, 1e30, 3e38] {
        for len in [1, 3, 100, 1100] {
            let a: Vec<f32> = (0..len).map(|_| magnitude * rng.random_range(0.5..1.0f32)).collect();
            let b: Vec<f32> = (0..len).map(|_| rng.random_range(-1.0..1.0f32)).collect();
            let length = dot_oracle(&a, &a).0.sqrt();
            let cosine = dot_oracle(&a, &b).0 / length / dot_oracle(&b, &b).0.sqrt();
            for kernel in available() {
                let context = format!("{} {magnitude:e} × {len}", kernel.name());
                let norm = f64::from(kernel.norm(&a));
                let expected = length.min(f64::from(f32::MAX));
                assert!(
                    (norm - expected).abs() <= 1e-5 * expected + 1e-45,
                    "{context}: {norm:e}, not {length:e}"
                );
                assert!((kernel.unit(&a).iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4, "{context}");
                let inverse = kernel.inverse_norm(&a);
                assert!(inverse > 0.0 && inverse.is_finite(), "{context}");
                let found = kernel.cosine(&kernel.unit(&b), &a, inverse);
                assert!((f64::from(found) - cosine).abs() < 1e-5, "{context}: cosine {found}, not {cosine}");
                let itself = kernel.cosine(&kernel.unit(&a), &a, inverse);
                assert!((0.99999..=1.0).contains(&itself), "{context}: cosine with itself {itself}");
            }
        }
    }
}

#[test]
fn a_vector_of_zeros_has_norm_and_cosine_zero() {
    let (zeros, other) = ([0.0; 5], [1.0, 2.0, 3.0, 4.0, 5.0]);
    for kernel in available() {
        assert_eq!((kernel.norm(&zeros), kernel.inverse_norm(&zeros)), (0.0, 0.0));
        assert_eq!(kernel.unit(&zeros), zeros);
        assert_eq!(kernel.cosine(&kernel.unit(&other), &zeros, 0.0), 0.0);
        assert_eq!(kernel.cosine(&kernel.unit(&zeros), &other, kernel.inverse_norm(&other)), 0.0);
    }
}

#[test]
fn wrong_shapes_are_refused_before_memory_is_touched() {
    let refused = |f: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();
    for kernel in available() {
        let (four, three) = ([1.0; 4], [1.0; 3]);
        assert!(refused(&|| _ = kernel.dot(&four, &three)) && refused(&|| _ = kernel.l2(&three, &four)));
        assert!(refused(&|| kernel.dot_many(&four, &three, &mut [0.0])));
        assert!(refused(&|| kernel.dot_gather(&three, &[1.0; 6], &[2], &mut [0.0])));
        assert!(refused(&|| kernel.l2_gather(&three, &[1.0; 6], &[0], &mut [0.0, 0.0])));
        assert!(refused(&|| kernel.l2_many(&three, &four, &mut [0.0])));
        assert!(refused(&|| kernel.cosine_many(&four, &four, &[], &mut [0.0])));
    }
}

#[test]
fn the_best_kernel_is_chosen_unless_a_lower_one_is_named() {
    let kernels = available();
    assert_eq!(kernels.last().map(|k| k.name()), Some("scalar"));
    let best = kernels[0].name();
    assert_eq!(choose(&kernels, None).name(), best);
    for unknown in ["", "sse9", "avx2 avx512"] {
        assert_eq!(choose(&kernels, Some(unknown)).name(), best);
    }
    for kernel in &kernels {
        assert_eq!(choose(&kernels, Some(kernel.name())).name(), kernel.name());
        assert_eq!(choose(&kernels, Some(&kernel.name().to_uppercase())).name(), kernel.name());
    }
    // A name that exists but cannot run here.
    assert_eq!(choose(&[&scalar::KERNEL], Some("avx512")).name(), "scalar");
    assert!(kernels.iter().any(|k| std::ptr::eq(*k, active())));
}
