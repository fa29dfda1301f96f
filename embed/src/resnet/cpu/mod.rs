//! ResNet-50 on the processor, with the convolutions of [`crate::conv`]. A block's sum is written where its x was: a stage
//! needs no more maps than one block.

mod block;

use std::io::{Read, Seek};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{EXPANSION, STAGES, STEM, read};
use crate::conv::{Buffer, FirstConv, Map, Scratch, max_pool_3x3};
use crate::device::{CpuNetwork, Spent};
use crate::error::{EmbedError, WeightsError};
use crate::kernel::Kernel;
use crate::pool::FeatureMap;
use crate::preprocess::{Input, Normalisation};
use crate::weights::WeightsFile;
use block::{Block, Room};

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
    /// Packs the weights, on all threads.
    pub(crate) fn load<R: Read + Seek>(
        kernel: &'static Kernel,
        file: &mut WeightsFile<R>,
    ) -> Result<Self, WeightsError> {
        let mut stages: Vec<Vec<Block>> = STAGES.iter().map(|_| Vec::new()).collect();
        let stem = read(file, |stage, block| stages[stage].push(Block::new(kernel, &block)))?;
        let stem = FirstConv::new(kernel, &stem.kernel2d(), stem.stride);
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
