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
    /// Of the convolution.
    size: usize,
    stride: usize,
    weights: Vec<f32>,
    bias: Vec<f32>,
    pictures: Vec<Vec<f32>>,
}

impl Case {
    /// 3x3, of stride 1.
    fn new(inputs: usize, outputs: usize, sides: (usize, usize), pictures: usize) -> Self {
        Self::with(inputs, outputs, sides, pictures, (3, 1))
    }

    fn with(
        inputs: usize,
        outputs: usize,
        (height, width): (usize, usize),
        pictures: usize,
        (size, stride): (usize, usize),
    ) -> Self {
        let mut next = numbers((inputs * 31 + outputs * 7 + height) as u64);
        let mut take = |count: usize| -> Vec<f32> { (0..count).map(|_| next()).collect() };
        Self {
            inputs,
            outputs,
            height,
            width,
            size,
            stride,
            weights: take(outputs * inputs * size * size),
            bias: take(outputs),
            pictures: (0..pictures).map(|_| take(inputs * height * width)).collect(),
        }
    }

    fn kernel(&self) -> Kernel2d<'_> {
        let Self { inputs, outputs, size, .. } = *self;
        Kernel2d { weights: &self.weights, bias: &self.bias, outputs, inputs, size }
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

    /// The sum as written.
    fn sum(&self, picture: usize, output: usize, y: usize, x: usize) -> f64 {
        let (size, mut sum) = (self.size, f64::from(self.bias[output]));
        for (input, place) in
            (0..self.inputs).flat_map(|input| (0..size * size).map(move |place| (input, place)))
        {
            let weight = self.weights[(output * self.inputs + input) * size * size + place];
            let at = |pixel: usize, place: usize| (pixel * self.stride + place) as isize - size as isize / 2;
            sum += f64::from(weight) * self.value(picture, input, at(y, place / size), at(x, place % size));
        }
        sum
    }

    /// As `[outputs, height, width]` divided by the stride, without ReLU.
    fn sums(&self, picture: usize) -> Vec<f64> {
        let (height, width) = (self.height / self.stride, self.width / self.stride);
        let pixels = (0..self.outputs * height * width)
            .map(|at| self.sum(picture, at / width / height, at / width % height, at % width));
        pixels.collect()
    }

    /// The picture with a border as [`FirstConv`] takes it.
    fn padded(&self) -> Vec<f32> {
        let border = self.size / 2;
        let (height, width) = (self.height + 2 * border, self.width + 2 * border);
        let value = |at: usize| {
            let (y, x) = (at / 3 / width, at / 3 % width);
            self.value(0, at % 3, y as isize - border as isize, x as isize - border as isize) as f32
        };
        (0..height * width * 3).map(value).collect()
    }

    /// With ReLU, as `[outputs, height, width]`, or half of each side after a pool.
    fn expected(&self, picture: usize, pool: bool) -> Vec<f64> {
        let step = if pool { 2 } else { 1 };
        let mut planes = Vec::new();
        for output in 0..self.outputs {
            for (y, x) in (0..self.height / step)
                .flat_map(|y| (0..self.width / step).map(move |x| (y * step, x * step)))
            {
                let near = (0..step).flat_map(|dy| (0..step).map(move |dx| (y + dy, x + dx)));
                planes.push(near.map(|(y, x)| self.sum(picture, output, y, x)).fold(0.0, f64::max));
            }
        }
        planes
    }

    fn run(&self, kernel: &'static Kernel, pool: bool) -> Vec<Map> {
        let conv = WinogradConv::new(kernel, &self.kernel(), pool);
        let step = if pool { 2 } else { 1 };
        let output = || Map::new(self.outputs, self.height / step, self.width / step);
        let mut outputs: Vec<Map> = self.pictures.iter().map(|_| output()).collect();
        let (scratch, mut patches) = (full_of_nan(), Buffer::default());
        // Twice: what the first run left in the buffers must not matter.
        for _ in 0..2 {
            patches.lines(5000).fill(NAN);
            conv.forward(&self.maps(), &mut outputs, &mut patches, &scratch);
        }
        outputs
    }
}

const NAN: Line = Line([f32::NAN; LINE]);

/// Buffers in which another layer has left what is no number.
fn full_of_nan() -> Scratch {
    let scratch = Scratch::default();
    scratch.with(|buffers| buffers.iter_mut().for_each(|buffer| buffer.lines(5000).fill(NAN)));
    scratch
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
    for (sides, shape) in [((1, 1), (3, 1)), ((5, 7), (3, 1)), ((12, 9), (3, 1)), ((12, 8), (7, 2))] {
        let case = Case::with(3, 64, sides, 1, shape);
        let relu: Vec<f64> = case.sums(0).into_iter().map(|sum| sum.max(0.0)).collect();
        for kernel in available() {
            let mut map = Map::new(64, sides.0 / shape.1, sides.1 / shape.1);
            let conv = FirstConv::new(kernel, &case.kernel(), shape.1);
            conv.forward(&case.padded(), &mut map, &full_of_nan());
            let worst = worst(&map.planes(), &relu);
            assert!(worst < 2e-6, "{kernel:?} {sides:?}: {worst}");
            assert!(map.border_is_zero(), "{kernel:?} {sides:?}");
        }
    }
}

