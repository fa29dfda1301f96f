//! The same checks for every kernel that this machine can run, against sums in i64.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::kernel::available;

/// Every number of blocks up to about 1,100 dimensions, and rows on both sides of the 32-bit limit.
fn lengths() -> impl Iterator<Item = usize> {
    (1..=35).map(|blocks| blocks * BLOCK).chain([4096, 4096 + BLOCK, 32_768 + BLOCK])
}

fn oracle(query: &[i16], row: &[u8]) -> f32 {
    query.iter().zip(row).map(|(&a, &b)| (i64::from(a) - i64::from(b)).pow(2)).sum::<i64>() as f32
}

type Fill = fn(&mut StdRng) -> (i16, u8);

/// Anything, and the ends of the ranges.
const VALUES: [Fill; 3] =
    [|rng| (rng.random_range(QUERY_RANGE), rng.random()), |_| (510, 0), |_| (-255, 255)];

#[test]
fn every_kernel_gives_the_exact_sum() {
    let mut rng = StdRng::seed_from_u64(1);
    for len in lengths() {
        for fill in VALUES {
            let (query, rows): (Vec<i16>, Vec<u8>) = (0..len * 5).map(|_| fill(&mut rng)).unzip();
            let query = &query[..len];
            let expected: Vec<f32> = rows.chunks_exact(len).map(|row| oracle(query, row)).collect();
            for kernel in available() {
                let mut out = [f32::NAN; 5];
                kernel.codes_many(query, &rows, &mut out);
                assert_eq!(out[..], expected, "{} many {len}", kernel.name());
                let ids = [4, 0, 3, 3, 1, 2, 4];
                let mut out = [f32::NAN; 7];
                kernel.codes_gather(query, &rows, &ids, &mut out);
                for (id, score) in ids.iter().zip(out) {
                    assert_eq!(score, expected[*id as usize], "{} gather {len}", kernel.name());
                }
                let (a, b) = (&rows[..len], &rows[len..2 * len]);
                let wide: Vec<i16> = a.iter().map(|&x| i16::from(x)).collect();
                assert_eq!(kernel.codes_pair(a, b), oracle(&wide, b), "{} pair {len}", kernel.name());
            }
        }
    }
}

#[test]
fn unaligned_starts_give_the_same() {
    let mut rng = StdRng::seed_from_u64(2);
    let query: Vec<i16> = (0..80).map(|_| rng.random_range(QUERY_RANGE)).collect();
    let rows: Vec<u8> = (0..200).map(|_| rng.random()).collect();
    for kernel in available() {
        for shift in 0..16 {
            let (query, row) = (&query[shift..shift + 64], &rows[3 * shift..3 * shift + 64]);
            let mut out = [0.0];
            kernel.codes_many(query, row, &mut out);
            assert_eq!(out[0], oracle(query, row), "{} at {shift}", kernel.name());
        }
    }
}

#[test]
fn wrong_shapes_are_refused_before_memory_is_touched() {
    let refused = |f: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();
    let (query, rows) = ([0i16; BLOCK], [0u8; 2 * BLOCK]);
    for kernel in available() {
        assert!(refused(&|| kernel.codes_many(&query, &rows, &mut [0.0])));
        assert!(refused(&|| kernel.codes_many(&query[1..], &rows[2..], &mut [0.0, 0.0])));
        assert!(refused(&|| kernel.codes_gather(&query, &rows, &[2], &mut [0.0])));
        assert!(refused(&|| kernel.codes_gather(&query, &rows, &[u32::MAX], &mut [0.0])));
        assert!(refused(&|| kernel.codes_gather(&query, &rows, &[0], &mut [])));
        assert!(refused(&|| _ = kernel.codes_pair(&rows[..BLOCK], &rows)));
        assert!(refused(&|| _ = kernel.codes_pair(&rows[..7], &rows[..7])));
    }
}
