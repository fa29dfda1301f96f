//! VGG16 on the processor, with the convolutions of [`crate::conv`] in place of a backend. The first layers run picture
//! by picture, so that memory does not grow with the batch where pictures are large; the last ones, which are bound by
//! reading their weights, run on the whole batch.

use std::ops::Range;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::weights::{WEIGHTS, WeightsFile};
use super::{BLOCKS, DIMENSION, FeatureMap};
use crate::conv::{Buffer, FirstConv, Kernel3x3, Map, Scratch, WinogradConv};
use crate::device::Spent;
use crate::error::EmbedError;
use crate::kernel::Kernel;
use crate::preprocess::Input;

/// Layers that run picture by picture, up to the last pool but one: their maps are large and their weights small. Those
/// behind share the reading of their weights among the pictures of a batch.
const ONE_BY_ONE: usize = 9;

/// The network with its packed weights.
pub(crate) struct CpuVgg16 {
    first: FirstConv,
    layers: Vec<WinogradConv>,
    /// Channels of each layer's output, the first one's included, and whether a pool halves its sides.
    outputs: Vec<(usize, bool)>,
    /// One for each call in progress, kept for the next of its size.
    workspaces: Mutex<Vec<Workspace>>,
    scratch: Scratch,
}

/// What the layers of one call write.
struct Workspace {
    /// Side of the pictures.
    side: usize,
    /// The picture with a border of zeros, see [`Input::write_padded`].
    input: Vec<f32>,
    /// For each layer its outputs: one, or from the end of the first part on one for each picture of the batch.
    layers: Vec<Vec<Map>>,
    /// Transformed patches, shared by all threads.
    patches: Buffer,
}

impl CpuVgg16 {
    /// Transforms the carried weights for the kernel, on all threads.
    pub(crate) fn load(kernel: &'static Kernel) -> Result<Self, EmbedError> {
        let file = WeightsFile::parse(WEIGHTS)?;
        let convs =
            BLOCKS.iter().flat_map(|block| block.iter().map(|&layer| (layer, block.last() == Some(&layer))));
        let (mut first, mut layers, mut outputs) = (None, Vec::new(), Vec::new());
        for (layer, pool) in convs {
            let weights = file.conv(layer)?;
            let conv = Kernel3x3 {
                weights: &weights.kernel,
                bias: &weights.bias,
                outputs: weights.outputs,
                inputs: weights.inputs,
            };
            match first {
                None => first = Some(FirstConv::new(kernel, &conv)),
                Some(_) => layers.push(WinogradConv::new(kernel, &conv, pool)),
            }
            outputs.push((weights.outputs, pool));
        }
        let first = first.ok_or_else(|| EmbedError::Weights {
            what: "the file".to_string(),
            reason: "it has no layers".to_string(),
        })?;
        Ok(Self { first, layers, outputs, workspaces: Mutex::default(), scratch: Scratch::default() })
    }

    /// Bytes that the packed weights take.
    pub(crate) fn bytes(&self) -> usize {
        self.layers.iter().map(WinogradConv::bytes).sum()
    }

    /// Channels and side of each layer's output for pictures of this side.
    fn sizes(&self, side: usize) -> impl Iterator<Item = (usize, usize)> {
        self.outputs.iter().scan(side, |side, &(channels, pool)| {
            *side /= if pool { 2 } else { 1 };
            Some((channels, *side))
        })
    }

    /// Floating-point operations for one image of this side: with convolutions as they are defined, and as they are
    /// multiplied here.
    pub(crate) fn operations(&self, side: usize) -> (f64, f64) {
        let sizes: Vec<_> = self.sizes(side).collect();
        let pixels = |channels: usize, side: usize| (channels * side * side) as f64;
        let first = pixels(sizes[0].0, side) * 2.0 * 27.0;
        let layers = self.layers.iter().zip(sizes.windows(2)).map(|(layer, sizes)| {
            let [(inputs, side), (outputs, _)] = [sizes[0], sizes[1]];
            (pixels(outputs, side) * 2.0 * (inputs * 9) as f64, layer.multiplied(side, side))
        });
        layers.fold((first, first), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1))
    }

    /// What the last pool leaves of each input, in order. All inputs are of one size. Adds to `spent`.
    pub(crate) fn feature_maps(
        &self,
        inputs: &[Input],
        spent: &mut Spent,
    ) -> Result<Vec<FeatureMap>, EmbedError> {
        let Some(side) = inputs.first().map(Input::side) else { return Ok(Vec::new()) };
        let started = Instant::now();
        let mut copy = Duration::ZERO;
        let mut space = self.workspace(side, inputs.len());
        for (number, input) in inputs.iter().enumerate() {
            let before = Instant::now();
            input.write_padded(&mut space.input);
            copy += before.elapsed();
            self.first.forward(&space.input, &mut space.layers[0][0], &self.scratch);
            for layer in 1..ONE_BY_ONE {
                let output = if layer + 1 == ONE_BY_ONE { number } else { 0 };
                self.run(&mut space, layer, 0..1, output..output + 1);
            }
        }
        for layer in ONE_BY_ONE..self.outputs.len() {
            self.run(&mut space, layer, 0..inputs.len(), 0..inputs.len());
        }
        let before = Instant::now();
        let last = space.layers.last().into_iter().flatten().take(inputs.len());
        let maps = last.map(|map| FeatureMap::new(map.planes(), DIMENSION)).collect();
        self.workspaces.lock().push(space);
        copy += before.elapsed();
        spent.copy += copy;
        spent.compute += started.elapsed().saturating_sub(copy);
        maps
    }

    /// Room for pictures of this side: what an earlier call has left, if it was of the same size.
    fn workspace(&self, side: usize, batch: usize) -> Workspace {
        let mut free = self.workspaces.lock();
        let left = free.iter().position(|space| space.side == side).map(|at| free.swap_remove(at));
        drop(free);
        let mut space = left.unwrap_or_else(|| Workspace::new(side));
        space.make_room(self.sizes(side), batch);
        space
    }

    /// Runs a layer on some outputs of the one before it.
    fn run(&self, space: &mut Workspace, layer: usize, from: Range<usize>, to: Range<usize>) {
        let (before, after) = space.layers.split_at_mut(layer);
        self.layers[layer - 1].forward(
            &before[layer - 1][from],
            &mut after[0][to],
            &mut space.patches,
            &self.scratch,
        );
    }
}

impl Workspace {
    fn new(side: usize) -> Self {
        Self { side, input: Vec::new(), layers: Vec::new(), patches: Buffer::default() }
    }

    fn make_room(&mut self, sizes: impl Iterator<Item = (usize, usize)>, batch: usize) {
        for (layer, (channels, side)) in sizes.enumerate() {
            if self.layers.len() == layer {
                self.layers.push(Vec::new());
            }
            let maps = &mut self.layers[layer];
            let count = if layer + 1 < ONE_BY_ONE { 1 } else { batch };
            while maps.len() < count {
                maps.push(Map::new(channels, side, side));
            }
        }
    }
}
