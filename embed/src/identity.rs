//! Which model made a vector. Vectors of different identities must never be compared, so the server stores the
//! canonical text with a collection and refuses a mismatch. Every embedder has one, and two programs that would
//! give different vectors for the same photo must have different ones.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::IdentityError;
use crate::preprocess::PREPROCESSING;
use crate::vgg16::weights::{MODEL_NAME, WEIGHTS_SHA256};
use crate::vgg16::{DIMENSION, Pooling};

/// The model, its weights, and everything else that decides what a vector means.
///
/// Its canonical text, by [`Display`](fmt::Display) and back by [`FromStr`], is
/// `vgg16-imagenet-notop;sha256=<64 hex digits>;keras-bilinear-224-v1;max;512`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ModelIdentity {
    /// Name of the network, `vgg16-imagenet-notop`.
    pub model: String,
    /// SHA-256 of the weights file, 64 lower-case hex digits.
    pub weights_sha256: String,
    /// Name and version of the preprocessing recipe, `keras-bilinear-224-v1`.
    pub preprocessing: String,
    /// How feature maps become a vector.
    pub pooling: Pooling,
    /// Number of values in a vector.
    pub dimension: usize,
}

impl ModelIdentity {
    /// The identity of the carried VGG16 with this pooling.
    pub fn vgg16(pooling: Pooling) -> Self {
        Self {
            model: MODEL_NAME.to_string(),
            weights_sha256: WEIGHTS_SHA256.to_string(),
            preprocessing: PREPROCESSING.to_string(),
            pooling,
            dimension: DIMENSION,
        }
    }
}

impl fmt::Display for ModelIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, weights_sha256, preprocessing, pooling, dimension } = self;
        write!(f, "{model};sha256={weights_sha256};{preprocessing};{pooling};{dimension}")
    }
}

impl FromStr for ModelIdentity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let bad = |reason: &str| IdentityError { text: text.to_string(), reason: reason.to_string() };
        let parts: Vec<&str> = text.split(';').collect();
        let [model, hash, preprocessing, pooling, dimension] = parts[..] else {
            return Err(bad("it does not have five parts"));
        };
        let hash = hash.strip_prefix("sha256=").ok_or_else(|| bad("the second part is not a sha256"))?;
        if hash.len() != 64 || !hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(bad("the hash is not 64 lower-case hex digits"));
        }
        if model.is_empty() || preprocessing.is_empty() {
            return Err(bad("a name is empty"));
        }
        Ok(Self {
            model: model.to_string(),
            weights_sha256: hash.to_string(),
            preprocessing: preprocessing.to_string(),
            pooling: pooling.parse().map_err(|_| bad("the pooling is neither max nor avg"))?,
            dimension: dimension.parse().map_err(|_| bad("the dimension is not a number"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_text_round_trips_and_never_changes() {
        for pooling in [Pooling::Max, Pooling::Avg] {
            let identity = ModelIdentity::vgg16(pooling);
            assert_eq!(identity.to_string().parse::<ModelIdentity>().unwrap(), identity);
        }
        // Stored in collections on disk: this line may only change together with the vectors.
        assert_eq!(
            ModelIdentity::vgg16(Pooling::Max).to_string(),
            "vgg16-imagenet-notop;sha256=7975197dd96a69fd8ec1ca5878342354f30a1cfdeb876a714ca3d6698f89708b;\
             keras-bilinear-224-v1;max;512"
        );
    }

    #[test]
    fn every_part_decides() {
        let text = ModelIdentity::vgg16(Pooling::Max).to_string();
        for (from, to) in [("vgg16", "vgg19"), ("=7", "=8"), ("-v1", "-v2"), ("max", "avg"), ("512", "513")] {
            let other: ModelIdentity = text.replace(from, to).parse().unwrap();
            assert_ne!(other, ModelIdentity::vgg16(Pooling::Max), "{from} -> {to}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let good = ModelIdentity::vgg16(Pooling::Max).to_string();
        let bad =
            ["", "vgg16", ";;;;", &good[1..].replace("512", "x"), &good.replace("sha256=7", "sha256=G")];
        for text in bad.iter().copied().chain([format!("{good};").as_str()]) {
            assert!(text.parse::<ModelIdentity>().is_err(), "{text}");
        }
    }
}
