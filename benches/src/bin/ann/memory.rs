//! How fast this machine reads memory: what an exact search cannot beat.

use std::time::Instant;

/// Bytes read at once: far beyond any cache.
const FLOATS: usize = 128 << 20;

/// Bytes a second that `threads` threads read together: a sum over half a gigabyte, best of some rounds.
pub(crate) fn read_bandwidth(threads: usize) -> f64 {
    let values = vec![1f32; FLOATS];
    let part = FLOATS / threads.max(1);
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let started = Instant::now();
        let total: f32 = std::thread::scope(|scope| {
            let sums: Vec<_> = values.chunks(part).map(|part| scope.spawn(move || sum(part))).collect();
            sums.into_iter().map(|sum| sum.join().unwrap_or(0.0)).sum()
        });
        std::hint::black_box(total);
        best = best.min(started.elapsed().as_secs_f64());
    }
    (FLOATS * size_of::<f32>()) as f64 / best
}

/// The engine's own kernel is the fastest reader there is in this program: a product with a short vector.
fn sum(values: &[f32]) -> f32 {
    let kernel = elanus_engine::kernel::active();
    let one = [1f32; 1024];
    let mut sums = [0f32; 64];
    values
        .chunks_exact(one.len() * sums.len())
        .map(|rows| {
            kernel.dot_many(&one, rows, &mut sums);
            sums.iter().sum::<f32>()
        })
        .sum()
}
