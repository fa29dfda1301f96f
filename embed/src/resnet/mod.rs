//! ResNet-50 (He, Zhang, Ren and Sun, "Deep Residual Learning for Image Recognition", 2015) on the processor, as
//! torchvision has it: version 1.5, whose strides are in the 3x3 convolutions. What is left of a photo is the maps before
//! the average pool: 2048 channels of a 32nd of the input's side. What must stay true: vectors equal to torchvision's to a
//! cosine of 0.9999. The device owns it; nothing else calls it.
//!
//! ```text
//!   7x7/2, pool -> 3, 4, 6 and 3 blocks of 64, 128, 256 and 512 channels, each:
//!
//!   x --> 1x1 --> 3x3, the first of a stage /2 --> 1x1 to four times the channels --> + --> ReLU --> x
//!   '---> as it is; in the first of a stage 1x1 to the new size ----------------------'
//! ```
//!
//! A block's sum is written where its x was: a stage needs no more maps than one block.

mod block;

use std::io::{Read, Seek};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::conv::{Buffer, FirstConv, Kernel2d, Map, Scratch, max_pool_3x3};
use crate::device::{CpuNetwork, Spent};
use crate::error::{EmbedError, WeightsError};
use crate::kernel::Kernel;
use crate::pool::FeatureMap;
use crate::preprocess::{Input, Normalisation};
use crate::weights::WeightsFile;
use block::{Block, Room};

/// Blocks and inner channels of the four stages.
const STAGES: [(usize, usize); 4] = [(3, 64), (4, 128), (6, 256), (3, 512)];
/// Outer channels of a stage for each of its inner ones.
const EXPANSION: usize = 4;
/// Channels of the first layer.
const STEM: usize = 64;
/// What batch normalisation adds to a variance, in PyTorch.
const EPSILON: f64 = 1e-5;
/// Images of 224x224 in one run of the network.
const MAX_BATCH: usize = 16;

/// The network with its packed weights.
pub(crate) struct CpuResnet {
    stem: FirstConv,
    stages: Vec<Vec<Block>>,
    /// One for each call in progress, kept for the next of its size.
    workspaces: Mutex<Vec<Workspace>>,
    scratch: Scratch,
}

/// What the layers of one call write.
struct Workspace {
    /// Side and number of the pictures.
    size: (usize, usize),
    /// The picture with a border of zeros, see [`Input::write_padded`].
    input: Vec<f32>,
    stem: Map,
    pooled: Vec<Map>,
    stages: Vec<Room>,
    /// Transformed patches, shared by all threads.
    patches: Buffer,
}

impl CpuResnet {
    /// Folds each batch normalisation into the convolution before it and packs the weights, on all threads.
    pub(crate) fn load<R: Read + Seek>(
        kernel: &'static Kernel,
        file: &mut WeightsFile<R>,
    ) -> Result<Self, WeightsError> {
        let stem = Folded::read(file, "conv1", "bn1", [STEM, 3, 7])?;
        let (mut inputs, mut stages) = (STEM, Vec::new());
        for (number, (blocks, inner)) in STAGES.into_iter().enumerate() {
            let mut stage = Vec::new();
            for block in 0..blocks {
                let name = format!("layer{}.{block}", number + 1);
                // The first stage comes behind a pool and keeps its size.
                let stride = if block == 0 && number > 0 { 2 } else { 1 };
                stage.push(Block::load(kernel, file, &name, (inputs, inner), stride)?);
                inputs = inner * EXPANSION;
            }
            stages.push(stage);
        }
        let stem = FirstConv::new(kernel, &stem.kernel2d(), 2);
        Ok(Self { stem, stages, workspaces: Mutex::default(), scratch: Scratch::default() })
    }

    /// Room for so many pictures of this side: what an earlier call has left, if it was of the same size.
    fn workspace(&self, side: usize, count: usize) -> Workspace {
        let mut free = self.workspaces.lock();
        let left = free.iter().position(|space| space.size.0 == side).map(|at| free.swap_remove(at));
        drop(free);
        match left {
            Some(space) if space.size.1 >= count => space,
            _ => Workspace::new(side, count),
        }
    }
}