#[test]
fn gathered_convolutions_equal_the_sum_as_written() {
    for (inputs, outputs, sides, shape) in [
        (16, 32, (1, 1), (1, 1)),
        (64, 96, (7, 7), (1, 1)),
        (48, 64, (30, 10), (1, 1)),
        (32, 64, (14, 6), (1, 2)),
        (32, 32, (14, 10), (3, 2)),
    ] {
        let case = Case::with(inputs, outputs, sides, 3, shape);
        let (height, width) = (sides.0 / shape.1, sides.1 / shape.1);
        let before = Case::new(outputs, 32, (height, width), 3);
        for (kernel, ending) in available()
            .into_iter()
            .flat_map(|kernel| [Ending::Sum, Ending::Relu, Ending::AddRelu].map(|ending| (kernel, ending)))
        {
            let conv = GatheredConv::new(kernel, &case.kernel(), shape.1, ending);
            let mut outputs = before.maps();
            conv.forward(&case.maps(), &mut outputs, &full_of_nan());
            for (picture, map) in outputs.iter().enumerate() {
                let sums = case.sums(picture).into_iter().zip(&before.pictures[picture]);
                let expected: Vec<f64> = sums
                    .map(|(sum, &before)| match ending {
                        Ending::Sum => sum,
                        Ending::Relu => sum.max(0.0),
                        Ending::AddRelu => (sum + f64::from(before)).max(0.0),
                    })
                    .collect();
                let worst = worst(&map.planes(), &expected);
                // Up to 288 products are rounded as they are added.
                assert!(worst < 5e-6, "{kernel:?} {inputs} {sides:?} {shape:?} {ending:?}: {worst}");
                assert!(map.border_is_zero(), "{kernel:?} {sides:?} {shape:?}");
            }
            let alone = &mut before.maps()[1..2];
            conv.forward(&case.maps()[1..2], alone, &Scratch::default());
            assert!(alone[0].planes() == outputs[1].planes(), "the batch does not matter");
        }
    }
}

#[test]
fn fully_connected_layers_equal_the_sum_as_written() {
    // 32 channels of 3x3 positions to 96 values, as a convolution that covers the picture.
    let case = Case::with(32, 96, (3, 3), 5, (3, 1));
    for kernel in available() {
        let dense = Dense::new(kernel, &case.weights, &case.bias, 9);
        let rows = dense.forward(&Rows::flatten(&case.maps()));
        for (picture, found) in rows.values().enumerate() {
            let middle = |output: usize| case.sum(picture, output, 1, 1).max(0.0);
            let worst = worst(&found, &(0..96).map(middle).collect::<Vec<_>>());
            assert!(worst < 2e-6, "{kernel:?}: {worst}");
        }
        // And on from one row of values.
        let next = Case::with(96, 32, (1, 1), 1, (1, 1));
        let found = Dense::new(kernel, &next.weights, &next.bias, 1).forward(&rows).values().next().unwrap();
        let first = rows.values().next().unwrap();
        let sum = |output: usize| {
            let terms = next.weights[output * 96..].iter().zip(&first);
            let sum: f64 = terms.map(|(&weight, &value)| f64::from(weight) * f64::from(value)).sum();
            (sum + f64::from(next.bias[output])).max(0.0)
        };
        assert!(worst(&found, &(0..32).map(sum).collect::<Vec<_>>()) < 2e-6, "{kernel:?}");
    }
}

#[test]
fn the_pool_of_resnet_takes_the_largest_of_nine() {
    let case = Case::new(32, 32, (14, 10), 1);
    let input: Vec<f32> = case.pictures[0].iter().map(|value| value.max(0.0)).collect();
    let mut output = Map::new(32, 7, 5);
    max_pool_3x3(&Map::from_planes(32, 14, 10, &input), &mut output);
    let case = Case { pictures: vec![input], ..case };
    let largest = |at: usize| {
        let (channel, y, x) = (at / 35, at / 5 % 7 * 2, at % 5 * 2);
        let near = (0..9)
            .map(|place| case.value(0, channel, (y + place / 3) as isize - 1, (x + place % 3) as isize - 1));
        near.fold(0.0, f64::max) as f32
    };
    assert_eq!(output.planes(), (0..32 * 35).map(largest).collect::<Vec<_>>());
    assert!(output.border_is_zero());
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

/// The head of the network refuses it; a layer that made zero of it would give a vector of something else.
#[test]
fn what_is_no_number_stays_none_through_every_layer() {
    for kernel in available() {
        let spoilt = |channels: usize, side: usize| {
            let mut case = Case::new(channels, 32, (side, side), 1);
            case.pictures[0][side + 1] = f32::NAN;
            case
        };
        let lost = |map: &Map| !map.planes().iter().any(|value| value.is_nan());
        let case = spoilt(32, 8);
        for pool in [false, true] {
            assert!(!lost(&case.run(kernel, pool)[0]), "{kernel:?}, 3x3, {pool}");
        }
        for ending in [Ending::Sum, Ending::Relu, Ending::AddRelu] {
            let weights = &case.weights[..32 * 32];
            let one = Kernel2d { weights, bias: &case.bias, outputs: 32, inputs: 32, size: 1 };
            let mut outputs = [Map::new(32, 8, 8)];
            let conv = GatheredConv::new(kernel, &one, 1, ending);
            conv.forward(&case.maps(), &mut outputs, &Scratch::default());
            assert!(!lost(&outputs[0]), "{kernel:?}, 1x1, {ending:?}");
        }
        let first = spoilt(3, 8);
        let mut output = Map::new(32, 8, 8);
        let conv = FirstConv::new(kernel, &first.kernel(), 1);
        conv.forward(&first.padded(), &mut output, &Scratch::default());
        assert!(!lost(&output), "{kernel:?}, the first layer");
        let mut pooled = Map::new(32, 4, 4);
        max_pool_3x3(&case.maps()[0], &mut pooled);
        assert!(!lost(&pooled), "ResNet's pool");
        let dense = Dense::new(kernel, &case.weights, &case.bias, 9);
        let rows = dense.forward(&Rows::flatten(&spoilt(32, 3).maps()));
        assert!(rows.values().all(|values| values.iter().all(|value| value.is_nan())), "{kernel:?}, dense");
    }
}
