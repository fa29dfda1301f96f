//! A blocked matrix product in registers: some points, each a row of `depth` values, times a panel of weights, `depth`
//! rows of 16 or 32 outputs (the inner loop of Goto and van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication", 2008). One value of each point is spread over a register and multiplied with the outputs' weights.

use super::lanes::Lanes;
use super::{LINE, Line};

/// Sums that [`multiply_nothing`] keeps in flight: more than enough to hide the latency of a multiplication.
pub(super) const CHAINS: usize = 12;

/// Pointers of one product; [`super::Kernel::multiply`] checks them.
pub(super) struct Product {
    /// The first point's first 16 values. The points' lines follow each other.
    pub(super) points: *const Line,
    /// Points, at least 1.
    pub(super) count: usize,
    /// Lines from 16 values of a point to its next 16.
    pub(super) stride: usize,
    /// Lines of a point: its depth divided by 16.
    pub(super) blocks: usize,
    /// The weights, `depth` rows of a panel's width.
    pub(super) panel: *const Line,
    /// The sums, `count` rows of a panel's width.
    pub(super) sums: *mut Line,
    /// The weights that are wanted next; only asked for, never read.
    pub(super) next: *const Line,
}

/// Multiplies all points, `N` registers of outputs wide and at most `MAX` (up to 12) points at a time.
///
/// # Safety
/// The processor has `V`'s instruction set, and the pointers are good for what [`Product`] says.
#[inline(always)]
pub(super) unsafe fn multiply<V: Lanes, const N: usize, const MAX: usize>(product: &Product) {
    // Groups of nearly one size: a last group of one or two points would leave most of the processor idle.
    let groups = product.count.div_ceil(MAX);
    let (size, larger) = (product.count / groups, product.count % groups);
    // A panel is read from far memory once and then from the cache for each group. So the next one is asked for a bit at
    // a time during all of them; otherwise the first group waits for memory and the others leave it idle.
    let lines = product.blocks * N * V::WIDTH;
    let share = lines.div_ceil(groups * product.blocks);
    let mut first = 0;
    for group in 0..groups {
        let count = size + usize::from(group < larger);
        let fetch = Fetch { from: product.next.wrapping_add(group * product.blocks * share), share };
        // SAFETY: the groups are `product.count` points together, and none has more than MAX.
        unsafe {
            match count {
                12 if MAX >= 12 => rows::<V, N, 12>(product, first, &fetch),
                11 if MAX >= 12 => rows::<V, N, 11>(product, first, &fetch),
                10 if MAX >= 12 => rows::<V, N, 10>(product, first, &fetch),
                9 if MAX >= 12 => rows::<V, N, 9>(product, first, &fetch),
                8 if MAX >= 12 => rows::<V, N, 8>(product, first, &fetch),
                7 if MAX >= 12 => rows::<V, N, 7>(product, first, &fetch),
                6 if MAX >= 6 => rows::<V, N, 6>(product, first, &fetch),
                5 if MAX >= 6 => rows::<V, N, 5>(product, first, &fetch),
                4 if MAX >= 6 => rows::<V, N, 4>(product, first, &fetch),
                3 if MAX >= 6 => rows::<V, N, 3>(product, first, &fetch),
                2 => rows::<V, N, 2>(product, first, &fetch),
                _ => rows::<V, N, 1>(product, first, &fetch),
            }
        }
        first += count;
    }
}

/// Lines to ask for while multiplying: `share` of them for each 16 values.
struct Fetch {
    from: *const Line,
    share: usize,
}

/// `R` points from the point `first` on.
///
/// # Safety
/// As [`multiply`]; there are that many points.
#[inline(always)]
unsafe fn rows<V: Lanes, const N: usize, const R: usize>(product: &Product, first: usize, fetch: &Fetch) {
    // SAFETY: the processor has the instruction set; the offsets below stay within what `Product` says: a line of R
    // points at each block, N registers for each value of a point, as many sums as points times registers.
    unsafe {
        let mut sums = [[V::splat(0.0); N]; R];
        let mut panel = product.panel.cast::<f32>();
        for block in 0..product.blocks {
            for line in 0..fetch.share {
                V::fetch(fetch.from.wrapping_add(block * fetch.share + line));
            }
            let points = product.points.add(block * product.stride + first).cast::<f32>();
            for value in 0..LINE {
                let mut weights = [V::splat(0.0); N];
                for (n, weights) in weights.iter_mut().enumerate() {
                    *weights = V::load(panel.add(n * V::WIDTH));
                }
                for (r, sums) in sums.iter_mut().enumerate() {
                    let point = V::splat(points.add(r * LINE + value).read());
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        *sum = point.mul_add(weights, *sum);
                    }
                }
                panel = panel.add(N * V::WIDTH);
            }
        }
        let to = product.sums.cast::<f32>().add(first * N * V::WIDTH);
        for (r, sums) in sums.iter().enumerate() {
            for (n, sum) in sums.iter().enumerate() {
                sum.store(to.add((r * N + n) * V::WIDTH));
            }
        }
    }
}

/// Multiplies and adds in registers only, for `rounds` of [`CHAINS`] independent sums: what the processor can do at best.
///
/// # Safety
/// The processor has `V`'s instruction set.
#[inline(always)]
pub(super) unsafe fn multiply_nothing<V: Lanes>(rounds: usize) -> f32 {
    // SAFETY: the processor has the instruction set, and a line holds a register.
    unsafe {
        let factor = V::splat(std::hint::black_box(0.999));
        let addend = V::splat(std::hint::black_box(0.001));
        let mut sums = [factor; CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = sum.mul_add(factor, addend);
            }
        }
        let mut total = factor;
        for sum in sums {
            total = total.add(sum);
        }
        let mut line = Line::ZERO;
        total.store(line.0.as_mut_ptr());
        line.0[0]
    }
}
