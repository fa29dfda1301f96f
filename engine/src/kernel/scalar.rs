//! Distances without any instruction set of their own: what runs everywhere (and under Miri), and the same sums in
//! f64. The f64 forms decide what a score is when f32 cannot hold it or a step on the way to it.

use super::Kernel;

/// Partial sums of a row. The compiler turns them into whatever vectors the target's baseline has.
const LANES: usize = 16;

/// The portable kernel; runs on any machine.
pub(super) static KERNEL: Kernel = Kernel {
    name: "scalar",
    dot: one::<false>,
    l2: one::<true>,
    dot_many: many::<false>,
    l2_many: many::<true>,
    dot_gather: gather::<false>,
    l2_gather: gather::<true>,
    codes: &super::codes::scalar::LOOPS,
    tile: &super::tile::scalar::LOOPS,
};

fn many<const L2: bool>(query: &[f32], rows: &[f32], out: &mut [f32]) {
    if query.is_empty() {
        return out.fill(0.0);
    }
    for (score, row) in out.iter_mut().zip(rows.chunks_exact(query.len())) {
        *score = one::<L2>(query, row);
    }
}

fn gather<const L2: bool>(query: &[f32], rows: &[f32], ids: &[u32], out: &mut [f32]) {
    for (score, &id) in out.iter_mut().zip(ids) {
        *score = one::<L2>(query, super::row_of(rows, query.len(), id as usize));
    }
}

/// Σ(aᵢ-bᵢ)² or Σaᵢ·bᵢ.
fn one<const L2: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail = a.remainder().iter().zip(b.remainder());
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            lanes[lane] += term::<L2>(a[lane], b[lane]);
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(tail) {
        *lane += term::<L2>(a, b);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[inline(always)]
fn term<const L2: bool>(a: f32, b: f32) -> f32 {
    if L2 { (a - b) * (a - b) } else { a * b }
}

/// Σaᵢ·bᵢ in f64. Products of two f32 are exact there and cannot overflow, so for finite input the result is finite.
pub(super) fn dot_f64(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

/// Σ(aᵢ-bᵢ)² in f64; finite for finite input.
pub(super) fn l2_f64(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
}
