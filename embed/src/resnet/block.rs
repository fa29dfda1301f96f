//! One residual block: a bottleneck of three convolutions beside what it adds to.

use std::io::{Read, Seek};

use super::{EXPANSION, Folded};
use crate::conv::{Buffer, Ending, GatheredConv, Map, Scratch, WinogradConv};
use crate::error::WeightsError;
use crate::kernel::Kernel;
use crate::weights::WeightsFile;

/// The 3x3 convolution in the middle, on as many channels as it gives.
enum Middle {
    Winograd(WinogradConv),
    /// Of stride 2.
    Gathered(GatheredConv),
}

/// A bottleneck with its packed weights.
pub(super) struct Block {
    narrow: GatheredConv,
    middle: Middle,
    widen: GatheredConv,
    /// In the first block of a stage: x brought to the stage's size.
    project: Option<GatheredConv>,
    stride: usize,
}

/// What the blocks of a stage write, for some pictures.
pub(super) struct Room {
    /// The stage's x: what each block adds to, and its output.
    pub(super) sum: Vec<Map>,
    /// Behind the first convolution of the first block, if it is as large as the stage before.
    before: Vec<Map>,
    /// Behind that of the others.
    narrowed: Vec<Map>,
    /// Behind the second one.
    middle: Vec<Map>,
}

impl Room {
    /// For maps of this side; `halved` says whether the stage before has larger ones.
    pub(super) fn new(inner: usize, side: usize, halved: bool, count: usize) -> Self {
        let maps =
            |channels: usize, side: usize| (0..count).map(|_| Map::new(channels, side, side)).collect();
        Self {
            sum: maps(inner * EXPANSION, side),
            before: if halved { maps(inner, 2 * side) } else { Vec::new() },
            narrowed: maps(inner, side),
            middle: maps(inner, side),
        }
    }
}

impl Block {
    /// Reads the block of this name, as torchvision has it (`layer1.0`).
    pub(super) fn load<R: Read + Seek>(
        kernel: &'static Kernel,
        file: &mut WeightsFile<R>,
        name: &str,
        (inputs, inner): (usize, usize),
        stride: usize,
    ) -> Result<Self, WeightsError> {
        let outer = inner * EXPANSION;
        let mut read = |number: usize, shape: [usize; 3]| {
            Folded::read(file, &format!("{name}.conv{number}"), &format!("{name}.bn{number}"), shape)
        };
        let narrow = read(1, [inner, inputs, 1])?;
        let middle = read(2, [inner, inner, 3])?;
        let widen = read(3, [outer, inner, 1])?;
        let middle = match stride {
            1 => Middle::Winograd(WinogradConv::new(kernel, &middle.kernel2d(), false)),
            _ => Middle::Gathered(GatheredConv::new(kernel, &middle.kernel2d(), stride, Ending::Relu)),
        };
        let project = if inputs == outer {
            None
        } else {
            let (conv, norm) = (format!("{name}.downsample.0"), format!("{name}.downsample.1"));
            let folded = Folded::read(file, &conv, &norm, [outer, inputs, 1])?;
            Some(GatheredConv::new(kernel, &folded.kernel2d(), stride, Ending::Sum))
        };
        Ok(Self {
            narrow: GatheredConv::new(kernel, &narrow.kernel2d(), 1, Ending::Relu),
            middle,
            widen: GatheredConv::new(kernel, &widen.kernel2d(), 1, Ending::AddRelu),
            project,
            stride,
        })
    }

    /// Runs on `x`, what the stage before left, if it is the first of its stage, else on what is in the room; leaves its
    /// output in [`Room::sum`].
    pub(super) fn forward(
        &self,
        x: &[Map],
        room: &mut Room,
        count: usize,
        patches: &mut Buffer,
        scratch: &Scratch,
    ) {
        let Room { sum, before, narrowed, middle } = room;
        let sum = &mut sum[..count];
        let narrowed = if self.stride == 1 { &mut narrowed[..count] } else { &mut before[..count] };
        match &self.project {
            Some(project) => {
                self.narrow.forward(x, narrowed, scratch);
                project.forward(x, sum, scratch);
            }
            None => self.narrow.forward(sum, narrowed, scratch),
        }
        match &self.middle {
            Middle::Winograd(conv) => conv.forward(narrowed, &mut middle[..count], patches, scratch),
            Middle::Gathered(conv) => conv.forward(narrowed, &mut middle[..count], scratch),
        }
        self.widen.forward(&middle[..count], sum, scratch);
    }

    /// Bytes of the packed weights.
    pub(super) fn bytes(&self) -> usize {
        let middle = match &self.middle {
            Middle::Winograd(conv) => conv.bytes(),
            Middle::Gathered(conv) => conv.bytes(),
        };
        let project = self.project.as_ref().map_or(0, GatheredConv::bytes);
        self.narrow.bytes() + middle + self.widen.bytes() + project
    }

    /// Floating-point operations for maps of this side behind the block: as defined, and as multiplied here.
    pub(super) fn operations(&self, side: usize) -> (f64, f64) {
        let pixels = side * side;
        let project = self.project.as_ref().map_or(0.0, |conv| conv.operations(pixels));
        let narrow = self.narrow.operations(pixels * self.stride * self.stride);
        let rest = narrow + self.widen.operations(pixels) + project;
        let (defined, multiplied) = match &self.middle {
            Middle::Winograd(conv) => {
                let inner = self.narrow.outputs() * 3;
                ((2 * inner * inner * pixels) as f64, conv.multiplied(side, side))
            }
            Middle::Gathered(conv) => (conv.operations(pixels), conv.operations(pixels)),
        };
        (rest + defined, rest + multiplied)
    }
}
