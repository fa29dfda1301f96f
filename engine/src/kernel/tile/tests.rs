//! The same checks for every kernel that this machine can run.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::kernel::available;

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

#[test]
fn masks_and_winners_are_those_of_exact_products_up_to_the_stated_error() {
    let mut rng = StdRng::seed_from_u64(1);
    for dim in (1..=70).chain([128, 383, 512, 1100]) {
        for (queries, rows) in [(WIDTH, 25), (3, 7), (1, 1)] {
            let mut vector =
                |n: usize| (0..n * dim).map(|_| rng.random_range(-1.0..1.0f32)).collect::<Vec<_>>();
            let (q, x) = (vector(queries), vector(rows));
            let shift: Vec<f32> = (0..rows).map(|r| (r % 3) as f32 * 0.1).collect();
            let scale: Vec<f32> = (0..rows).map(|r| 1.0 + (r % 2) as f32).collect();
            let panel = Panel::new(&q, dim);
            let exact =
                |query: usize, r: usize| dot(&q[query * dim..(query + 1) * dim], &x[r * dim..(r + 1) * dim]);
            let room = |query: usize, r: usize| {
                let norm = |v: &[f32]| dot(v, v).sqrt();
                let product = norm(&q[query * dim..(query + 1) * dim]) * norm(&x[r * dim..(r + 1) * dim]);
                4.0 * f64::from(error(dim)) * product + 1e-6
            };
            for kernel in available() {
                let bounds = [0.05; WIDTH];
                let mut masks = vec![0xffff; rows];
                kernel.tile_above(&panel, &x, &scale, &shift, &bounds, &mut masks);
                let mut best = Best::NONE;
                kernel.tile_best(&panel, &x, &shift, 100, &mut best);
                for query in 0..queries {
                    let mut most = f64::NEG_INFINITY;
                    for r in 0..rows {
                        let value = exact(query, r) * f64::from(scale[r]) + f64::from(shift[r]);
                        if (value - 0.05).abs() > room(query, r) {
                            let set = masks[r] >> query & 1 == 1;
                            assert_eq!(set, value > 0.05, "{} {dim} {query} {r}", kernel.name());
                        }
                        most = most.max(exact(query, r) + f64::from(shift[r]));
                    }
                    let winner = best.row[query] as usize - 100;
                    let found = exact(query, winner) + f64::from(shift[winner]);
                    assert!(most - found <= room(query, winner), "{} {dim} {query}", kernel.name());
                    assert!((f64::from(best.value[query]) - found).abs() <= room(query, winner));
                }
            }
        }
    }
}

#[test]
fn the_earlier_of_equal_rows_stays_and_what_is_no_number_is_looked_at() {
    for kernel in available() {
        let panel = Panel::new(&[1.0, 1.0], 2);
        let mut best = Best::NONE;
        kernel.tile_best(&panel, &[1.0; 14 * 2], &[0.0; 14], 5, &mut best);
        assert_eq!((best.value[0], best.row[0]), (2.0, 5), "{}", kernel.name());
        let mut masks = [0; 3];
        let rows = [f32::MAX, f32::MAX, -1.0, -1.0, 0.0, 0.0];
        let shift = [f32::NEG_INFINITY, f32::INFINITY, 0.0];
        kernel.tile_above(&panel, &rows, &[1.0; 3], &shift, &[9.0; WIDTH], &mut masks);
        assert_eq!([masks[0] & 1, masks[1] & 1, masks[2] & 1], [1, 1, 0], "{}", kernel.name());
    }
}

#[test]
fn wrong_shapes_are_refused_before_memory_is_touched() {
    let refused = |f: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();
    let panel = Panel::new(&[1.0, 2.0], 2);
    assert!(refused(&|| _ = Panel::new(&[0.0; 34], 2)) && refused(&|| _ = Panel::new(&[0.0; 3], 2)));
    for kernel in available() {
        assert!(refused(&|| kernel.tile_best(&panel, &[0.0; 3], &[0.0], 0, &mut { Best::NONE })));
        assert!(refused(&|| kernel.tile_above(&panel, &[0.0; 2], &[], &[0.0], &[0.0; WIDTH], &mut [0])));
        assert!(refused(&|| kernel.tile_above(
            &panel,
            &[0.0; 4],
            &[0.0; 2],
            &[0.0; 2],
            &[0.0; WIDTH],
            &mut [0]
        )));
    }
}
