//! Several searches as one: their hits are fused by rank (Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion
//! outperforms Condorcet and individual Rank Learning Methods", 2009) or by weighted scores.

use std::collections::HashMap;

use super::rank::{Hits, Ranker};
use super::request::{Explained, GroupBy, SearchHits, SearchRequest, check, check_hits};
use super::{finish, group};
use crate::collection::{Searching, Snapshot};
use crate::error::{EngineError, Result};
use crate::exec::gather::vector_place;
use crate::exec::query::key_of;
use crate::exec::{RowAddress, check_window};
use crate::limits::{MAX_HITS, MAX_HYBRID_SEARCHES};
use crate::metric::MetricType;
use crate::row::Projection;

/// Searches to fuse. Each has its own field, queries, filter and limit; all have as many queries.
#[derive(Debug, Clone)]
pub struct HybridRequest {
    /// The searches; their projections and groups are not looked at.
    pub searches: Vec<SearchRequest>,
    /// How hits are fused.
    pub fusion: Fusion,
    /// Rows, or groups, for each query.
    pub limit: usize,
    /// Best rows, or groups, to skip.
    pub offset: usize,
    /// Rows with one value of a field are a group.
    pub group_by: Option<GroupBy>,
    /// Fields of the answer.
    pub projection: Projection,
}

/// How the hits of several searches become one list. Scores are similarities: larger is better.
#[derive(Debug, Clone, PartialEq)]
pub enum Fusion {
    /// Σ 1 / (k + rank), ranks from 1; 0 < k < 16,384.
    Rrf {
        /// How little the first ranks stand out.
        k: f32,
    },
    /// Σ weight × score, a weight in 0..=1 for each search. Distances are turned into similarities, 1 - 2·atan(d)/π.
    Weighted {
        /// One for each search.
        weights: Vec<f32>,
        /// Whether similarities are mapped into 0..=1 first.
        normalized: bool,
    },
}

impl Fusion {
    fn check(&self, searches: usize) -> Result<()> {
        match self {
            Self::Rrf { k } if !(*k > 0.0 && *k < 16_384.0) => Err(EngineError::invalid(format!(
                "The rank params k should be in range (0, 16384), but got {k}"
            ))),
            Self::Weighted { weights, .. } if weights.len() != searches => {
                Err(EngineError::invalid(format!(
                    "the length of weights param mismatch with ann search requests: expected {searches}, got {}",
                    weights.len()
                )))
            }
            Self::Weighted { weights, .. } => match weights.iter().find(|w| !(0.0..=1.0).contains(*w)) {
                Some(weight) => Err(EngineError::invalid(format!(
                    "rank param weight should be in range [0, 1], but got {weight}"
                ))),
                None => Ok(()),
            },
            Self::Rrf { .. } => Ok(()),
        }
    }

    /// What a hit of one search adds.
    fn value(&self, search: usize, metric: MetricType, rank: usize, score: f32) -> f32 {
        match self {
            Self::Rrf { k } => 1.0 / (k + rank as f32),
            Self::Weighted { weights, normalized } => {
                use std::f32::consts::PI;
                let similarity = match (metric, normalized) {
                    (MetricType::Cosine, true) => (1.0 + score) / 2.0,
                    (MetricType::Ip, true) => 0.5 + score.atan() / PI,
                    (MetricType::Bm25, true) => 2.0 * score.atan() / PI,
                    (MetricType::Cosine | MetricType::Ip | MetricType::Bm25, false) => score,
                    _ => 1.0 - 2.0 * score.atan() / PI,
                };
                // A product of huge vectors times nothing is still a number.
                (weights[search] * similarity).clamp(f32::MIN, f32::MAX)
            }
        }
    }
}

/// Runs all searches over one snapshot.
pub(crate) fn hybrid_search(
    snapshot: &Snapshot,
    index_of: &dyn Fn(&str) -> Searching,
    request: &HybridRequest,
) -> Result<SearchHits> {
    let end = check_request(request)?;
    if let Some(group) = &request.group_by {
        group::check(snapshot.schema(), group)?;
        let window = request.offset..end;
        let most = MAX_HITS / (queries(snapshot, index_of, request)? * request.searches.len()).max(1);
        let (hits, explained) = group::grouped(snapshot, group, window, most, |wanted| {
            fuse(snapshot, index_of, request, Some(wanted))
        })?;
        return finish(snapshot, &request.projection, hits, explained);
    }
    let group::Round { mut hits, rest: explained, .. } = fuse(snapshot, index_of, request, None)?;
    for hits in &mut hits {
        hits.truncate(end);
        hits.drain(..request.offset.min(hits.len()));
    }
    finish(snapshot, &request.projection, hits, explained)
}

