//! What a photo's vector describes. Image retrieval calls such a vector of the whole photo a global descriptor.

use std::fmt;

use crate::error::UnfitDescriptor;
use crate::network::{ModelKey, Network};
use crate::pool::Pooling;
use crate::preprocess::Recipe;

/// How a photo becomes a vector: by which recipe the network's input is made, which network sees it, and how its features
/// are pooled. Vectors of different descriptors must never be compared: see [`crate::ModelIdentity`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Descriptor {
    /// From the network's input to its output.
    pub model: ModelKey,
    /// From the photo to the network's input.
    pub recipe: Recipe,
    /// From the network's output to the vector.
    pub pooling: Pooling,
}

impl Descriptor {
    /// One of the carried network.
    pub const fn carried(recipe: Recipe, pooling: Pooling) -> Self {
        Self { model: ModelKey::CARRIED, recipe, pooling }
    }

    /// The descriptor of a model; what is not said is the standard of its network.
    ///
    /// # Errors
    /// When the network can't take such inputs, or such a pooling makes no sense of what it gives.
    pub fn new(
        model: ModelKey,
        recipe: Option<Recipe>,
        pooling: Option<Pooling>,
    ) -> Result<Self, UnfitDescriptor> {
        let network = model.network;
        Ok(Self {
            model,
            recipe: choose(network, "input", network.recipes(), recipe)?,
            pooling: choose(network, "pooling", network.poolings(), pooling)?,
        })
    }

    /// All of the carried network, the standard first.
    pub fn all() -> impl Iterator<Item = Self> {
        Recipe::ALL
            .into_iter()
            .flat_map(|recipe| Pooling::ALL.into_iter().map(move |pooling| Self::carried(recipe, pooling)))
    }
}

impl Default for Descriptor {
    fn default() -> Self {
        Self::carried(Recipe::default(), Pooling::default())
    }
}

impl fmt::Display for Descriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.model != ModelKey::CARRIED {
            write!(f, "model {}, ", self.model)?;
        }
        write!(f, "input {}, pooling {}", self.recipe, self.pooling)
    }
}

/// What was asked for if it is one of those that fit, or the first of them.
fn choose<T: Copy + PartialEq + fmt::Display>(
    network: Network,
    what: &'static str,
    fitting: &[T],
    asked: Option<T>,
) -> Result<T, UnfitDescriptor> {
    let found = fitting.iter().copied().find(|fitting| asked.is_none_or(|asked| asked == *fitting));
    found.ok_or_else(|| UnfitDescriptor {
        network,
        what,
        word: asked.map(|asked| asked.to_string()).unwrap_or_default(),
        expected: fitting.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(network: Network) -> ModelKey {
        ModelKey { network, ..ModelKey::CARRIED }
    }

    #[test]
    fn each_network_has_a_standard() {
        let standard = |network| Descriptor::new(of(network), None, None).unwrap();
        assert_eq!(standard(Network::Carried), Descriptor::default());
        for (network, recipe, pooling) in [
            (Network::Vgg16, Recipe::Torchvision, Pooling::Max),
            (Network::Vgg16Fc7, Recipe::Torchvision, Pooling::None),
            (Network::Resnet50, Recipe::Torchvision, Pooling::Avg),
        ] {
            let found = standard(network);
            assert_eq!((found.recipe, found.pooling), (recipe, pooling), "{network}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_sentence() {
        let rmac = Descriptor::new(of(Network::Vgg16Fc7), None, Some(Pooling::Rmac)).unwrap_err();
        assert_eq!(rmac.to_string(), "vgg16-fc7 has no pooling rmac: expected none");
        let large = Descriptor::new(of(Network::Vgg16Fc6), Some(Recipe::Keras320), None).unwrap_err();
        assert_eq!(large.to_string(), "vgg16-fc6 has no input 320: expected torchvision, keras");
        assert!(Descriptor::new(of(Network::Resnet50), None, Some(Pooling::None)).is_err());
        assert!(Descriptor::new(of(Network::Resnet50), Some(Recipe::Keras320), Some(Pooling::Gem)).is_ok());
    }
}
