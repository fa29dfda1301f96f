//! The same checks for every kernel that this machine can run, against sums in f64 and in integers. A new instruction
//! set is covered by being `available`.

use std::fmt::Debug;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::scalar::Widen;
use super::*;

mod floats;

use floats::*;

/// Lengths of every loop shape: empty, tails of all sizes, many rounds. Miri checks the fewer that it has time for.
const LENGTHS: std::ops::RangeInclusive<usize> = 0..=if cfg!(miri) { 20 } else { 1100 };

fn bytes(rng: &mut StdRng, len: usize) -> Vec<u8> {
    (0..len).map(|_| rng.random()).collect()
}

fn signed(bytes: &[u8]) -> Vec<i8> {
    bytes.iter().map(|byte| byte.cast_signed()).collect()
}

/// Runs a test of floats for each pair of types.
macro_rules! for_each_pair {
    ($test:ident($($argument:expr),*)) => {
        $test::<f16, f16>($($argument),*);
        $test::<f32, f16>($($argument),*);
        $test::<bf16, bf16>($($argument),*);
        $test::<f32, bf16>($($argument),*);
    };
}

fn check_bound<Q: Sample + Against<R>, R: Sample>(rng: &mut StdRng, len: usize, kind: &str) {
    let (a, b) = (vector::<Q>(rng, len, kind), vector::<R>(rng, len, kind));
    let opposite: Vec<R> = b.iter().map(|x| x.negative()).collect();
    let types = std::any::type_name::<(Q, R)>();
    for b in [b, opposite] {
        let (dot, l2) = (dot_oracle(&a, &b), l2_oracle(&a, &b));
        for kernel in available() {
            assert_within(kernel, &format!("dot of {len} {types} {kind}"), kernel.dot(&a, &b), dot);
            assert_within(kernel, &format!("l2 of {len} {types} {kind}"), kernel.l2(&a, &b), l2);
        }
    }
}

#[test]
fn every_length_and_kind_of_float_is_within_the_bound() {
    let mut rng = StdRng::seed_from_u64(1);
    for len in LENGTHS.chain([MAX_BYTES].into_iter().filter(|_| !cfg!(miri))) {
        for kind in KINDS {
            for_each_pair!(check_bound(&mut rng, len, kind));
        }
    }
}

/// Each element weighs 2^(its place mod 8), so one that is left out, doubled or paired with the wrong partner shows.
fn check_small_integers<Q: Sample + Against<R>, R: Sample>(len: usize) {
    let a: Vec<Q> = (0..len).map(|i| Q::of((1u32 << (i % 8)) as f32)).collect();
    let b: Vec<R> = (0..len).map(|i| R::of((i % 11) as f32)).collect();
    for kernel in available() {
        assert_eq!(f64::from(kernel.dot(&a, &b)), dot_oracle(&a, &b).0, "{} dot {len}", kernel.name());
        assert_eq!(f64::from(kernel.l2(&a, &b)), l2_oracle(&a, &b).0, "{} l2 {len}", kernel.name());
    }
}

#[test]
fn small_integers_are_exact() {
    for len in LENGTHS {
        for_each_pair!(check_small_integers(len));
    }
}

