//! What an index is asked to be: Milvus's names and parameters, checked, and what they stand for here.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::hnsw::HnswParams;
use crate::collection::IndexDefinition;
use crate::error::{EngineError, Result};

/// Milvus's ranges and defaults.
const LISTS: RangeInclusive<i64> = 1..=65_536;
const DEFAULT_LISTS: usize = 128;
const M: RangeInclusive<i64> = 2..=2048;
const DEFAULT_M: usize = 30;
const EF_CONSTRUCTION: RangeInclusive<i64> = 1..=i32::MAX as i64;
const DEFAULT_EF_CONSTRUCTION: usize = 360;
/// What AUTOINDEX builds: less than this gains little at the recall that is asked for, and costs memory and time.
const AUTO: HnswParams = HnswParams { m: 16, ef_construction: 200, refined: true };
/// More neighbours than this cost memory and find nothing more.
const MOST_M: usize = 128;
/// More than this many candidates for a new node change nothing that can be measured.
const MOST_EF_CONSTRUCTION: usize = 2048;

/// Below so many rows, comparing all of them takes no longer than an index (measured: `benches/README.md`).
pub(crate) const LEAST_ROWS: usize = 4096;

/// Index types of float vectors, by Milvus's names.
pub const INDEX_TYPES: [&str; 12] = [
    "AUTOINDEX",
    "FLAT",
    "IVF_FLAT",
    "IVF_SQ8",
    "IVF_PQ",
    "IVF_RABITQ",
    "SCANN",
    "HNSW",
    "HNSW_SQ",
    "HNSW_PQ",
    "HNSW_PRQ",
    "DISKANN",
];

/// What is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Plan {
    /// Nothing: every row is compared.
    Flat,
    Ivf {
        lists: usize,
        proven: bool,
    },
    Hnsw(HnswParams),
}

impl Plan {
    /// Reads a definition.
    ///
    /// # Errors
    /// `InvalidParameter`: an unknown type, or a parameter out of range.
    pub(crate) fn of(definition: &IndexDefinition, dim: usize) -> Result<Self> {
        let name = definition.index_type.to_ascii_uppercase();
        let params = Params(&definition.params);
        Self::recall_of(definition)?;
        let lists = || params.number("nlist", LISTS).map(|n| n.unwrap_or(DEFAULT_LISTS));
        let graph = |refined| {
            let ef = params.number("efConstruction", EF_CONSTRUCTION)?;
            Ok::<_, EngineError>(HnswParams {
                m: params.number("M", M)?.unwrap_or(DEFAULT_M).min(MOST_M),
                ef_construction: ef.unwrap_or(DEFAULT_EF_CONSTRUCTION).clamp(8, MOST_EF_CONSTRUCTION),
                refined,
            })
        };
        Ok(match name.as_str() {
            "AUTOINDEX" | "" => Self::Hnsw(AUTO),
            "FLAT" | "GPU_BRUTE_FORCE" => Self::Flat,
            "IVF_SQ8" => Self::Ivf { lists: lists()?, proven: false },
            // Asked to be coarser than what they get: the rows of the lists in full precision.
            "IVF_PQ" | "GPU_IVF_PQ" => {
                params.check_parts(dim)?;
                params.number("nbits", 1..=24)?;
                Self::Ivf { lists: lists()?, proven: true }
            }
            "IVF_FLAT" | "IVF_RABITQ" | "SCANN" | "GPU_IVF_FLAT" => {
                Self::Ivf { lists: lists()?, proven: true }
            }
            "HNSW_SQ" => Self::Hnsw(graph(params.wants_refinement()?)?),
            "HNSW" => Self::Hnsw(graph(true)?),
            "HNSW_PQ" | "HNSW_PRQ" => {
                params.check_parts(dim)?;
                params.number("nbits", 1..=24)?;
                params.number("nrq", 1..=16)?;
                Self::Hnsw(graph(true)?)
            }
            "DISKANN" | "GPU_CAGRA" => {
                params.number("max_degree", 1..=2048)?;
                params.number("search_list_size", EF_CONSTRUCTION)?;
                Self::Hnsw(AUTO)
            }
            other => {
                return Err(EngineError::invalid(format!(
                    "invalid parameter[expected=valid index][actual=invalid index type: {other}]"
                )));
            }
        })
    }

    /// The recall that searches over the index have when they do not say: the parameter `recall`.
    ///
    /// # Errors
    /// `InvalidParameter` when it is no share.
    pub(crate) fn recall_of(definition: &IndexDefinition) -> Result<Option<f32>> {
        let params = Params(&definition.params);
        let Some(text) = params.get("recall") else { return Ok(None) };
        match text.parse::<f32>() {
            Ok(recall) if (0.0..=1.0).contains(&recall) => Ok(Some(recall)),
            _ => Err(EngineError::invalid(format!("param 'recall' ({text}) should be in range [0, 1]"))),
        }
    }

