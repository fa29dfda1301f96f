//! The head: the last feature map becomes one value per channel, then the vector gets length 1. It runs on the host for
//! every device, because VGG16's 25,088 values per image (51,200 for one of 320x320) are nothing beside the convolutions
//! and the rounding is then the same everywhere. One run of the network serves every pooling.

mod regions;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{EmbedError, UnknownWord};
use regions::{Region, regions};

/// How the positions of each channel become one value; before the vector gets length 1. m is the channel's map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// max m: the standard, as the classic Keras `VGG16(pooling="max")` gives it. Also called MAC.
    #[default]
    Max,
    /// mean m: as Keras's `pooling="avg"`. Also called SPoC without its centre prior.
    Avg,
    /// (mean m³)^(1/3): the generalised mean with p = 3 (Radenović, Tolias and Chum, "Fine-tuning CNN Image Retrieval
    /// with No Human Annotation", 2018), between the mean (p = 1) and the maximum (p = ∞).
    Gem,
    /// Regional maximum activations of convolutions (Tolias, Sicre and Jégou, "Particular object retrieval with integral
    /// max-pooling of CNN activations", 2016): the maxima over each of 14 squares of three sizes, each set of them
    /// brought to length 1, summed. Without the paper's PCA.
    Rmac,
    /// The value itself, of layers that have no positions left: fully connected ones.
    None,
}

/// The exponent of [`Pooling::Gem`]. Another one would need another name in the identity.
const GEM_P: i32 = 3;

impl Pooling {
    /// Those of maps, the standard first: all but [`Pooling::None`].
    pub const ALL: [Self; 4] = [Self::Max, Self::Avg, Self::Gem, Self::Rmac];
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Max => "max",
            Self::Avg => "avg",
            Self::Gem => "gem",
            Self::Rmac => "rmac",
            Self::None => "none",
        })
    }
}

impl FromStr for Pooling {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let mut all = Self::ALL.into_iter().chain([Self::None]);
        all.find(|pooling| pooling.to_string() == word).ok_or_else(|| UnknownWord {
            what: "pooling",
            word: word.to_string(),
            expected: "max, avg, gem, rmac or none",
        })
    }
}

/// What the network gives for one image: `[channels, side, side]` values from 0 on, row-major; for VGG16 512 channels of
/// a 32nd of the input's side, for a fully connected layer 4096 channels of side 1.
#[derive(Clone, PartialEq)]
pub struct FeatureMap {
    values: Vec<f32>,
    channels: usize,
    side: usize,
}

impl FeatureMap {
    /// Takes `[channels, side, side]` values.
    ///
    /// # Errors
    /// [`EmbedError::Compute`] when there are not `channels` squares of one side, at least 1.
    pub fn new(values: Vec<f32>, channels: usize) -> Result<Self, EmbedError> {
        let side = (values.len() / channels.max(1)).isqrt();
        if side == 0 || values.len() != channels * side * side {
            let reason = format!("{} values are no squares of {channels} channels", values.len());
            return Err(EmbedError::Compute { reason });
        }
        Ok(Self { values, channels, side })
    }

    /// The values as they were given.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// One value per channel, as a vector of length 1.
    ///
    /// # Errors
    /// [`EmbedError::NoDirection`] for values that are not finite and vectors that are all zero, which no working network
    /// gives, and for [`Pooling::None`] where there are several positions.
    pub fn pool(&self, pooling: Pooling) -> Result<Vec<f32>, EmbedError> {
        let positions = self.side * self.side;
        let mean_of_powers = |map: &[f32], power: i32| {
            map.iter().map(|&value| f64::from(value).powi(power)).sum::<f64>() / positions as f64
        };
        normalise(match pooling {
            Pooling::Max => self.each_channel(|map| largest(map.iter().copied())),
            Pooling::Avg => self.each_channel(|map| map.iter().sum::<f32>() / positions as f32),
            Pooling::Gem => self.each_channel(|map| mean_of_powers(map, GEM_P).cbrt() as f32),
            Pooling::Rmac => self.sum_of_regions(),
            Pooling::None if positions == 1 => self.values.clone(),
            Pooling::None => {
                return Err(EmbedError::Compute { reason: format!("{positions} positions and no pooling") });
            }
        })
    }

