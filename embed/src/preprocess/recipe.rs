//! The ways to bring a photo to the size that the network takes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::UnknownWord;

/// Pixels of the short side before torchvision's crop.
pub(super) const TORCHVISION_SHORT_SIDE: u32 = 256;

/// How a photo becomes the square that the network takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recipe {
    /// Straight to 224x224 whatever the aspect ratio, as Keras's `load_img(target_size=(224, 224))`, but antialiased:
    /// the standard.
    #[default]
    Keras,
    /// The short side to 256 and the long one to floor(256 · long / short), then the 224x224 in the middle: what
    /// torchvision's `Resize(256)` and `CenterCrop(224)` make of the upright photo. A margin of an odd number of pixels
    /// is halved to the even number, as `CenterCrop` does. What lies outside of the middle is not seen.
    Torchvision,
    /// As [`Recipe::Keras`], to 320x320: twice the work of the network, finer details.
    #[serde(rename = "320")]
    Keras320,
}

impl Recipe {
    /// All of them, the standard first.
    pub const ALL: [Self; 3] = [Self::Keras, Self::Torchvision, Self::Keras320];

    /// Its name and version in [`crate::ModelIdentity`]. Stored with collections: what a name means never changes.
    pub fn identity(self) -> &'static str {
        match self {
            Self::Keras => "keras-bilinear-224-v1",
            Self::Torchvision => "torchvision-bilinear-224-v1",
            Self::Keras320 => "keras-bilinear-320-v1",
        }
    }

    /// Width and height of what it makes, in pixels; a multiple of 32.
    pub fn side(self) -> usize {
        match self {
            Self::Keras | Self::Torchvision => 224,
            Self::Keras320 => 320,
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keras => "keras",
            Self::Torchvision => "torchvision",
            Self::Keras320 => "320",
        })
    }
}

impl FromStr for Recipe {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|recipe| recipe.to_string() == word).ok_or_else(|| UnknownWord {
            what: "input",
            word: word.to_string(),
            expected: "keras, torchvision or 320",
        })
    }
}