impl Workspace {
    fn new(side: usize, count: usize) -> Self {
        let room = |(number, (_, inner)): (usize, (usize, usize))| {
            Room::new(inner, (side / 4) >> number, number > 0, count)
        };
        Self {
            size: (side, count),
            input: Vec::new(),
            stem: Map::new(STEM, side / 2, side / 2),
            pooled: (0..count).map(|_| Map::new(STEM, side / 4, side / 4)).collect(),
            stages: STAGES.into_iter().enumerate().map(room).collect(),
            patches: Buffer::default(),
        }
    }
}

impl CpuNetwork for CpuResnet {
    fn bytes(&self) -> usize {
        self.stages.iter().flatten().map(Block::bytes).sum()
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }

    fn operations(&self, side: usize) -> (f64, f64) {
        let stem = self.stem.operations((side / 2).pow(2));
        let stages = self.stages.iter().enumerate();
        let blocks = stages.flat_map(|(number, stage)| {
            stage.iter().map(move |block| block.operations((side / 4) >> number))
        });
        blocks.fold((stem, stem), |sum, block| (sum.0 + block.0, sum.1 + block.1))
    }

    fn feature_maps(&self, inputs: &[Input], spent: &mut Spent) -> Result<Vec<FeatureMap>, EmbedError> {
        let Some(side) = inputs.first().map(Input::side) else { return Ok(Vec::new()) };
        let started = Instant::now();
        let mut copy = Duration::ZERO;
        let count = inputs.len();
        let mut space = self.workspace(side, count);
        for (input, pooled) in inputs.iter().zip(&mut space.pooled) {
            let before = Instant::now();
            input.write_padded(Normalisation::Torchvision, self.stem.padding(), &mut space.input);
            copy += before.elapsed();
            self.stem.forward(&space.input, &mut space.stem, &self.scratch);
            max_pool_3x3(&space.stem, pooled);
        }
        let mut x = &space.pooled[..count];
        for (stage, room) in self.stages.iter().zip(&mut space.stages) {
            for block in stage {
                block.forward(x, room, count, &mut space.patches, &self.scratch);
            }
            x = &room.sum[..count];
        }
        let before = Instant::now();
        let maps = x.iter().map(|map| FeatureMap::new(map.planes(), STAGES[3].1 * EXPANSION)).collect();
        self.workspaces.lock().push(space);
        copy += before.elapsed();
        spent.copy += copy;
        spent.compute += started.elapsed().saturating_sub(copy);
        maps
    }
}

/// A convolution with the batch normalisation behind it (Ioffe and Szegedy, 2015): at its trained mean and variance that
/// is a factor and a summand for each output, which are made part of the weights.
struct Folded {
    weights: Vec<f32>,
    bias: Vec<f32>,
    outputs: usize,
    inputs: usize,
    size: usize,
}

impl Folded {
    fn read<R: Read + Seek>(
        file: &mut WeightsFile<R>,
        conv: &str,
        norm: &str,
        [outputs, inputs, size]: [usize; 3],
    ) -> Result<Self, WeightsError> {
        let mut weights = file.tensor(&format!("{conv}.weight"), &[outputs, inputs, size, size])?;
        let mut of = |what: &str| file.tensor(&format!("{norm}.{what}"), &[outputs]);
        let (scale, shift) = (of("weight")?, of("bias")?);
        let (mean, variance) = (of("running_mean")?, of("running_var")?);
        let factor = |at: usize| f64::from(scale[at]) / (f64::from(variance[at]) + EPSILON).sqrt();
        for (at, kernel) in weights.chunks_exact_mut(inputs * size * size).enumerate() {
            let factor = factor(at);
            kernel.iter_mut().for_each(|weight| *weight = (f64::from(*weight) * factor) as f32);
        }
        let bias = (0..outputs).map(|at| (f64::from(shift[at]) - f64::from(mean[at]) * factor(at)) as f32);
        let bias: Vec<f32> = bias.collect();
        // Finite values can give what is not: a negative variance, a factor beyond f32.
        if !weights.iter().chain(&bias).all(|value| value.is_finite()) {
            return Err(WeightsError::Folded { norm: norm.to_string(), conv: conv.to_string() });
        }
        Ok(Self { weights, bias, outputs, inputs, size })
    }

    fn kernel2d(&self) -> Kernel2d<'_> {
        let Self { weights, bias, outputs, inputs, size } = self;
        Kernel2d { weights, bias, outputs: *outputs, inputs: *inputs, size: *size }
    }
}
