//! What a photo's vector describes: the choices that the one network leaves open. Image retrieval calls such a vector of
//! the whole photo a global descriptor.

use std::fmt;

use crate::preprocess::Recipe;
use crate::vgg16::Pooling;

/// How a photo becomes a vector: by which recipe the network's input is made, and how its last feature maps are pooled.
/// All of them come from the same network with the same weights, and vectors of different ones must never be compared:
/// see [`crate::ModelIdentity`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Descriptor {
    /// From the photo to the network's input.
    pub recipe: Recipe,
    /// From the network's output to the vector.
    pub pooling: Pooling,
}

impl Descriptor {
    /// All of them, the standard first.
    pub fn all() -> impl Iterator<Item = Self> {
        Recipe::ALL
            .into_iter()
            .flat_map(|recipe| Pooling::ALL.into_iter().map(move |pooling| Self { recipe, pooling }))
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "input {}, pooling {}", self.recipe, self.pooling)
    }
}
