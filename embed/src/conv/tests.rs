//! Convolutions against the sum as written, in f64, for every kernel that this machine has and both ways to run.

use super::*;
use crate::kernel::tests::numbers;
use crate::kernel::{Kernel, available};

/// A layer and its inputs, generated.
struct Case {
    inputs: usize,
    outputs: usize,
    height: usize,
    width: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
    pictures: Vec<Vec<f32>>,
}

impl Case {
    fn new(inputs: usize, outputs: usize, (height, width): (usize, usize), pictures: usize) -> Self {
        let mut next = numbers((inputs * 31 + outputs * 7 + height) as u64);
        let mut take = |count: usize| -> Vec<f32> { (0..count).map(|_| next()).collect() };
        Self {
            inputs,
            outputs,
            height,
            width,
            weights: take(outputs * inputs * 9),
            bias: take(outputs),
            pictures: (0..pictures).map(|_| take(inputs * height * width)).collect(),
        }
    }

    fn kernel(&self) -> Kernel3x3<'_> {
        let Self { inputs, outputs, .. } = *self;
        Kernel3x3 { weights: &self.weights, bias: &self.bias, outputs, inputs }
    }

    fn maps(&self) -> Vec<Map> {
        let map = |picture: &Vec<f32>| Map::from_planes(self.inputs, self.height, self.width, picture);
        self.pictures.iter().map(map).collect()
    }

    fn value(&self, picture: usize, channel: usize, y: isize, x: isize) -> f64 {
        let inside = (0..self.height as isize).contains(&y) && (0..self.width as isize).contains(&x);
        let at = |y: isize, x: isize| (channel * self.height + y as usize) * self.width + x as usize;
        if inside { f64::from(self.pictures[picture][at(y, x)]) } else { 0.0 }
    }

    /// The sum as written, then ReLU.
    fn output(&self, picture: usize, output: usize, y: usize, x: usize) -> f64 {
        let mut sum = f64::from(self.bias[output]);
        for (input, place) in (0..self.inputs).flat_map(|input| (0..9).map(move |place| (input, place))) {
            let weight = self.weights[(output * self.inputs + input) * 9 + place];
            let (y, x) = (y as isize + place as isize / 3 - 1, x as isize + place as isize % 3 - 1);
            sum += f64::from(weight) * self.value(picture, input, y, x);
        }
        sum.max(0.0)
    }

    /// As `[outputs, height, width]`, or half of each side after a pool.
    fn expected(&self, picture: usize, pool: bool) -> Vec<f64> {
        let step = if pool { 2 } else { 1 };
        let mut planes = Vec::new();
        for output in 0..self.outputs {
            for (y, x) in (0..self.height / step)
                .flat_map(|y| (0..self.width / step).map(move |x| (y * step, x * step)))
            {
                let near = (0..step).flat_map(|dy| (0..step).map(move |dx| (y + dy, x + dx)));
                planes.push(near.map(|(y, x)| self.output(picture, output, y, x)).fold(0.0, f64::max));
            }
        }
        planes
    }

    fn run(&self, kernel: &'static Kernel, pool: bool) -> Vec<Map> {
        let conv = WinogradConv::new(kernel, &self.kernel(), pool);
        let step = if pool { 2 } else { 1 };
        let output = || Map::new(self.outputs, self.height / step, self.width / step);
        let mut outputs: Vec<Map> = self.pictures.iter().map(|_| output()).collect();
        let scratch = Scratch::default();
        // Twice: what the first run left in the buffers must not matter.
        for _ in 0..2 {
            conv.forward(&self.maps(), &mut outputs, &mut Buffer::default(), &scratch);
        }
        outputs
    }
}

/// The largest difference, as a share of the root of the mean square.
fn worst(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let size = (expected.iter().map(|value| value * value).sum::<f64>() / expected.len() as f64).sqrt();
    found.iter().zip(expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max) / size
}

/// Channels in and out, sides, pictures: 128 inputs go one way and 144 the other.
const SHAPES: [(usize, usize, (usize, usize), usize); 8] = [
    (16, 32, (1, 1), 1),
    (16, 64, (14, 6), 2),
    (128, 32, (8, 58), 1),
    (144, 64, (14, 14), 3),
    (144, 32, (2, 30), 2),
    (160, 96, (5, 3), 1),
    // 25 tiles, of which five pictures' fit into an item, and a pool that leaves whole tiles half full.
    (144, 32, (20, 20), 6),
    (256, 32, (50, 42), 1),
];

#[test]
fn winograd_equals_the_sum_as_written() {
    for (inputs, outputs, sides, pictures) in SHAPES {
        let case = Case::new(inputs, outputs, sides, pictures);
        for pool in [false, true] {
            if pool && (sides.0 % 2 == 1 || sides.1 % 2 == 1) {
                continue;
            }
            let expected: Vec<_> = (0..pictures).map(|picture| case.expected(picture, pool)).collect();
            for kernel in available() {
                for (map, expected) in case.run(kernel, pool).iter().zip(&expected) {
                    let worst = worst(&map.planes(), expected);
                    assert!(worst < 2e-5, "{kernel:?} {inputs} {outputs} {sides:?} {pool}: {worst}");
                    assert!(map.border_is_zero(), "{kernel:?} {inputs} {outputs} {sides:?} {pool}");
                }
            }
        }
    }
}

#[test]
fn the_first_layer_equals_the_sum_as_written() {
    for sides in [(1, 1), (5, 7), (12, 9)] {
        let case = Case::new(3, 64, sides, 1);
        let (height, width) = sides;
        let mut padded = vec![0.0; (height + 2) * (width + 2) * 3];
        for (at, value) in padded.iter_mut().enumerate() {
            let (y, x) = ((at / 3 / (width + 2)) as isize - 1, (at / 3 % (width + 2)) as isize - 1);
            *value = case.value(0, at % 3, y, x) as f32;
        }
        for kernel in available() {
            let mut map = Map::new(64, height, width);
            FirstConv::new(kernel, &case.kernel()).forward(&padded, &mut map, &Scratch::default());
            let worst = worst(&map.planes(), &case.expected(0, false));
            assert!(worst < 2e-6, "{kernel:?} {sides:?}: {worst}");
            assert!(map.border_is_zero(), "{kernel:?} {sides:?}");
        }
    }
}

#[test]
fn neither_threads_nor_the_batch_change_a_bit() {
    for (inputs, outputs, sides, _) in SHAPES {
        let case = Case::new(inputs, outputs, sides, 5);
        let alone = Case { pictures: vec![case.pictures[4].clone()], ..Case::new(inputs, outputs, sides, 5) };
        for kernel in available() {
            let run = |case: &Case, threads: usize| -> Vec<Vec<f32>> {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| case.run(kernel, false).iter().map(Map::planes).collect())
            };
            let one = run(&case, 1);
            assert!(one == run(&case, 3), "{kernel:?} {inputs} {outputs} {sides:?}");
            assert!(one == run(&case, 16), "{kernel:?} {inputs} {outputs} {sides:?}");
            assert!(one[4] == run(&alone, 2)[0], "{kernel:?} {inputs} {outputs} {sides:?}");
        }
    }
}
