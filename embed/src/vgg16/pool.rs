//! The head: one value per channel from the last feature map, then the L2 norm. It runs on the host in f32 for
//! every device, because 25,088 values per image are nothing beside the convolutions and the rounding is then the
//! same everywhere. Called by the networks only.

use std::fmt;
use std::str::FromStr;

use crate::error::{EmbedError, UnknownWord};

/// How the 7x7 positions of a channel become one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The largest of the 49: the standard, as the classic Keras `VGG16(pooling="max")` gives it.
    #[default]
    Max,
    /// Their mean.
    Avg,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Max => "max",
            Self::Avg => "avg",
        })
    }
}

impl FromStr for Pooling {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        match word {
            "max" => Ok(Self::Max),
            "avg" => Ok(Self::Avg),
            _ => Err(UnknownWord { what: "pooling", word: word.to_string(), expected: "max or avg" }),
        }
    }
}

/// Feature maps `[images, channels, positions]`, row-major, to `images` vectors of `channels` values of length 1.
///
/// Refuses values that are not finite and vectors that are all zero, which no working network gives.
pub(super) fn pool_and_normalise(
    maps: &[f32],
    images: usize,
    channels: usize,
    pooling: Pooling,
) -> Result<Vec<Vec<f32>>, EmbedError> {
    let positions = maps.len() / (images * channels).max(1);
    if positions == 0 || maps.len() != images * channels * positions {
        let reason = format!("{} values do not fit {images} images of {channels} channels", maps.len());
        return Err(EmbedError::Compute { reason });
    }
    maps.chunks_exact(channels * positions)
        .map(|map| {
            let pooled = map.chunks_exact(positions).map(|channel| match pooling {
                Pooling::Max => channel.iter().copied().reduce(max_or_nan).unwrap_or(0.0),
                Pooling::Avg => channel.iter().sum::<f32>() / positions as f32,
            });
            normalise(pooled.collect())
        })
        .collect()
}

/// The larger value; unlike `f32::max` it keeps a NaN, so that [`normalise`] sees it.
fn max_or_nan(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

fn normalise(mut vector: Vec<f32>) -> Result<Vec<f32>, EmbedError> {
    let norm = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    if !norm.is_finite() || norm == 0.0 {
        return Err(EmbedError::Compute { reason: format!("the vector's length is {norm}") });
    }
    for value in &mut vector {
        *value = (f64::from(*value) / norm) as f32;
    }
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two images, two channels, three positions.
    const MAPS: [f32; 12] = [3.0, 1.0, 2.0, 4.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 6.0, 0.0];

    #[test]
    fn max_and_avg_differ_and_have_length_one() {
        assert_eq!(pool_and_normalise(&MAPS, 2, 2, Pooling::Max).unwrap(), [[0.6, 0.8], [0.0, 1.0]]);
        let avg = pool_and_normalise(&MAPS, 2, 2, Pooling::Avg).unwrap();
        let half = 0.5f32.sqrt();
        assert_eq!(avg, [[half, half], [0.0, 1.0]]);
    }

    #[test]
    fn vectors_that_mean_nothing_are_refused() {
        for bad in [[0.0, 0.0], [f32::NAN, 1.0], [1.0, f32::NAN], [f32::INFINITY, 1.0]] {
            for pooling in [Pooling::Max, Pooling::Avg] {
                assert!(pool_and_normalise(&bad, 1, 2, pooling).is_err(), "{bad:?} {pooling}");
                assert!(pool_and_normalise(&bad, 1, 1, pooling).is_err(), "{bad:?} {pooling}");
            }
        }
    }

    #[test]
    fn a_map_of_the_wrong_size_is_refused() {
        assert!(pool_and_normalise(&MAPS[..11], 2, 2, Pooling::Max).is_err());
        assert!(pool_and_normalise(&[], 1, 2, Pooling::Max).is_err());
    }

    #[test]
    fn names_round_trip() {
        for pooling in [Pooling::Max, Pooling::Avg] {
            assert_eq!(pooling.to_string().parse::<Pooling>().unwrap(), pooling);
        }
        assert!("mean".parse::<Pooling>().is_err());
    }
}
