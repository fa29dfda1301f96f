//! Which model made a vector. Vectors of different identities must never be compared, so the server stores the
//! canonical text with a collection, embeds its photos and queries accordingly, and refuses what this program cannot
//! compute. Two programs that would give different vectors for the same photo must have different ones.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::descriptor::Descriptor;
use crate::digest::Sha256;
use crate::error::IdentityError;
use crate::network::ModelKey;
use crate::pool::Pooling;
use crate::preprocess::Recipe;

/// The model, its weights, and everything else that decides what a vector means.
///
/// Its canonical text, by [`Display`](fmt::Display) and back by [`FromStr`], is
/// `vgg16-imagenet-notop;sha256=<64 hex digits>;keras-bilinear-224-v1;max;512`, and for vectors that were reduced
/// `...;max;512;pca128=<64 hex digits>`, or `pcaw128` with whitening.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ModelIdentity {
    /// Name of the network, `vgg16-imagenet-notop`: see [`crate::Network::name`].
    pub model: String,
    /// SHA-256 of the weights file, 64 lower-case hex digits.
    pub weights_sha256: String,
    /// Name and version of the preprocessing recipe, `keras-bilinear-224-v1`: see [`Recipe::identity`].
    pub preprocessing: String,
    /// How feature maps become a vector.
    pub pooling: Pooling,
    /// Number of values in a vector as the network makes it; see [`ModelIdentity::vector_dimension`].
    pub dimension: usize,
    /// What has made it shorter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduction: Option<ReductionIdentity>,
}

/// Which reduction made vectors shorter: one that was learned, so its file is part of what they mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ReductionIdentity {
    /// Number of values in a reduced vector.
    pub dimension: usize,
    /// Whether the values have equal variance.
    pub whitened: bool,
    /// SHA-256 of the file, 64 lower-case hex digits: see [`crate::Reduction::to_bytes`].
    pub sha256: String,
}

impl ModelIdentity {
    /// The identity of this descriptor's vectors.
    pub fn of(descriptor: Descriptor) -> Self {
        let Descriptor { model: ModelKey { network, sha256 }, recipe, pooling } = descriptor;
        Self {
            model: network.name().to_string(),
            weights_sha256: sha256.to_string(),
            preprocessing: recipe.identity().to_string(),
            pooling,
            dimension: network.dimension(),
            reduction: None,
        }
    }

    /// Number of values in a vector of this identity.
    pub fn vector_dimension(&self) -> usize {
        self.reduction.as_ref().map_or(self.dimension, |reduction| reduction.dimension)
    }

    /// That of the vectors before they were reduced.
    #[must_use]
    pub fn unreduced(&self) -> Self {
        Self { reduction: None, ..self.clone() }
    }

    /// The descriptor whose vectors have this identity; `None` when no network of this program makes them, or they were
    /// reduced. The weights of other networks than the carried one may be anywhere: whoever opens them has to look.
    pub fn descriptor(&self) -> Option<Descriptor> {
        let model = ModelKey { network: self.model.parse().ok()?, sha256: self.weights_sha256.parse().ok()? };
        let recipe = Recipe::ALL.into_iter().find(|recipe| recipe.identity() == self.preprocessing)?;
        let descriptor = Descriptor::new(model, Some(recipe), Some(self.pooling)).ok()?;
        let foreign = model.network == ModelKey::CARRIED.network && model != ModelKey::CARRIED;
        (*self == Self::of(descriptor) && !foreign).then_some(descriptor)
    }
}

impl fmt::Display for ModelIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, weights_sha256, preprocessing, pooling, dimension, reduction } = self;
        write!(f, "{model};sha256={weights_sha256};{preprocessing};{pooling};{dimension}")?;
        reduction.as_ref().map_or(Ok(()), |reduction| write!(f, ";{reduction}"))
    }
}

impl fmt::Display for ReductionIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}={}", if self.whitened { "pcaw" } else { "pca" }, self.dimension, self.sha256)
    }
}

impl FromStr for ModelIdentity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let bad = |reason: &str| IdentityError { text: text.to_string(), reason: reason.to_string() };
        let parts: Vec<&str> = text.split(';').collect();
        let ([model, hash, preprocessing, pooling, dimension], reduction) = match parts[..] {
            [a, b, c, d, e] => ([a, b, c, d, e], None),
            [a, b, c, d, e, reduction] => ([a, b, c, d, e], Some(reduction)),
            _ => return Err(bad("it has neither five nor six parts")),
        };
        let hash = hash.strip_prefix("sha256=").ok_or_else(|| bad("the second part is not a sha256"))?;
        if Sha256::from_hex(hash).is_none() {
            return Err(bad("the hash is not 64 lower-case hex digits"));
        }
        let reduction = reduction
            .map(|part| ReductionIdentity::parse(part).ok_or_else(|| bad("the last part is no reduction")));
        if model.is_empty() || preprocessing.is_empty() {
            return Err(bad("a name is empty"));
        }
        let identity = Self {
            model: model.to_string(),
            weights_sha256: hash.to_string(),
            preprocessing: preprocessing.to_string(),
            pooling: pooling.parse().map_err(|_| bad("the pooling is unknown"))?,
            dimension: dimension.parse().map_err(|_| bad("the dimension is not a number"))?,
            reduction: reduction.transpose()?,
        };
        // One identity has one text: no sign and no zeros before a number.
        if identity.to_string() != text {
            return Err(bad("it is not written as it should be"));
        }
        Ok(identity)
    }
}

