//! A data set: raw little-endian files next to each other, as `benches/peers/data.py` writes them.

use std::path::Path;

use elanus_engine::Metric;
use serde::Deserialize;

use crate::Result;

/// Right answers a query.
const TRUTH: usize = 100;
/// Neighbours that recall is measured on.
pub const K: usize = 10;

/// Rows, queries and right answers.
pub struct DataSet {
    /// Its name.
    pub name: String,
    /// Floats of a row.
    pub dim: usize,
    /// How rows are compared.
    pub metric: Metric,
    /// Row-major.
    pub base: Vec<f32>,
    /// Row-major.
    pub queries: Vec<f32>,
    /// The nearest [`K`] of each query.
    truth: Vec<i32>,
    /// The same among the rows whose number modulo 100 is below the percentage.
    filtered: Vec<(u32, Vec<i32>)>,
}

#[derive(Deserialize)]
struct Meta {
    n: usize,
    dim: usize,
    metric: String,
}

impl DataSet {
    /// Reads the files of a set.
    ///
    /// # Errors
    /// When one is missing or has another size than it should.
    pub fn read(folder: &Path, name: &str) -> Result<Self> {
        let path = |end: &str| folder.join(format!("{name}.{end}"));
        let meta =
            std::fs::read(path("meta.json")).map_err(|e| format!("{}: {e}", path("meta.json").display()))?;
        let meta: Meta = serde_json::from_slice(&meta)?;
        let base: Vec<f32> = values(&path("base.f32"))?;
        if base.len() != meta.n * meta.dim {
            return Err(format!("{name}: {} values, expected {} × {}", base.len(), meta.n, meta.dim).into());
        }
        let all: Vec<i32> = values(&path("gt.i32"))?;
        let truth = all.chunks_exact(TRUTH).flat_map(|ids| ids[..K].to_vec()).collect();
        let filtered = [1, 10, 50].map(|percent| Ok((percent, values(&path(&format!("gtf{percent}.i32")))?)));
        Ok(Self {
            name: name.to_owned(),
            dim: meta.dim,
            metric: if meta.metric == "L2" { Metric::L2 } else { Metric::Cosine },
            base,
            queries: values(&path("query.f32"))?,
            truth,
            filtered: filtered.into_iter().collect::<Result<_>>()?,
        })
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.base.len() / self.dim
    }

    /// How many queries.
    pub fn query_count(&self) -> usize {
        self.queries.len() / self.dim
    }

    /// The share of right answers among `found`, [`K`] ids a query; -1 for none.
    pub fn recall(&self, found: &[i64], percent: Option<u32>) -> f64 {
        let truth = match percent {
            None => &self.truth,
            Some(percent) => {
                self.filtered.iter().find(|(p, _)| *p == percent).map_or(&self.truth, |(_, t)| t)
            }
        };
        let queries = found.len() / K;
        let hits: usize = found
            .chunks_exact(K)
            .zip(truth.chunks_exact(K))
            .map(|(found, truth)| truth.iter().filter(|&&id| found.contains(&i64::from(id))).count())
            .sum();
        hits as f64 / (queries * K) as f64
    }
}

/// Values of four bytes.
fn values<T: FromBytes>(path: &Path) -> Result<Vec<T>> {
    let bytes = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(bytes.chunks_exact(4).map(|b| T::from_bytes([b[0], b[1], b[2], b[3]])).collect())
}

trait FromBytes {
    fn from_bytes(bytes: [u8; 4]) -> Self;
}

impl FromBytes for f32 {
    fn from_bytes(bytes: [u8; 4]) -> Self {
        Self::from_le_bytes(bytes)
    }
}

impl FromBytes for i32 {
    fn from_bytes(bytes: [u8; 4]) -> Self {
        Self::from_le_bytes(bytes)
    }
}
