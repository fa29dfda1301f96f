//! The networks that this program can run, and what each of them takes and gives. One is carried inside the program; the
//! others need a weights file of their architecture, as torchvision publishes them. Which layer gives the vector is part
//! of a network's name, so that one file of VGG16 serves three of them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::digest::Sha256;
use crate::error::UnknownWord;
use crate::pool::Pooling;
use crate::preprocess::{Normalisation, Recipe};
use crate::vgg::carried;

/// A network and the layer that the vector is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// VGG16 without its classifier, with the weights that the program carries: the standard.
    #[default]
    Carried,
    /// VGG16 (Simonyan and Zisserman, 2014, configuration D) from a file: the maps behind the last pool.
    Vgg16,
    /// VGG16's first fully connected layer behind its ReLU: 4096 values.
    Vgg16Fc6,
    /// VGG16's second fully connected layer behind its ReLU: 4096 values.
    Vgg16Fc7,
    /// VGG19 (configuration E): the maps behind the last pool.
    Vgg19,
    /// ResNet-50 v1.5 (He et al., 2015; the stride in the 3x3 convolutions): the maps before the average pool.
    Resnet50,
}

/// What a weights file is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// Thirteen convolutions, and perhaps the classifier.
    Vgg16,
    /// Sixteen convolutions.
    Vgg19,
    /// 53 convolutions with batch normalisation.
    Resnet50,
}

impl Network {
    /// All of them, the standard first.
    pub const ALL: [Self; 6] =
        [Self::Carried, Self::Vgg16, Self::Vgg16Fc6, Self::Vgg16Fc7, Self::Vgg19, Self::Resnet50];

    /// Its name in requests and in [`crate::ModelIdentity`]. Stored with collections: what a name means never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Carried => "vgg16-imagenet-notop",
            Self::Vgg16 => "vgg16",
            Self::Vgg16Fc6 => "vgg16-fc6",
            Self::Vgg16Fc7 => "vgg16-fc7",
            Self::Vgg19 => "vgg19",
            Self::Resnet50 => "resnet50",
        }
    }

    /// Which files it can be run with.
    pub fn architecture(self) -> Architecture {
        match self {
            Self::Carried | Self::Vgg16 | Self::Vgg16Fc6 | Self::Vgg16Fc7 => Architecture::Vgg16,
            Self::Vgg19 => Architecture::Vgg19,
            Self::Resnet50 => Architecture::Resnet50,
        }
    }

    /// Number of values in a vector.
    pub fn dimension(self) -> usize {
        match self {
            Self::Carried | Self::Vgg16 | Self::Vgg19 => 512,
            Self::Vgg16Fc6 | Self::Vgg16Fc7 => 4096,
            Self::Resnet50 => 2048,
        }
    }

    /// The poolings that make sense of what it gives, its standard first.
    pub fn poolings(self) -> &'static [Pooling] {
        match self {
            Self::Carried | Self::Vgg16 | Self::Vgg19 => &Pooling::ALL,
            Self::Vgg16Fc6 | Self::Vgg16Fc7 => &[Pooling::None],
            // The network itself ends with the mean.
            Self::Resnet50 => &[Pooling::Avg, Pooling::Max, Pooling::Gem, Pooling::Rmac],
        }
    }

    /// The recipes whose inputs it takes, its standard first: what it was trained with.
    pub fn recipes(self) -> &'static [Recipe] {
        match self {
            Self::Carried => &Recipe::ALL,
            Self::Vgg16 | Self::Vgg19 | Self::Resnet50 => {
                &[Recipe::Torchvision, Recipe::Keras, Recipe::Keras320]
            }
            // A fully connected layer takes maps of one size.
            Self::Vgg16Fc6 | Self::Vgg16Fc7 => &[Recipe::Torchvision, Recipe::Keras],
        }
    }

    pub(crate) fn normalisation(self) -> Normalisation {
        if self == Self::Carried { Normalisation::Caffe } else { Normalisation::Torchvision }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Network {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        Self::ALL.into_iter().find(|network| network.name() == word).ok_or_else(|| UnknownWord {
            what: "model",
            word: word.to_string(),
            expected: "vgg16-imagenet-notop, vgg16, vgg16-fc6, vgg16-fc7, vgg19 or resnet50",
        })
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Vgg16, Self::Vgg19, Self::Resnet50];

    /// Its name, as torchvision has it: `vgg16`, `vgg19` or `resnet50`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vgg16 => "vgg16",
            Self::Vgg19 => "vgg19",
            Self::Resnet50 => "resnet50",
        }
    }

    /// The networks that need a file of it.
    pub fn networks(self) -> impl Iterator<Item = Network> {
        Network::ALL
            .into_iter()
            .filter(move |network| *network != Network::Carried && network.architecture() == self)
    }

    /// Where torchvision publishes its weights (ImageNet, version 1) and the first eight digits of their SHA-256, which
    /// that project puts into the names of its files.
    pub fn published(self) -> (&'static str, &'static str) {
        match self {
            Self::Vgg16 => ("https://download.pytorch.org/models/vgg16-397923af.pth", "397923af"),
            Self::Vgg19 => ("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", "dcbb9e9d"),
            Self::Resnet50 => ("https://download.pytorch.org/models/resnet50-0676ba61.pth", "0676ba61"),
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A network with the weights it runs with: what makes the vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ModelKey {
    /// The network.
    pub network: Network,
    /// SHA-256 of its weights file.
    pub sha256: Sha256,
}

impl ModelKey {
    /// The one inside the program.
    pub const CARRIED: Self = Self { network: Network::Carried, sha256: carried::WEIGHTS_SHA256 };
}

impl Default for ModelKey {
    fn default() -> Self {
        Self::CARRIED
    }
}

impl fmt::Display for ModelKey {
    /// `resnet50@0676ba61`, with as many digits as torchvision's file names have; the carried one needs none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.network {
            Network::Carried => write!(f, "{}", self.network),
            network => write!(f, "{network}@{:.8}", self.sha256.to_string()),
        }
    }
}

