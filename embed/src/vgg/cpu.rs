//! VGG on the processor, with the convolutions of [`crate::conv`] in place of a backend. The first layers run picture
//! by picture, so that memory does not grow with the batch where pictures are large; the last ones, which are bound by
//! reading their weights, run on the whole batch.

use std::io::{Read, Seek};
use std::ops::Range;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{CHANNELS, Conv, DENSE, Layers, convs, denses};
use crate::conv::{Buffer, Dense, FirstConv, Kernel2d, Map, Rows, Scratch, WinogradConv};
use crate::device::{CpuNetwork, Spent};
use crate::error::{EmbedError, WeightsError};
use crate::kernel::Kernel;
use crate::pool::FeatureMap;
use crate::preprocess::{Input, Normalisation};
use crate::weights::WeightsFile;

/// Images of 224x224 in one run of the network.
const MAX_BATCH: usize = 16;

/// The network with its packed weights.
pub(crate) struct CpuVgg {
    architecture: Layers,
    normalisation: Normalisation,
    first: FirstConv,
    layers: Vec<WinogradConv>,
    dense: Vec<Dense>,
    /// Layers that run picture by picture, up to the last pool but one: their maps are large and their weights small.
    /// Those behind share the reading of their weights among the pictures of a batch.
    one_by_one: usize,
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

impl CpuVgg {
    /// Transforms the weights for the kernel, on all threads.
    pub(crate) fn load<R: Read + Seek>(
        kernel: &'static Kernel,
        file: &mut WeightsFile<R>,
        layers: Layers,
        normalisation: Normalisation,
    ) -> Result<Self, WeightsError> {
        let (mut first, mut rest, mut outputs) = (None, Vec::new(), Vec::new());
        convs(file, layers, |Conv { kernel: weights, bias, outputs: channels, inputs, pool }| {
            let conv = Kernel2d { weights: &weights, bias: &bias, outputs: channels, inputs, size: 3 };
            match first {
                None => first = Some(FirstConv::new(kernel, &conv, 1)),
                Some(_) => rest.push(WinogradConv::new(kernel, &conv, pool)),
            }
            outputs.push((channels, pool));
        })?;
        let first = first.ok_or_else(|| WeightsError::Missing { tensor: "features.0.weight".to_string() })?;
        let mut dense = Vec::new();
        denses(file, layers, |layer| {
            dense.push(Dense::new(kernel, &layer.weights, &layer.bias, layer.area));
        })?;
        let one_by_one = layers.convs[..4].iter().map(|block| block.len()).sum::<usize>() - 1;
        Ok(Self {
            architecture: layers,
            normalisation,
            first,
            layers: rest,
            dense,
            one_by_one,
            outputs,
            workspaces: Mutex::default(),
            scratch: Scratch::default(),
        })
    }

    /// Channels and side of each layer's output for pictures of this side.
    fn sizes(&self, side: usize) -> impl Iterator<Item = (usize, usize)> {
        self.outputs.iter().scan(side, |side, &(channels, pool)| {
            *side /= if pool { 2 } else { 1 };
            Some((channels, *side))
        })
    }

    /// What the layers leave of each picture.
    fn features(&self, maps: &[Map]) -> Result<Vec<FeatureMap>, EmbedError> {
        let Some((first, rest)) = self.dense.split_first() else {
            return maps.iter().map(|map| FeatureMap::new(map.planes(), CHANNELS[4])).collect();
        };
        let rows = rest.iter().fold(first.forward(&Rows::flatten(maps)), |rows, layer| layer.forward(&rows));
        rows.values().map(|values| FeatureMap::new(values, DENSE)).collect()
    }

    /// Room for pictures of this side: what an earlier call has left, if it was of the same size.
    fn workspace(&self, side: usize, batch: usize) -> Workspace {
        let mut free = self.workspaces.lock();
        let left = free.iter().position(|space| space.side == side).map(|at| free.swap_remove(at));
        drop(free);
        let mut space = left.unwrap_or_else(|| Workspace::new(side));
        space.make_room(self.sizes(side), self.one_by_one, batch);
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

impl CpuNetwork for CpuVgg {
    fn bytes(&self) -> usize {
        let dense: usize = self.dense.iter().map(Dense::bytes).sum();
        self.layers.iter().map(WinogradConv::bytes).sum::<usize>() + dense
    }

    fn max_batch(&self) -> usize {
        MAX_BATCH
    }

    fn operations(&self, side: usize) -> (f64, f64) {
        let sizes: Vec<_> = self.sizes(side).collect();
        let dense: f64 = self.dense.iter().map(Dense::operations).sum();
        let first = self.first.operations(side * side) + dense;
        let layers = self.layers.iter().zip(sizes.windows(2)).map(|(layer, sizes)| {
            let [(inputs, side), (outputs, _)] = [sizes[0], sizes[1]];
            ((2 * 9 * inputs * outputs * side * side) as f64, layer.multiplied(side, side))
        });
        layers.fold((first, first), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1))
    }

    fn feature_maps(&self, inputs: &[Input], spent: &mut Spent) -> Result<Vec<FeatureMap>, EmbedError> {
        let Some(side) = inputs.first().map(Input::side) else { return Ok(Vec::new()) };
        self.architecture.check(side)?;
        let started = Instant::now();
        let mut copy = Duration::ZERO;
        let mut space = self.workspace(side, inputs.len());
        for (number, input) in inputs.iter().enumerate() {
            let before = Instant::now();
            input.write_padded(self.normalisation, self.first.padding(), &mut space.input);
            copy += before.elapsed();
            self.first.forward(&space.input, &mut space.layers[0][0], &self.scratch);
            for layer in 1..self.one_by_one {
                let output = if layer + 1 == self.one_by_one { number } else { 0 };
                self.run(&mut space, layer, 0..1, output..output + 1);
            }
        }
        for layer in self.one_by_one..self.outputs.len() {
            self.run(&mut space, layer, 0..inputs.len(), 0..inputs.len());
        }
        let before = Instant::now();
        let last = space.layers.last().map_or(&[][..], |last| &last[..inputs.len()]);
        let maps = self.features(last);
        self.workspaces.lock().push(space);
        copy += if self.dense.is_empty() { before.elapsed() } else { Duration::ZERO };
        spent.copy += copy;
        spent.compute += started.elapsed().saturating_sub(copy);
        maps
    }
}

impl Workspace {
    fn new(side: usize) -> Self {
        Self { side, input: Vec::new(), layers: Vec::new(), patches: Buffer::default() }
    }

    fn make_room(&mut self, sizes: impl Iterator<Item = (usize, usize)>, one_by_one: usize, batch: usize) {
        for (layer, (channels, side)) in sizes.enumerate() {
            if self.layers.len() == layer {
                self.layers.push(Vec::new());
            }
            let maps = &mut self.layers[layer];
            let count = if layer + 1 < one_by_one { 1 } else { batch };
            while maps.len() < count {
                maps.push(Map::new(channels, side, side));
            }
        }
    }
}
