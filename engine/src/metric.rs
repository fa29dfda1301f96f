//! How vectors of each kind are compared, by Milvus's names. Indexes and searches name one; [`crate::kernel::Metric`] is
//! the part of them that dense vectors have.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::kernel::Metric;
use crate::schema::DataType;

/// What an index or a search calls near.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MetricType {
    /// Squared Euclidean distance of dense vectors.
    L2,
    /// Inner product of dense or sparse vectors.
    Ip,
    /// Cosine of dense vectors.
    Cosine,
    /// Number of bits in which binary vectors differ.
    Hamming,
    /// One minus the share of common bits among the bits of two binary vectors.
    Jaccard,
    /// 0 for binary vectors that have all bits of the query, and no others are found.
    Superstructure,
    /// 0 for binary vectors all of whose bits the query has, and no others are found.
    Substructure,
    /// Relevance of text to words (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009).
    Bm25,
}

impl MetricType {
    const ALL: [Self; 8] = [
        Self::L2,
        Self::Ip,
        Self::Cosine,
        Self::Hamming,
        Self::Jaccard,
        Self::Superstructure,
        Self::Substructure,
        Self::Bm25,
    ];

    /// The name in Milvus's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::L2 => "L2",
            Self::Ip => "IP",
            Self::Cosine => "COSINE",
            Self::Hamming => "HAMMING",
            Self::Jaccard => "JACCARD",
            Self::Superstructure => "SUPERSTRUCTURE",
            Self::Substructure => "SUBSTRUCTURE",
            Self::Bm25 => "BM25",
        }
    }

    /// The metric of dense vectors of this name.
    pub fn dense(self) -> Option<Metric> {
        match self {
            Self::L2 => Some(Metric::L2),
            Self::Ip => Some(Metric::Ip),
            Self::Cosine => Some(Metric::Cosine),
            _ => None,
        }
    }

    /// Whether a larger score is the nearer one.
    pub fn is_similarity(self) -> bool {
        matches!(self, Self::Ip | Self::Cosine | Self::Bm25)
    }

    /// A metric of dense vectors that orders scores as this one does.
    pub(crate) fn order(self) -> Metric {
        if self.is_similarity() { Metric::Ip } else { Metric::L2 }
    }

    /// Whether vectors of this type are compared so.
    pub fn fits(self, data_type: DataType) -> bool {
        match self {
            Self::L2 | Self::Cosine => data_type.is_dense(),
            Self::Ip => data_type.is_dense() || data_type == DataType::SparseFloatVector,
            Self::Hamming | Self::Jaccard | Self::Superstructure | Self::Substructure => {
                data_type == DataType::BinaryVector
            }
            Self::Bm25 => data_type == DataType::SparseFloatVector,
        }
    }

    /// That of a field without an index: what Milvus takes for its type.
    pub fn default_of(data_type: DataType) -> Self {
        match data_type {
            DataType::BinaryVector => Self::Hamming,
            DataType::SparseFloatVector => Self::Ip,
            _ => Self::Cosine,
        }
    }
}

impl From<Metric> for MetricType {
    fn from(metric: Metric) -> Self {
        match metric {
            Metric::L2 => Self::L2,
            Metric::Ip => Self::Ip,
            Metric::Cosine => Self::Cosine,
        }
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The text names no metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric type {0:?}")]
pub struct UnknownMetricType(String);

impl FromStr for MetricType {
    type Err = UnknownMetricType;

    /// Reads a name in any mix of cases.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownMetricType(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_stored_as_written() {
        for metric in MetricType::ALL {
            assert_eq!(metric.name().to_lowercase().parse(), Ok(metric));
            assert_eq!(serde_json::to_string(&metric).unwrap(), format!("\"{metric}\""));
        }
        assert!("TANIMOTO".parse::<MetricType>().is_err());
    }

    #[test]
    fn each_type_of_vector_has_a_metric() {
        for data_type in DataType::ALL.into_iter().filter(|t| t.is_vector()) {
            assert!(MetricType::default_of(data_type).fits(data_type), "{data_type}");
        }
    }
}
