//! The type of the numbers that are multiplied.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::UnknownWord;

/// The type of the numbers that a GPU multiplies; the processor always multiplies f32. Vectors are close enough to be
/// compared whatever it is, which is checked on a first image: their identity does not say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 24 bits of fraction; burn may let a GPU's matrix units round factors to TF32, which has 11, where that is faster.
    #[default]
    F32,
    /// 11 bits, values to 65,504.
    F16,
    /// 8 bits, values as large as those of f32.
    Bf16,
}

impl Precision {
    /// The cosine between a vector of this precision and the processor's for the same image, at least.
    #[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "only a GPU is tried and replaced"))]
    pub(super) fn least_cosine(self) -> f32 {
        match self {
            Self::F32 => 0.9999,
            Self::F16 | Self::Bf16 => 0.999,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

impl FromStr for Precision {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "f32" => Ok(Self::F32),
            "f16" => Ok(Self::F16),
            "bf16" => Ok(Self::Bf16),
            _ => Err(UnknownWord { what: "precision", word: word.to_string(), expected: "f32, f16 or bf16" }),
        }
    }
}