#[track_caller]
fn check_exact(a: &[u8], b: &[u8], context: &str) {
    let (a8, b8) = (signed(a), signed(b));
    let integers = || a8.iter().zip(&b8).map(|(&a, &b)| (i64::from(a), i64::from(b)));
    let dot: i64 = integers().map(|(a, b)| a * b).sum();
    let l2: i64 = integers().map(|(a, b)| (a - b) * (a - b)).sum();
    let bits = |combine: fn(u8, u8) -> u8| -> u32 {
        a.iter()
            .zip(b)
            .map(|(&a, &b)| (0..8).filter(|bit| combine(a, b) >> bit & 1 == 1).count() as u32)
            .sum()
    };
    let (differ, both, either) = (bits(|a, b| a ^ b), bits(|a, b| a & b), bits(|a, b| a | b));
    let jaccard = if either == 0 { 0.0 } else { 1.0 - f64::from(both) / f64::from(either) };
    for kernel in available() {
        let name = kernel.name();
        assert_eq!(i64::from(kernel.dot_i8(&a8, &b8)), dot, "{name} dot {context}");
        assert_eq!(i64::from(kernel.l2_i8(&a8, &b8)), l2, "{name} l2 {context}");
        assert_eq!(kernel.hamming(a, b), differ, "{name} hamming {context}");
        let error = (f64::from(kernel.jaccard(a, b)) - jaccard).abs();
        assert!(error <= jaccard * 2f64.powi(-24) + 2f64.powi(-50), "{name} jaccard {context}");
        assert_eq!(kernel.jaccard(a, b), scalar::KERNEL.jaccard(a, b), "{name} jaccard {context}");
    }
}

#[test]
fn integers_and_bits_are_exact() {
    let mut rng = StdRng::seed_from_u64(2);
    for len in LENGTHS.chain([MAX_BYTES - 1, MAX_BYTES].into_iter().filter(|_| !cfg!(miri))) {
        check_exact(&bytes(&mut rng, len), &bytes(&mut rng, len), &format!("{len}"));
        // As i8: 0, -1, 127, -128. As bits: none, all, all but one, one.
        for (a, b) in [(0, 0), (0, 255), (255, 255), (127, 127), (127, 128), (128, 127), (128, 128), (128, 0)]
        {
            check_exact(&vec![a; len], &vec![b; len], &format!("{len} of {a} and {b}"));
        }
    }
}

fn bits<Q: Against<R>, R: Sample>(kernel: &NarrowKernel, a: &[Q], b: &[R]) -> (u32, u32) {
    (kernel.dot(a, b).to_bits(), kernel.l2(a, b).to_bits())
}

/// Shifts of the two vectors, in elements.
const SHIFTS: [(usize, usize); 6] = [(1, 0), (0, 1), (3, 7), (13, 2), (15, 15), (31, 33)];

fn framed<T: Copy>(vector: &[T], shift: usize, frame: T) -> Vec<T> {
    [&vec![frame; shift], vector, &[frame; 64]].concat()
}

fn check_unaligned<Q: Sample + Against<R>, R: Sample>(rng: &mut StdRng, len: usize) {
    let (a, b) = (vector::<Q>(rng, len, KINDS[0]), vector::<R>(rng, len, KINDS[0]));
    for kernel in available() {
        for (shift_a, shift_b) in SHIFTS {
            let (wide_a, wide_b) =
                (framed(&a, shift_a, Q::of(f32::NAN)), framed(&b, shift_b, R::of(f32::NAN)));
            let found = bits(kernel, &wide_a[shift_a..][..len], &wide_b[shift_b..][..len]);
            assert_eq!(found, bits(kernel, &a, &b), "{} {len} at {shift_a}, {shift_b}", kernel.name());
        }
    }
}

/// What lies around the vectors must not be read into the sum, wherever they start.
#[test]
fn unaligned_starts_give_the_same_bits() {
    let mut rng = StdRng::seed_from_u64(3);
    for len in LENGTHS.step_by(7).chain(if cfg!(miri) { 0..5 } else { 0..70 }) {
        for_each_pair!(check_unaligned(&mut rng, len));
        let (a, b) = (bytes(&mut rng, len), bytes(&mut rng, len));
        for (shift_a, shift_b) in SHIFTS {
            let (wide_a, wide_b) = (framed(&a, shift_a, 0xa7), framed(&b, shift_b, 0x5c));
            check_exact(&wide_a[shift_a..][..len], &wide_b[shift_b..][..len], &format!("{len} unaligned"));
        }
    }
}