    /// Bytes of memory that a build takes, about.
    pub(crate) fn memory(self, rows: usize, dim: usize) -> u64 {
        let codes = rows * (dim + 64);
        let bytes = match self {
            Self::Flat => 0,
            Self::Ivf { lists, .. } => codes + rows * 16 + lists * 64 * dim * size_of::<f32>(),
            // Lists with room, then lists of the final length, names of nodes.
            Self::Hnsw(HnswParams { m, .. }) => codes + rows * (5 * m / 2 + 2 * m + 24) * size_of::<u32>(),
        };
        bytes as u64
    }

    /// The name of what is built, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Flat => "FLAT",
            Self::Ivf { proven: true, .. } => "IVF_FLAT",
            Self::Ivf { proven: false, .. } => "IVF_SQ8",
            Self::Hnsw(HnswParams { refined: true, .. }) => "HNSW",
            Self::Hnsw(_) => "HNSW_SQ",
        }
    }
}

/// Parameters as text: a client may send numbers or strings.
struct Params<'a>(&'a BTreeMap<String, String>);

impl Params<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    fn number(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<usize>> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number: i64 = text.parse().map_err(|_| {
            EngineError::invalid(format!(
                "wrong data type in json: param '{name}' ({text}) should be an integer"
            ))
        })?;
        if !range.contains(&number) {
            return Err(EngineError::invalid(format!(
                "Out of range in json: param '{name}' ({number}) should be in range [{}, {}]",
                range.start(),
                range.end()
            )));
        }
        Ok(usize::try_from(number).ok())
    }

    fn check_parts(&self, dim: usize) -> Result<()> {
        match self.number("m", 1..=65_536)? {
            Some(parts) if !dim.is_multiple_of(parts) => Err(EngineError::invalid(format!(
                "The dimension of a vector (dim) should be a multiple of the number of subquantizers (m). \
                 Dimension:{dim}, m:{parts}"
            ))),
            _ => Ok(()),
        }
    }

    fn wants_refinement(&self) -> Result<bool> {
        match self.get("refine").unwrap_or("false").to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(EngineError::invalid(format!("param 'refine' ({other}) should be true or false"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(index_type: &str, params: &[(&str, &str)]) -> Result<Plan> {
        let params = params.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        let (field, name) = ("v".to_owned(), "v".to_owned());
        Plan::of(
            &IndexDefinition {
                field,
                name,
                index_type: index_type.to_owned(),
                metric: Some(crate::MetricType::L2),
                params,
            },
            64,
        )
    }

    #[test]
    fn every_name_stands_for_something() {
        for name in INDEX_TYPES {
            plan(name, &[]).unwrap();
            plan(&name.to_lowercase(), &[]).unwrap();
        }
        assert_eq!(plan("IVF_FLAT", &[("nlist", "1024")]).unwrap(), Plan::Ivf { lists: 1024, proven: true });
        assert_eq!(plan("IVF_SQ8", &[]).unwrap(), Plan::Ivf { lists: 128, proven: false });
        let Plan::Hnsw(graph) = plan("HNSW", &[("M", "8"), ("efConstruction", "64")]).unwrap() else {
            panic!()
        };
        assert_eq!(graph, HnswParams { m: 8, ef_construction: 64, refined: true });
        assert!(matches!(plan("HNSW_SQ", &[("refine", "true")]).unwrap(), Plan::Hnsw(g) if g.refined));
    }

    #[test]
    fn what_is_out_of_range_is_said() {
        for (name, param, value, words) in [
            ("HNSW", "M", "10000", "param 'M' (10000) should be in range [2, 2048]"),
            ("HNSW", "M", "1", "in range [2, 2048]"),
            ("HNSW", "efConstruction", "0", "param 'efConstruction' (0)"),
            ("IVF_FLAT", "nlist", "65537", "in range [1, 65536]"),
            ("IVF_SQ8", "nlist", "many", "should be an integer"),
            ("IVF_PQ", "m", "7", "multiple of the number of subquantizers"),
            ("IVF_PQ", "nbits", "25", "param 'nbits'"),
            ("HNSW_SQ", "refine", "perhaps", "true or false"),
            ("AUTOINDEX", "recall", "1.5", "in range [0, 1]"),
            ("TREE", "a", "b", "invalid index type: TREE"),
        ] {
            let error = plan(name, &[(param, value)]).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
