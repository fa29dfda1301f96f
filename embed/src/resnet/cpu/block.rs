//! One residual block: a bottleneck of three convolutions beside what it adds to.

use super::super::{Bottleneck, EXPANSION, Folded};
use crate::conv::{Buffer, Ending, GatheredConv, Map, Scratch, WinogradConv};
use crate::kernel::Kernel;

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
    /// Packs a block's weights.
    pub(super) fn new(kernel: &'static Kernel, block: &Bottleneck) -> Self {
        let gathered =
            |conv: &Folded, ending| GatheredConv::new(kernel, &conv.kernel2d(), conv.stride, ending);
        Self {
            narrow: gathered(&block.narrow, Ending::Relu),
            middle: match block.middle.stride {
                1 => Middle::Winograd(WinogradConv::new(kernel, &block.middle.kernel2d(), false)),
                _ => Middle::Gathered(gathered(&block.middle, Ending::Relu)),
            },
            widen: gathered(&block.widen, Ending::AddRelu),
            project: block.project.as_ref().map(|project| gathered(project, Ending::Sum)),
            stride: block.middle.stride,
        }
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