fn check_request(request: &HybridRequest) -> Result<usize> {
    let count = request.searches.len();
    if !(1..=MAX_HYBRID_SEARCHES).contains(&count) {
        return Err(EngineError::invalid(format!(
            "maximum of ann search requests is {MAX_HYBRID_SEARCHES}, and at least one is needed, but got {count}"
        )));
    }
    request.fusion.check(count)?;
    check_window(request.limit, request.offset)
}

/// Queries of each search.
fn queries(
    snapshot: &Snapshot,
    index_of: &dyn Fn(&str) -> Searching,
    request: &HybridRequest,
) -> Result<usize> {
    let Some(first) = request.searches.first() else { return Ok(0) };
    let place = vector_place(snapshot.schema(), &first.field)?;
    Ok(check(snapshot.schema(), first, place.field, index_of(&first.field))?.queries.len())
}

/// The fused hits of each query, best first. `wanted` stands in for the limits of the searches.
fn fuse(
    snapshot: &Snapshot,
    index_of: &dyn Fn(&str) -> Searching,
    request: &HybridRequest,
    wanted: Option<usize>,
) -> Result<group::Round<Vec<Explained>>> {
    let mut exhausted: Vec<bool> = Vec::new();
    let mut fused: Vec<HashMap<RowAddress, f32>> = Vec::new();
    let mut explained = Vec::with_capacity(request.searches.len());
    for (number, search) in request.searches.iter().enumerate() {
        let place = vector_place(snapshot.schema(), &search.field)?;
        let checked = check(snapshot.schema(), search, place.field, index_of(&search.field))?;
        let count = wanted.map_or(checked.end, |wanted| checked.end.max(wanted + search.offset));
        let all = checked.queries.len() * request.searches.len();
        check_hits(all, count)?;
        let ranked = Ranker::new(snapshot, place, search, &checked, count)?.run()?;
        if number == 0 {
            fused = vec![HashMap::new(); ranked.hits.len()];
            exhausted = vec![true; ranked.hits.len()];
        } else if fused.len() != ranked.hits.len() {
            return Err(EngineError::invalid(format!(
                "nq of all ann search requests should be equal, but got {} and {}",
                fused.len(),
                ranked.hits.len()
            )));
        }
        for ((scores, exhausted), hits) in fused.iter_mut().zip(&mut exhausted).zip(&ranked.hits) {
            *exhausted &= hits.len() < count;
            let hits = hits.get(search.offset..).unwrap_or_default();
            for (rank, (score, address)) in hits.iter().enumerate() {
                let value = request.fusion.value(number, checked.metric, rank + 1, *score);
                let score = scores.entry(*address).or_default();
                *score = (*score + value).clamp(f32::MIN, f32::MAX);
            }
        }
        explained.push(ranked.explained);
    }
    let sorted = |scores: HashMap<RowAddress, f32>| {
        let mut hits: Hits = scores.into_iter().map(|(address, score)| (score, address)).collect();
        hits.sort_by(|a, b| {
            b.0.total_cmp(&a.0).then_with(|| key_of(snapshot, a.1).cmp(&key_of(snapshot, b.1)))
        });
        hits
    };
    Ok(group::Round { hits: fused.into_iter().map(sorted).collect(), exhausted, rest: explained })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_follow_the_formulas() {
        let rrf = Fusion::Rrf { k: 60.0 };
        assert!((rrf.value(0, MetricType::L2, 1, 9.0) - 1.0 / 61.0).abs() < 1e-7);
        let weighted = |normalized| Fusion::Weighted { weights: vec![0.5, 1.0], normalized };
        assert!((weighted(false).value(0, MetricType::L2, 1, 1.0) - 0.25).abs() < 1e-6);
        assert_eq!(weighted(false).value(1, MetricType::Ip, 1, 7.0), 7.0);
        assert!((weighted(true).value(1, MetricType::Ip, 1, 1.0) - 0.75).abs() < 1e-6);
        assert_eq!(weighted(true).value(1, MetricType::Cosine, 1, 0.5), 0.75);
        for wrong in [Fusion::Rrf { k: 0.0 }, Fusion::Rrf { k: f32::NAN }, weighted(true)] {
            assert!(wrong.check(3).is_err());
        }
        assert!(Fusion::Weighted { weights: vec![1.1], normalized: true }.check(1).is_err());
    }
}
