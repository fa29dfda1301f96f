//! What "near" means: the three metrics of float vectors, by the names Milvus gives them. The schema stores a metric,
//! searches name one, and [`TopK`](super::TopK) orders scores by it.

#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How two float vectors are compared. Written and stored as `L2`, `IP` and `COSINE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Metric {
    /// Squared Euclidean distance, as Milvus reports it: no root is taken. Smaller is nearer, 0 is equal.
    L2,
    /// Inner product. Larger is nearer.
    Ip,
    /// Cosine of the angle between the vectors, in -1..=1. Larger is nearer.
    Cosine,
}

impl Metric {
    /// Whether a larger score is the nearer one.
    pub fn is_similarity(self) -> bool {
        !matches!(self, Self::L2)
    }

    /// Whether score `a` is strictly nearer than score `b`. False when either is NaN.
    pub fn better(self, a: f32, b: f32) -> bool {
        if self.is_similarity() { a > b } else { a < b }
    }

    /// The name in Milvus's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::L2 => "L2",
            Self::Ip => "IP",
            Self::Cosine => "COSINE",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no metric of float vectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownMetric(String);

impl fmt::Display for UnknownMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown metric type {:?}: expected L2, IP or COSINE", self.0)
    }
}

impl std::error::Error for UnknownMetric {}

impl FromStr for Metric {
    type Err = UnknownMetric;

    /// Reads a name in any mix of cases.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::L2, Self::Ip, Self::Cosine]
            .into_iter()
            .find(|metric| metric.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownMetric(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_written_upper() {
        for (text, metric) in [("l2", Metric::L2), ("Ip", Metric::Ip), ("COSINE", Metric::Cosine)] {
            assert_eq!(text.parse(), Ok(metric));
            assert_eq!(metric.to_string(), text.to_uppercase());
        }
        assert_eq!("JACCARD".parse::<Metric>(), Err(UnknownMetric("JACCARD".into())));
        assert!("".parse::<Metric>().is_err());
    }

    #[test]
    fn direction() {
        assert!(Metric::L2.better(1.0, 2.0) && !Metric::L2.better(2.0, 1.0));
        assert!(Metric::Ip.better(2.0, 1.0) && !Metric::Ip.better(1.0, 2.0));
        for metric in [Metric::L2, Metric::Ip, Metric::Cosine] {
            assert!(!metric.better(1.0, 1.0));
            assert!(!metric.better(f32::NAN, 1.0) && !metric.better(1.0, f32::NAN));
        }
    }
}
