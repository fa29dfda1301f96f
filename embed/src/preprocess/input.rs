//! What the network takes: a square of RGB bytes, and the floats it becomes inside a batch.

use super::{Normalisation, Recipe};

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

    /// The RGB pixels, row-major: what the network sees before they are normalised.
    pub fn rgb(&self) -> &[u8] {
        &self.pixels
    }

    /// Writes the pixels as floats with so many pixels of zeros around them:
    /// `[side + 2 * border, side + 2 * border, 3]` row-major.
    pub(crate) fn write_padded(&self, normalisation: Normalisation, border: usize, pixels: &mut Vec<f32>) {
        let (side, channels) = (self.side(), normalisation.channels());
        let row = (side + 2 * border) * 3;
        pixels.clear();
        pixels.resize((side + 2 * border) * row, 0.0);
        let rows = pixels.chunks_exact_mut(row).skip(border);
        for (row, from) in rows.zip(self.pixels.chunks_exact(side * 3)) {
            for (to, from) in row[border * 3..].chunks_exact_mut(3).zip(from.chunks_exact(3)) {
                for (to, (at, table)) in to.iter_mut().zip(&channels) {
                    *to = table[usize::from(from[*at])];
                }
            }
        }
    }

    /// Writes the pixels as `[3, side, side]` planes of numbers that are made of floats.
    #[cfg(any(test, feature = "cuda"))]
    pub(crate) fn write_planes<T: Copy>(
        &self,
        normalisation: Normalisation,
        planes: &mut [T],
        number: impl Fn(f32) -> T,
    ) {
        let planes = planes.chunks_exact_mut(self.side() * self.side());
        for (plane, (at, table)) in planes.zip(normalisation.channels()) {
            let table = table.map(&number);
            for (to, &byte) in plane.iter_mut().zip(self.pixels.iter().skip(at).step_by(3)) {
                *to = table[usize::from(byte)];
            }
        }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Input({})", self.recipe.identity())
    }
}
