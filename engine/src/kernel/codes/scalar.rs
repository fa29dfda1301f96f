//! Codes without any instruction set of their own.

use super::Loops;

pub(in super::super) static LOOPS: Loops = Loops { many, gather, pair };

fn many(query: &[i16], rows: &[u8], out: &mut [f32]) {
    for (score, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
        *score = one(query, row);
    }
}

fn gather(query: &[i16], rows: &[u8], ids: &[u32], out: &mut [f32]) {
    for (score, &id) in out.iter_mut().zip(ids) {
        let start = id as usize * query.len();
        *score = one(query, &rows[start..start + query.len()]);
    }
}

fn one(query: &[i16], row: &[u8]) -> f32 {
    sum(query.iter().zip(row).map(|(&a, &b)| i32::from(a) - i32::from(b)))
}

fn pair(a: &[u8], b: &[u8]) -> f32 {
    sum(a.iter().zip(b).map(|(&a, &b)| i32::from(a) - i32::from(b)))
}

/// Sum of squares, rounded once.
fn sum(differences: impl Iterator<Item = i32>) -> f32 {
    differences.map(|d| i64::from(d * d)).sum::<i64>() as f32
}