/// How a person names a model: `resnet50`, or with the first eight digits of its SHA-256 `resnet50@0676ba61` where there
/// are several files of its architecture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelName {
    /// The network.
    pub network: Network,
    /// The first bytes of the SHA-256.
    digits: Option<[u8; 4]>,
}

impl ModelName {
    /// Whether the name fits the model.
    pub fn fits(self, model: ModelKey) -> bool {
        self.network == model.network && self.digits.is_none_or(|digits| digits == model.sha256.first())
    }
}

impl From<ModelKey> for ModelName {
    fn from(model: ModelKey) -> Self {
        let digits = (model.network != Network::Carried).then(|| model.sha256.first());
        Self { network: model.network, digits }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.network, f)?;
        self.digits.map_or(Ok(()), |digits| write!(f, "@{:08x}", u32::from_be_bytes(digits)))
    }
}

impl FromStr for ModelName {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let Some((network, digits)) = word.split_once('@') else {
            return Ok(Self { network: word.parse()?, digits: None });
        };
        let is_hex = digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        let number = number.ok_or_else(|| UnknownWord {
            what: "model",
            word: word.to_string(),
            expected: "eight hex digits of a SHA-256 behind the @",
        })?;
        Ok(Self { network: network.parse()?, digits: Some(number.to_be_bytes()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_name_models_with_and_without_digits() {
        let model = ModelKey { network: Network::Resnet50, sha256: Sha256::new([0x0a; 32]) };
        for (word, fits) in
            [("resnet50", true), ("resnet50@0a0a0a0a", true), ("resnet50@0a0a0a0b", false), ("vgg19", false)]
        {
            let name: ModelName = word.parse().unwrap();
            assert_eq!((name.fits(model), name.to_string()), (fits, word.to_string()));
        }
        assert_eq!(ModelName::from(model).to_string(), model.to_string());
        assert_eq!(ModelName::from(ModelKey::CARRIED), ModelName::default());
        for wrong in ["resnet50@", "resnet50@0a0a", "resnet50@0a0a0a0a0a", "resnet50@+a0a0a0a", "a@0a0a0a0a"]
        {
            assert!(wrong.parse::<ModelName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_round_trip() {
        for network in Network::ALL {
            assert_eq!(network.name().parse::<Network>().unwrap(), network);
            assert!(network.to_string().starts_with(network.architecture().name()));
        }
        for wrong in ["", "VGG16", "vgg", "resnet101"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn published_files_are_named_by_their_hash() {
        for architecture in Architecture::ALL {
            let (url, digits) = architecture.published();
            assert!(url.ends_with(&format!("/{architecture}-{digits}.pth")), "{url}");
        }
    }
}
