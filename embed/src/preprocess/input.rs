//! What the network takes: a square of RGB bytes, and the floats it becomes inside a batch.

use super::Recipe;

/// What Keras subtracts from B, G and R (on a scale of 0 to 255): the means of ImageNet.
const MEAN_BGR: [f32; 3] = [103.939, 116.779, 123.68];

/// One preprocessed image: the RGB bytes of a square of [`Recipe::side`] pixels. It becomes floats only inside a batch,
/// so that a waiting image of 224x224 costs 150 kB and not 600 (of 320x320: 307 kB).
#[derive(Clone, PartialEq, Eq)]
pub struct Input {
    recipe: Recipe,
    pixels: Box<[u8]>,
}

impl Input {
    /// `pixels` has the recipe's side · side · 3 bytes.
    pub(super) fn new(recipe: Recipe, pixels: Vec<u8>) -> Self {
        Self { recipe, pixels: pixels.into_boxed_slice() }
    }

    /// An input from RGB pixels that somebody else has prepared by the recipe; `None` if there are not as many bytes as
    /// its square has.
    pub fn from_rgb(recipe: Recipe, pixels: Vec<u8>) -> Option<Self> {
        (pixels.len() == recipe.side() * recipe.side() * 3).then(|| Self::new(recipe, pixels))
    }

    /// How it was made.
    pub fn recipe(&self) -> Recipe {
        self.recipe
    }

    /// Width and height in pixels.
    pub fn side(&self) -> usize {
        self.recipe.side()
    }

    /// The RGB pixels, row-major: what the network sees before the means are subtracted.
    pub fn rgb(&self) -> &[u8] {
        &self.pixels
    }

    /// Writes the pixels as B, G, R minus their means with a border of one pixel of zeros:
    /// `[side + 2, side + 2, 3]` row-major.
    pub(crate) fn write_padded(&self, pixels: &mut Vec<f32>) {
        let side = self.side();
        let row = (side + 2) * 3;
        pixels.clear();
        pixels.resize((side + 2) * row, 0.0);
        let rows = pixels.chunks_exact_mut(row).skip(1);
        for (row, from) in rows.zip(self.pixels.chunks_exact(side * 3)) {
            for (to, from) in row[3..].chunks_exact_mut(3).zip(from.chunks_exact(3)) {
                for ((to, channel), mean) in to.iter_mut().zip([2, 1, 0]).zip(MEAN_BGR) {
                    *to = f32::from(from[channel]) - mean;
                }
            }
        }
    }

    /// Appends the `[3, side, side]` planes B, G, R minus their means.
    #[cfg(any(test, feature = "cuda"))]
    pub(crate) fn write_planes(&self, planes: &mut Vec<f32>) {
        for (channel, mean) in [2, 1, 0].into_iter().zip(MEAN_BGR) {
            planes.extend(self.pixels.iter().skip(channel).step_by(3).map(|&value| f32::from(value) - mean));
        }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Input({})", self.recipe.identity())
    }
}