/// Some of nine rows in one call, against each of them alone.
fn check_block<Q, R, S: Debug + Clone>(
    query: &[Q],
    matrix: &[R],
    many: impl Fn(&[Q], &[R], &mut [S]),
    one: impl Fn(&[Q], &[R]) -> S,
    unwritten: S,
) {
    let dim = query.len();
    for (from, to) in [(0, 0), (0, 1), (0, 9), (1, 4), (2, 9), (3, 8)] {
        let mut found = vec![unwritten.clone(); to - from];
        many(query, &matrix[from * dim..to * dim], &mut found);
        let alone: Vec<S> = (from..to).map(|i| one(query, &matrix[i * dim..(i + 1) * dim])).collect();
        // As text, which tells all values of f32 apart.
        assert_eq!(format!("{found:?}"), format!("{alone:?}"), "{from}..{to} of {dim}");
    }
}

/// [`check_block`] of a distance by the names of its two forms. The last argument is a score that no row has.
macro_rules! check_block {
    ($kernel:ident, $many:ident, $one:ident, $query:expr, $matrix:expr, $unwritten:expr) => {
        check_block(
            &$query,
            &$matrix,
            |q, r, out| $kernel.$many(q, r, out),
            |q, r| $kernel.$one(q, r),
            $unwritten,
        )
    };
}

fn check_blocks<Q: Sample + Against<R>, R: Sample>(rng: &mut StdRng, dim: usize) {
    for kind in KINDS {
        let (query, matrix) = (vector::<Q>(rng, dim, kind), vector::<R>(rng, dim * 9, kind));
        for kernel in available() {
            check_block!(kernel, dot_many, dot, query, matrix, 0.5);
            check_block!(kernel, l2_many, l2, query, matrix, 0.5);
        }
    }
}

#[test]
fn a_row_scores_the_same_alone_and_in_any_block() {
    let mut rng = StdRng::seed_from_u64(4);
    for dim in (0..=70).chain([127, 128, 129, 384, 512, 1000, 1100]).filter(|&dim| !cfg!(miri) || dim == 17) {
        for_each_pair!(check_blocks(&mut rng, dim));
        let (query, matrix) = (bytes(&mut rng, dim), bytes(&mut rng, dim * 9));
        let (query8, matrix8) = (signed(&query), signed(&matrix));
        for kernel in available() {
            check_block!(kernel, dot_i8_many, dot_i8, query8, matrix8, i32::MIN);
            check_block!(kernel, l2_i8_many, l2_i8, query8, matrix8, u32::MAX);
            check_block!(kernel, hamming_many, hamming, query, matrix, u32::MAX);
            check_block!(kernel, jaccard_many, jaccard, query, matrix, 2.0);
        }
    }
}

#[test]
fn what_f32_cannot_hold_is_held_at_its_ends() {
    for len in [1, 2, 7, 8, 33, 515] {
        let (high, low) = (vec![bf16::MAX; len], vec![bf16::MIN; len]);
        let (query, halves) = (vec![f32::MAX; len], vec![f16::MAX; len]);
        for kernel in available() {
            assert_eq!(kernel.dot(&high, &high), f32::MAX, "{}", kernel.name());
            assert_eq!(kernel.dot(&high, &low), f32::MIN, "{}", kernel.name());
            assert_eq!(kernel.l2(&high, &low), f32::MAX, "{}", kernel.name());
            assert_eq!((kernel.dot(&query, &halves), kernel.dot(&query, &low)), (f32::MAX, f32::MIN));
            let mut out = [0.0];
            kernel.l2_many(&query, &low, &mut out);
            assert_eq!(out, [f32::MAX], "{}", kernel.name());
        }
    }
    // Two infinite products that cancel on the way to a small sum.
    let [a, b] = [[1e30, 1e30, 2.0], [1e30, -1e30, 3.0]].map(|v| v.map(bf16::from_f32));
    for kernel in available() {
        assert_eq!(kernel.dot(&a, &b), 6.0, "{}", kernel.name());
    }
}