    fn each_channel(&self, pool: impl Fn(&[f32]) -> f32) -> Vec<f32> {
        self.values.chunks_exact(self.side * self.side).map(pool).collect()
    }

    fn sum_of_regions(&self) -> Vec<f32> {
        let mut sum = vec![0.0; self.channels];
        for Region { top, left, side } in regions(self.side) {
            let largest = self.each_channel(|map| {
                let rows = map.chunks_exact(self.side).skip(top).take(side);
                largest(rows.flat_map(|row| row[left..left + side].iter().copied()))
            });
            let length = length(&largest);
            // Where nothing was found there is no direction to add.
            if length != 0.0 {
                sum.iter_mut().zip(largest).for_each(|(sum, value)| *sum += f64::from(value) / length);
            }
        }
        sum.into_iter().map(|value| value as f32).collect()
    }
}

impl fmt::Debug for FeatureMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FeatureMap({} x {} x {})", self.channels, self.side, self.side)
    }
}

/// The largest of at least one value. Unlike `f32::max` it keeps a NaN, so that [`normalise`] sees it.
fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.reduce(|a, b| if b > a || b.is_nan() { b } else { a }).unwrap_or(0.0)
}

fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

fn normalise(mut vector: Vec<f32>) -> Result<Vec<f32>, EmbedError> {
    let length = length(&vector);
    if !length.is_finite() || length == 0.0 {
        return Err(EmbedError::NoDirection { length: length.to_string() });
    }
    for value in &mut vector {
        *value = (f64::from(*value) / length) as f32;
    }
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(values: &[f32], channels: usize, pooling: Pooling) -> Vec<f32> {
        FeatureMap::new(values.to_vec(), channels).unwrap().pool(pooling).unwrap()
    }

    /// Two channels of two by two positions.
    const MAPS: [f32; 8] = [3.0, 1.0, 2.0, 0.0, 4.0, 0.0, 2.0, 0.0];

    #[test]
    fn formulas_by_hand() {
        assert_eq!(pool(&MAPS, 2, Pooling::Max), [0.6, 0.8]);
        let half = 0.5f32.sqrt();
        assert_eq!(pool(&MAPS, 2, Pooling::Avg), [half, half]);
        // (27 + 1 + 8) / 4 and (64 + 8) / 4: the cube roots of 9 and 18, of which only the ratio is left.
        let gem = pool(&MAPS, 2, Pooling::Gem);
        assert!((gem[1] / gem[0] - 2f32.cbrt()).abs() < 1e-6, "{gem:?}");
        // The whole, then 1x1 squares: on the second level every place once, on the third the first row and the first
        // column twice. That is (3, 4) / 5 six times, (1, 0) and (2, 2) / √8 three times each, and twice nothing.
        let sum = [6.0 * 0.6 + 3.0 + 3.0 * half, 6.0 * 0.8 + 3.0 * half];
        let rmac = pool(&MAPS, 2, Pooling::Rmac);
        assert!((rmac[1] / rmac[0] - sum[1] / sum[0]).abs() < 1e-6, "{rmac:?} {sum:?}");
    }

    /// As the papers' formulas read, in f64 and without regard to cost.
    fn naive(values: &[f32], channels: usize, side: usize, pooling: Pooling) -> Vec<f64> {
        let at = |channel: usize, y: usize, x: usize| f64::from(values[(channel * side + y) * side + x]);
        let unit = |vector: Vec<f64>| {
            let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
            vector.into_iter().map(|value| value / length).collect::<Vec<_>>()
        };
        let places = |top: usize, left: usize, size: usize| {
            (top..top + size).flat_map(move |y| (left..left + size).map(move |x| (y, x)))
        };
        let max = |top, left, size| -> Vec<f64> {
            let channel = |c| places(top, left, size).map(|(y, x)| at(c, y, x)).fold(0.0, f64::max);
            (0..channels).map(channel).collect()
        };
        let mean = |power: f64| -> Vec<f64> {
            let sum = |c| places(0, 0, side).map(|(y, x)| at(c, y, x).powf(power)).sum::<f64>();
            (0..channels).map(|c| (sum(c) / (side * side) as f64).powf(1.0 / power)).collect()
        };
        unit(match pooling {
            Pooling::Max => max(0, 0, side),
            Pooling::Avg => mean(1.0),
            Pooling::Gem => mean(3.0),
            Pooling::None => values.iter().copied().map(f64::from).collect(),
            Pooling::Rmac => {
                let mut sum = vec![0.0; channels];
                for level in 1..=3usize {
                    let size = (2.0 * side as f64 / (level as f64 + 1.0)).floor();
                    let step = if level > 1 { (side as f64 - size) / (level as f64 - 1.0) } else { 0.0 };
                    for (row, column) in
                        (0..level).flat_map(|row| (0..level).map(move |column| (row, column)))
                    {
                        let start = |number: usize| (number as f64 * step).floor() as usize;
                        let region = unit(max(start(row), start(column), size as usize));
                        sum.iter_mut().zip(region).for_each(|(sum, value)| *sum += value);
                    }
                }
                sum
            }
        })
    }

    #[test]
    fn every_pooling_equals_its_formula_and_differs_from_the_others() {
        let mut next = crate::kernel::tests::numbers(17);
        for side in [7, 10] {
            let values: Vec<f32> = (0..512 * side * side).map(|_| next().max(0.0)).collect();
            let mut seen: Vec<Vec<f32>> = Vec::new();
            for pooling in Pooling::ALL {
                let found = pool(&values, 512, pooling);
                let expected = naive(&values, 512, side, pooling);
                let worst =
                    found.iter().zip(expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-6, "{pooling} {side}: {worst}");
                assert!((length(&found) - 1.0).abs() < 1e-6);
                seen.push(found);
            }
            for (one, other) in seen.iter().zip(&seen[1..]) {
                assert!(one.iter().zip(other).any(|(a, b)| (a - b).abs() > 1e-3));
            }
        }
    }

    #[test]
    fn vectors_that_mean_nothing_are_refused() {
        for bad in [[0.0, 0.0], [f32::NAN, 1.0], [1.0, f32::NAN], [f32::INFINITY, 1.0]] {
            for pooling in Pooling::ALL {
                assert!(
                    FeatureMap::new(bad.to_vec(), 2).unwrap().pool(pooling).is_err(),
                    "{bad:?} {pooling}"
                );
                let square = [bad, [1.0, 0.0]].concat();
                let refused = FeatureMap::new(square, 1).unwrap().pool(pooling).is_err();
                assert_eq!(refused, bad != [0.0, 0.0], "{bad:?} {pooling}");
            }
        }
    }

    #[test]
    fn layers_without_positions_are_taken_as_they_are() {
        assert_eq!(pool(&[3.0, 0.0, 4.0], 3, Pooling::None), [0.6, 0.0, 0.8]);
        assert!(FeatureMap::new(MAPS.to_vec(), 2).unwrap().pool(Pooling::None).is_err());
    }

    #[test]
    fn a_map_of_the_wrong_size_is_refused() {
        assert!(FeatureMap::new(MAPS[..7].to_vec(), 2).is_err());
        assert!(FeatureMap::new(MAPS[..6].to_vec(), 2).is_err(), "three positions are no square");
        assert!(FeatureMap::new(Vec::new(), 2).is_err());
        assert!(FeatureMap::new(Vec::new(), 0).is_err());
        assert!(FeatureMap::new(vec![1.0], 0).is_err());
    }

    #[test]
    fn names_round_trip() {
        for pooling in Pooling::ALL.into_iter().chain([Pooling::None]) {
            assert_eq!(pooling.to_string().parse::<Pooling>().unwrap(), pooling);
            assert_eq!(serde_json::to_value(pooling).unwrap(), pooling.to_string());
        }
        assert!("mean".parse::<Pooling>().is_err());
    }
}