impl ReductionIdentity {
    fn parse(part: &str) -> Option<Self> {
        let (kind, sha256) = part.split_once('=')?;
        let kind = kind.strip_prefix("pca")?;
        let (whitened, digits) = kind.strip_prefix('w').map_or((false, kind), |digits| (true, digits));
        Sha256::from_hex(sha256)?;
        Some(Self { dimension: digits.parse().ok()?, whitened, sha256: sha256.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;

    #[test]
    fn the_canonical_text_round_trips_and_never_changes() {
        for descriptor in Descriptor::all() {
            let identity = ModelIdentity::of(descriptor);
            assert_eq!(identity.to_string().parse::<ModelIdentity>().unwrap(), identity);
            assert_eq!(identity.descriptor(), Some(descriptor));
        }
        // Stored in collections on disk: these lines may only change together with the vectors.
        let weights =
            "vgg16-imagenet-notop;sha256=7975197dd96a69fd8ec1ca5878342354f30a1cfdeb876a714ca3d6698f89708b";
        for (recipe, pooling, rest) in [
            (Recipe::Keras, Pooling::Max, "keras-bilinear-224-v1;max;512"),
            (Recipe::Keras, Pooling::Avg, "keras-bilinear-224-v1;avg;512"),
            (Recipe::Torchvision, Pooling::Gem, "torchvision-bilinear-224-v1;gem;512"),
            (Recipe::Keras320, Pooling::Rmac, "keras-bilinear-320-v1;rmac;512"),
        ] {
            let identity = ModelIdentity::of(Descriptor::carried(recipe, pooling));
            assert_eq!(identity.to_string(), format!("{weights};{rest}"));
        }
        let sha256 = "0123456789abcdef".repeat(4);
        for (dimension, whitened, part) in [(128, false, "pca128="), (64, true, "pcaw64=")] {
            let reduction = Some(ReductionIdentity { dimension, whitened, sha256: sha256.clone() });
            let identity = ModelIdentity { reduction, ..ModelIdentity::of(Descriptor::default()) };
            let text = format!("{weights};keras-bilinear-224-v1;max;512;{part}{sha256}");
            assert_eq!((identity.to_string(), text.parse().unwrap()), (text, identity.clone()));
            assert_eq!((identity.vector_dimension(), identity.descriptor()), (dimension, None));
            assert_eq!(identity.unreduced().descriptor(), Some(Descriptor::default()));
        }
    }

    #[test]
    fn other_networks_have_identities_of_their_own() {
        let sha256 = Sha256::new([0xab; 32]);
        let hash = "ab".repeat(32);
        for (network, rest) in [
            (Network::Vgg16, "torchvision-bilinear-224-v1;max;512"),
            (Network::Vgg16Fc6, "torchvision-bilinear-224-v1;none;4096"),
            (Network::Vgg16Fc7, "torchvision-bilinear-224-v1;none;4096"),
            (Network::Vgg19, "torchvision-bilinear-224-v1;max;512"),
            (Network::Resnet50, "torchvision-bilinear-224-v1;avg;2048"),
        ] {
            let descriptor = Descriptor::new(ModelKey { network, sha256 }, None, None).unwrap();
            let identity = ModelIdentity::of(descriptor);
            assert_eq!(identity.to_string(), format!("{network};sha256={hash};{rest}"));
            assert_eq!(identity.descriptor(), Some(descriptor));
            let rmac = ModelIdentity { pooling: Pooling::Rmac, ..identity };
            assert_eq!(
                rmac.descriptor().is_some(),
                !matches!(network, Network::Vgg16Fc6 | Network::Vgg16Fc7)
            );
        }
    }

    #[test]
    fn every_part_decides() {
        let standard = ModelIdentity::of(Descriptor::default());
        let text = standard.to_string();
        for (from, to, ours) in [
            ("vgg16-imagenet-notop", "vgg19", true),
            ("vgg16", "vgg11", false),
            ("=7", "=8", false),
            ("-v1", "-v2", false),
            ("max", "avg", true),
            ("512", "513", false),
        ] {
            let other: ModelIdentity = text.replace(from, to).parse().unwrap();
            assert_ne!(other, standard, "{from} -> {to}");
            assert_eq!(other.descriptor().is_some(), ours, "{from} -> {to}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let good = ModelIdentity::of(Descriptor::default()).to_string();
        let wrong = |from: &str, to: &str| good.replace(from, to);
        let bad = [
            String::new(),
            "vgg16".to_string(),
            ";;;;".to_string(),
            good[1..].replace("512", "x"),
            wrong("sha256=7", "sha256=G"),
            wrong("max", "median"),
            wrong(";512", ";+512"),
            wrong(";512", ";0512"),
            format!("{good};"),
            format!("{good};pca128"),
            format!("{good};pca128={}", "0".repeat(63)),
            format!("{good};pca0128={}", "0".repeat(64)),
            format!("{good};pca+8={}", "0".repeat(64)),
            format!("{good};pcaw={}", "0".repeat(64)),
            format!("{good};lda8={}", "0".repeat(64)),
            format!("{good};pca8={};", "0".repeat(64)),
        ];
        for text in bad {
            assert!(text.parse::<ModelIdentity>().is_err(), "{text}");
        }
    }
}