#[test]
fn every_bit_pattern_is_widened_as_half_does() {
    for bits in 0..=u16::MAX {
        let (half, brain) = (f16::from_bits(bits), bf16::from_bits(bits));
        for (found, expected) in [(half.widen(), half.to_f32_const()), (brain.widen(), brain.to_f32_const())]
        {
            assert!(
                found.to_bits() == expected.to_bits() || (found.is_nan() && expected.is_nan()),
                "{bits:#x}"
            );
        }
        for kernel in available() {
            let scores = (kernel.dot(&[1.0f32], &[half]), kernel.dot(&[1.0f32], &[brain]));
            let kept = |score: f32, x: f32| {
                score == x || x.is_nan() || (x.is_infinite() && score == f32::MAX.copysign(x))
            };
            assert!(kept(scores.0, half.to_f32_const()) && kept(scores.1, brain.to_f32_const()), "{bits:#x}");
        }
    }
}

#[test]
fn wrong_shapes_are_refused() {
    let refused = |f: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();
    for kernel in available() {
        let (four, three, floats) = ([f16::ONE; 4], [f16::ONE; 3], [1.0f32; 4]);
        assert!(refused(&|| _ = kernel.dot(&four, &three)) && refused(&|| _ = kernel.l2(&floats, &three)));
        assert!(refused(&|| kernel.dot_many(&floats, &three, &mut [0.0])));
        assert!(refused(&|| kernel.l2_many(&three, &four, &mut [0.0])));
        assert!(refused(&|| kernel.l2_many(&three, &[], &mut [0.0])));
        assert!(refused(&|| _ = kernel.dot_i8(&[1; 4], &[1; 3])) && refused(&|| _ = kernel.l2_i8(&[], &[1])));
        assert!(
            refused(&|| _ = kernel.hamming(&[1], &[])) && refused(&|| _ = kernel.jaccard(&[1; 9], &[1; 8]))
        );
        assert!(refused(&|| kernel.dot_i8_many(&[1; 4], &[1; 9], &mut [0; 2])));
        assert!(refused(&|| kernel.l2_i8_many(&[1; 4], &[1; 8], &mut [0; 3])));
        assert!(refused(&|| kernel.hamming_many(&[1; 4], &[1; 8], &mut [0])));
        assert!(refused(&|| kernel.jaccard_many(&[], &[1; 8], &mut [0.0])));
        let long = vec![0; MAX_BYTES + 1];
        let signed = signed(&long);
        assert!(
            refused(&|| _ = kernel.dot_i8(&signed, &signed))
                && refused(&|| _ = kernel.l2_i8(&signed, &signed))
        );
        assert!(
            refused(&|| _ = kernel.hamming(&long, &long)) && refused(&|| _ = kernel.jaccard(&long, &long))
        );
        assert!(refused(&|| kernel.l2_i8_many(&signed, &signed, &mut [0])));
        assert!(refused(&|| kernel.jaccard_many(&long, &long, &mut [0.0])));
    }
}

#[test]
fn the_best_kernel_is_chosen_unless_a_lower_one_is_named() {
    let kernels = available();
    assert_eq!(kernels.last().map(|k| k.name()), Some("scalar"));
    for unknown in [None, Some(""), Some("sse9"), Some("avx2 avx512")] {
        assert!(std::ptr::eq(choose(&kernels, unknown), kernels[0]));
    }
    for kernel in &kernels {
        assert_eq!(choose(&kernels, Some(kernel.name())).name(), kernel.name());
        assert_eq!(choose(&kernels, Some(&kernel.name().to_uppercase())).name(), kernel.name());
    }
    // A name that exists but cannot run here.
    assert_eq!(choose(&[&scalar::KERNEL], Some("avx512")).name(), "scalar");
    assert!(kernels.iter().any(|k| std::ptr::eq(*k, active())));
}
